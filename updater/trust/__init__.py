"""Who may tell this site what to install: The Update Framework, through python-tuf.

Importing this package does not import ``tuf``; the names below are loaded from their modules when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from updater.trust.bootstrap import fingerprint, obtain_root, validate_root
    from updater.trust.client import Target, TufClient
    from updater.trust.feed import FeedClient, Freshness, TrustedFeed
    from updater.trust.names import CHANNELS, FeedLocation

__all__ = [
    "CHANNELS",
    "FeedClient",
    "FeedLocation",
    "Freshness",
    "Target",
    "TrustedFeed",
    "TufClient",
    "fingerprint",
    "obtain_root",
    "validate_root",
]

_HOMES = {
    "CHANNELS": "names",
    "FeedClient": "feed",
    "FeedLocation": "names",
    "Freshness": "feed",
    "Target": "client",
    "TrustedFeed": "feed",
    "TufClient": "client",
    "fingerprint": "bootstrap",
    "obtain_root": "bootstrap",
    "validate_root": "bootstrap",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
