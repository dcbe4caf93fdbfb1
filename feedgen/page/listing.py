"""Which releases the pages are about, so that one more release costs the same however many there are (docs/page.md).

The pages always show what the feeds hold themselves. What lies on archive pages is looked at again only when an archive
page is another one than when the pages were last rendered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from packaging.version import Version

from feedgen.page.model import Entry, short_digest
from feedgen.publish.catalog import Catalog
from updater.errors import SchemaError
from updater.schema import CHANNELS, ArchiveLink, Release, dump_json, parse_json

__all__ = ["PER_PAGE", "RENDERED_FILE", "Listing", "Rendered", "list_releases"]

PER_PAGE = 25
"""Releases on one page of the changelog."""

RENDERED_FILE = "rendered.json"
"""At the top of the site: what the pages were rendered from."""


@dataclass(frozen=True)
class Rendered:
    """What the pages in the site were made from: a digest of what they have in common, the archive pages, and the
    digests of entries whose place in the changelog is among archived releases."""

    common: str = ""
    archive: frozenset[str] = frozenset()
    moved: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, data: bytes) -> Rendered:
        """Read the file; nothing was rendered when it cannot be understood, which only costs time."""
        try:
            found = parse_json(data, RENDERED_FILE)
            return cls(str(found["common"]), frozenset(map(str, found["archive"])), dict(found["moved"]))
        except (SchemaError, KeyError, TypeError, ValueError):
            return cls()

    def to_bytes(self) -> bytes:
        """The file."""
        moved = dict(sorted(self.moved.items()))
        return dump_json({"schema": "1.0", "common": self.common, "archive": sorted(self.archive), "moved": moved})


@dataclass(frozen=True)
class Listing:
    """``recent``: what the feeds hold, the release that was published last first. ``again``: archived releases whose
    pages may have to be rendered anew. ``parts``: full pages of the changelog that may have to be, by number, and
    ``head``, its first page; both the last published first. ``full``: how many full pages there are. ``moved``: see
    ``Rendered``.
    """

    recent: Sequence[Entry]
    again: Sequence[Entry]
    parts: Mapping[int, Sequence[Entry]]
    head: Sequence[Entry]
    full: int
    moved: Mapping[str, str] = field(default_factory=dict)


def list_releases(catalog: Catalog, before: Rendered) -> Listing:
    """What to look at when ``before`` is what the site's pages were rendered from. Reads archive pages as needed."""
    return _Lister(catalog, before).listing()


class _Lister:
    """The changelog is in the order of the archive of the least settled channel, which lists everything; then comes
    what its feed holds, by the time of publishing."""

    def __init__(self, catalog: Catalog, before: Rendered) -> None:
        self._catalog = catalog
        self._before = before
        self._base = next((channel for channel in reversed(CHANNELS) if channel in catalog.feeds), CHANNELS[-1])
        feed = catalog.feeds.get(self._base)
        self._links: list[ArchiveLink] = [] if feed is None else list(reversed(feed.archive))
        self._archived = sum(link.count for link in self._links)
        in_base = {release.version for release in feed.releases} if feed is not None else set()
        recent = self._entries({release.version for found in catalog.feeds.values() for release in found.releases})
        self._recent = sorted(recent, key=_published)
        self._rising = [entry for entry in self._recent if not self._links or entry.version in in_base]
        self._moved = [entry for entry in self._recent if self._links and entry.version not in in_base]

    def listing(self) -> Listing:
        """See ``list_releases``."""
        total = self._archived + len(self._rising)
        full = max(0, total // PER_PAGE - 1)
        moved = {
            entry.version: short_digest(repr((entry.release.to_json(), entry.feeds)).encode()) for entry in self._moved
        }
        numbers = {*self._numbers(self._archived, total), *self._changed_numbers()}
        numbers |= {number for version, digest in moved.items() for number in self._number_of(version, digest)}
        parts = {
            number: self._slice((number - 1) * PER_PAGE, number * PER_PAGE)
            for number in sorted(numbers)
            if 1 <= number <= full
        }
        again = self._entries(release.version for release in self._changed())
        head = self._slice(full * PER_PAGE, total)
        return Listing(self._recent[::-1], sorted(again, key=_published), parts, head, full, moved)

    def _entries(self, versions: Iterable[str]) -> list[Entry]:
        found = []
        for version in versions:
            for place, channel in enumerate(CHANNELS):
                release = self._catalog.find(channel, version)
                if release is not None:  # all less settled feeds list it as well
                    feeds = tuple(name for name in CHANNELS[place:] if name in self._catalog.feeds)
                    found.append(Entry(release, feeds))
                    break
        return found

    def _changed(self) -> Iterator[Release]:
        """What is on archive pages that were not there when the site was last rendered."""
        seen: set[str] = set()
        for channel, feed in self._catalog.feeds.items():
            for link in feed.archive:
                if link.sha256 not in self._before.archive:
                    for release in self._catalog.page(channel, link).releases:
                        if release.version not in seen:
                            seen.add(release.version)
                            yield release

    def _changed_numbers(self) -> Iterator[int]:
        start = 0
        for link in self._links:
            if link.sha256 not in self._before.archive:
                yield from self._numbers(start, start + link.count)
            start += link.count

    def _number_of(self, version: str, digest: str) -> Iterator[int]:
        """The part that an archived release stands in, when a more settled feed lists it otherwise than before."""
        if self._before.moved.get(version) == digest:
            return
        link = self._catalog.shelf(self._base, version)
        start = 0
        for other in self._links:
            if other == link:
                yield from self._numbers(start, start + other.count)
            start += other.count

    def _numbers(self, start: int, end: int) -> range:
        """The parts that hold the places from ``start`` to ``end``."""
        return range(start // PER_PAGE + 1, -(-end // PER_PAGE) + 1)

    def _slice(self, start: int, end: int) -> list[Entry]:
        """The entries at these places, the last first."""
        found: list[Entry] = []
        place = 0
        for link in self._links:
            if place < end and start < place + link.count:
                releases = sorted(self._catalog.page(self._base, link).releases, key=_when)
                chosen = releases[max(0, start - place) : end - place]
                found += self._entries(release.version for release in chosen)
            place += link.count
        found += self._rising[max(0, start - place) : max(0, end - place)]
        return found[::-1]


def _published(entry: Entry) -> tuple[object, Version]:
    return _when(entry.release)


def _when(release: Release) -> tuple[object, Version]:
    return release.published, Version(release.version)
