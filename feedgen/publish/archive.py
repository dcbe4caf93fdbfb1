"""Which releases leave a feed for its archive, and the pages that they go to: pure (docs/formats.md section 2.1).

Pages are filled in the order of publishing and never taken apart, so that one more release changes one page at most.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from packaging.version import Version

from feedgen.operations.schedule import percent_at
from feedgen.repository.compose import Write
from updater.schema import ArchiveLink, ArchivePage, Feed, Release, channel_of
from updater.trust.names import archive_page

__all__ = ["BATCH", "PAGE_RELEASES", "Shelves", "movable"]

PAGE_RELEASES = 200
BATCH = 10
"""So many releases move together: a page is written again once for each ten releases, not for each."""

_LAST_STABLE = 3


def movable(releases: Sequence[Release], *, keep: int, now: datetime) -> list[Release]:
    """Of the releases in a feed, those that may leave it: all but the ``keep`` that were published last, those that
    nothing newer supersedes for every site, and the three newest stable ones. The one published first is first."""
    rising = sorted(releases, key=lambda release: Version(release.version))
    superseded = 0
    for place, release in enumerate(rising):
        if _for_all(release, now):
            superseded = place
    stable = [release for release in rising if channel_of(release.version) == "stable"][-_LAST_STABLE:]
    may = [release for release in rising[:superseded] if release not in stable]
    may.sort(key=_published)
    most = max(0, len(releases) - keep)
    return may[:most]


def _for_all(release: Release, now: datetime) -> bool:
    offered = release.yanked is None and not release.halted and release.cohorts is None
    return offered and percent_at(release.rollout, now) == 100


def _published(release: Release) -> tuple[datetime, Version]:
    return release.published, Version(release.version)


@dataclass
class _Shelf:
    """A page: the link to it as it is published, None for a new one, and what it shall hold, None for the same."""

    link: ArchiveLink | None
    releases: list[Release] | None = None

    @property
    def count(self) -> int:
        if self.releases is not None:
            return len(self.releases)
        return self.link.count if self.link is not None else 0


class Shelves:
    """The archive of one feed while it changes. ``page`` reads a published page."""

    def __init__(self, feed: Feed, page: Callable[[ArchiveLink], ArchivePage]) -> None:
        self._feed = feed
        self._page = page
        self._shelves = [_Shelf(link) for link in feed.archive]

    def replace(self, link: ArchiveLink, release: Release) -> None:
        """Put ``release`` in the place of the one of its version on the page behind ``link``."""
        shelf = next(shelf for shelf in self._shelves if shelf.link == link)
        shelf.releases = [release if old.version == release.version else old for old in self._contents(shelf)]

    def take_over(self, releases: Sequence[Release]) -> list[Release]:
        """Archive releases, in the order given, as long as whole batches are left; returns those that were."""
        taken: list[Release] = []
        while len(releases) - len(taken) >= BATCH:
            if not self._shelves or self._shelves[0].count >= PAGE_RELEASES:
                self._shelves.insert(0, _Shelf(None, []))
            shelf = self._shelves[0]
            contents = self._contents(shelf)
            more = releases[len(taken) : len(taken) + PAGE_RELEASES - len(contents)]
            shelf.releases = [*contents, *more]
            taken += more
        return taken

    def _contents(self, shelf: _Shelf) -> list[Release]:
        if shelf.releases is not None:
            return shelf.releases
        return [] if shelf.link is None else list(self._page(shelf.link).releases)

    def finish(self, feed: Feed) -> tuple[Feed, list[ArchivePage], list[Write]]:
        """``feed`` with links to what the archive shall be, the pages that changed, and their files."""
        links: list[ArchiveLink] = []
        pages: list[ArchivePage] = []
        writes: list[Write] = []
        for shelf in self._shelves:
            if shelf.releases is None and shelf.link is not None:
                links.append(shelf.link)
                continue
            page = self._new_page(shelf)
            link, write = _bound(page, feed.channel)
            if shelf.link is not None:
                link = replace(link, extra=shelf.link.extra)
            if link != shelf.link:
                pages.append(page)
                writes.append(write)
            links.append(link)
        return replace(feed, archive=tuple(links)), pages, writes

    def _new_page(self, shelf: _Shelf) -> ArchivePage:
        releases = tuple(_falling(shelf.releases or ()))
        if shelf.link is not None:
            return replace(self._page(shelf.link), releases=releases)
        feed = self._feed
        return ArchivePage(app=feed.app, component=feed.component, channel=feed.channel, releases=releases)


def _bound(page: ArchivePage, channel: str) -> tuple[ArchiveLink, Write]:
    data = page.to_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    path = archive_page(channel, sha256)
    newest, oldest = page.releases[0].version, page.releases[-1].version
    return ArchiveLink(path, len(data), sha256, newest, oldest, len(page.releases)), Write(path, data)


def _falling(releases: Iterable[Release]) -> list[Release]:
    return sorted(releases, key=lambda release: Version(release.version), reverse=True)
