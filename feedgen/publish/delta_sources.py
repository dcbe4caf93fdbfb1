"""The releases that a new one gets deltas from (docs/formats.md section 6, ``[deltas]``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from packaging.version import Version

from feedgen.page.adoption import ADOPTION_FILE, read_history
from feedgen.publish.catalog import Catalog
from updater.schema import Release
from updater.schema.publisher_config import DeltaSettings

__all__ = ["adopted", "delta_sources", "find_sources", "reaches"]

_COUNTED = 50
"""Releases, the newest, whose downloads are compared."""


def find_sources(  # noqa: PLR0917 - everything that names a release
    catalog: Catalog,
    release: Release,
    channels: Sequence[str],
    settings: DeltaSettings,
    site: Path,
    named: Sequence[str] = (),
) -> list[Release]:
    """Where deltas to ``release`` shall begin: at ``named``, or as the settings and the downloads say."""
    listed = [catalog.feeds[channel].releases for channel in channels if channel in catalog.feeds]
    if not named:
        adoption = site / ADOPTION_FILE
        history = read_history(adoption.read_bytes()) if adoption.is_file() else {}
        names = [*settings.from_versions, *adopted(history, settings.adoption_percent)]
    else:
        names, settings = list(named), replace(settings, from_last=0)
    entries = (catalog.entry(version) for version in names)
    return delta_sources(release, listed, [entry.facts for entry in entries if entry is not None], settings)


def adopted(history: Mapping[str, Mapping[str, int]], percent: int) -> list[str]:
    """The versions with at least ``percent`` of the downloads of the newest 50, most downloads first.

    ``history``: day to version to downloads since it was published; the last day counts.
    """
    counts = history[max(history)] if history and percent else {}
    newest = sorted(counts, key=Version, reverse=True)[:_COUNTED]
    total = sum(counts[version] for version in newest)
    found = [version for version in newest if counts[version] and counts[version] * 100 >= percent * total]
    return sorted(found, key=lambda version: (counts[version], Version(version)), reverse=True)


def delta_sources(
    release: Release,
    channels: Sequence[Sequence[Release]],
    named: Iterable[Release],
    settings: DeltaSettings,
) -> list[Release]:
    """Where deltas to ``release`` shall begin, the most useful first: when time runs out, the last ones are left out.

    ``channels``: the releases of each channel that lists it. ``named``: releases that the settings or downloads name.
    Releases from which no site may go to ``release`` in one step are left out.
    """
    found: dict[str, Release] = {}
    for releases in channels:
        stops = [Version(other.version) for other in releases if other.stop and other.yanked is None]
        able = [other for other in releases if reaches(other.version, release, stops)]
        able.sort(key=lambda other: Version(other.version), reverse=True)
        found |= {other.version: other for other in able[: settings.from_last] if other.version not in found}
    last = sorted(found.values(), key=lambda other: Version(other.version), reverse=True)
    stops = [Version(r.version) for releases in channels for r in releases if r.stop and r.yanked is None]
    others = [o for o in named if o.version not in found and reaches(o.version, release, stops)]
    return [*last, *{other.version: other for other in others}.values()]


def reaches(version: str, release: Release, stops: Iterable[Version]) -> bool:
    """Whether a site that runs ``version`` may go to ``release`` in one step."""
    here, there = Version(version), Version(release.version)
    oldest = release.requires.from_version
    if here >= there or (oldest is not None and here < Version(oldest)):
        return False
    return not any(here < stop < there for stop in stops)
