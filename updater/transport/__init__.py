"""How bytes reach the site: one small interface, and what implements it.

Importing this package imports neither ``requests`` nor anything else from outside the standard library; the
names below are loaded from their modules when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from updater.transport.base import Limits, Response, Transport
    from updater.transport.directory import DirectoryTransport
    from updater.transport.fetch_file import download
    from updater.transport.http import HTTPTransport

__all__ = ["DirectoryTransport", "HTTPTransport", "Limits", "Response", "Transport", "download"]

_HOMES = {
    "download": "fetch_file",
    "DirectoryTransport": "directory",
    "HTTPTransport": "http",
    "Limits": "base",
    "Response": "base",
    "Transport": "base",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
