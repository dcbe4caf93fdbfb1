"""The publisher: from a git tag to a reproducible package and a signed static feed.

Importing this package costs next to nothing; its names are loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from feedgen.build import BuiltRelease, build_release
    from feedgen.errors import FeedgenError

__all__ = ["BuiltRelease", "FeedgenError", "build_release"]
__version__ = "0.1.0"

_HOMES = {"BuiltRelease": "feedgen.build", "build_release": "feedgen.build", "FeedgenError": "feedgen.errors"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
