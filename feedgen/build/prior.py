"""The release before this one, found from git alone, so that everybody finds the same."""

from __future__ import annotations

from collections.abc import Iterable

from packaging.version import Version

from feedgen.errors import SourceError
from feedgen.source.tags import parse_tag
from updater.schema.text import CHANNELS, channel_of

__all__ = ["previous_tag"]


def previous_tag(tags: Iterable[str], version: str, prefix: str) -> str | None:
    """Of ``tags`` (those merged into this release's commit), the one of the highest version below ``version``.

    Only releases at least as settled as this one count: before 1.1.0 comes 1.0.0 and not 1.1.0rc1, because sites on
    the stable feed never saw the candidate; before 1.1.0rc2 comes 1.1.0rc1. Tags that are no versions are passed over.
    Of two tags that name one version, the greater by its bytes counts.
    """
    seen_by_same_sites = CHANNELS[: CHANNELS.index(channel_of(version)) + 1]
    found: list[tuple[Version, bytes, str]] = []
    for tag in tags:
        try:
            candidate = parse_tag(tag, prefix)
        except SourceError:
            continue
        if Version(candidate) < Version(version) and channel_of(candidate) in seen_by_same_sites:
            found.append((Version(candidate), tag.encode("utf-8", "surrogateescape"), tag))
    return max(found)[2] if found else None
