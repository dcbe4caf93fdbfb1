"""A release that lacks migrations of the one before is not published until nobody can jump over that: pure."""

from __future__ import annotations

from packaging.version import Version

from feedgen.errors import PublishError
from feedgen.operations.state import Entry
from feedgen.publish.catalog import Catalog

__all__ = ["require_stop"]


def require_stop(catalog: Catalog, entry: Entry, stop: str) -> None:
    """Raise PublishError unless the release ``stop`` is one already, or ``entry`` can only be reached from it or newer.

    A release that no feed lists cannot be a stop: then only the second helps, or the maintainer's word.
    """
    reached_from = entry.state.requires.from_version
    if reached_from is not None and Version(reached_from) >= Version(stop):
        return
    before = catalog.entry(stop)
    if before is not None and before.state.stop:
        return
    version = entry.facts.version
    raise PublishError(
        f"{version} lacks migrations of {stop}: a site that comes from an older release would never run them",
        hint=f"'feedgen stop {stop}' makes all sites go through {stop}; --no-stop says that {version} needs none.",
    )
