"""The public names of python-tuf that are used here, in one place (it re-exports them without saying so to mypy)."""

from __future__ import annotations

from tuf.api.exceptions import StorageError  # type: ignore[attr-defined]
from tuf.api.metadata import Metadata, Root, TargetFile  # type: ignore[attr-defined]
from tuf.ngclient.fetcher import FetcherInterface
from tuf.ngclient.updater import Updater

__all__ = ["FetcherInterface", "Metadata", "Root", "StorageError", "TargetFile", "Updater"]
