"""All releases of a site: those in its feeds, and those on archive pages, which are read only when they are needed."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from packaging.version import Version

from feedgen.errors import PublishError, ReleaseNotFoundError, SigningError
from feedgen.operations.state import Entry, published_entries, state_of
from updater.schema import CHANNELS, ArchiveLink, ArchivePage, Feed, Release
from updater.trust.names import archive_page

__all__ = ["Catalog"]

_RESTORE = "Restore the folder from the copy that you published. Nothing was signed."
Read = Callable[[str], bytes]


def _nowhere(path: str) -> bytes:
    raise FileNotFoundError(path)


class Catalog:
    """The feeds of a site by channel, and their archives. ``read`` gives the bytes of a file of the site by its path.

    Methods raise ``PublishError`` and ``SigningError`` when a page is missing, or is not the one that was signed.
    """

    def __init__(self, feeds: Mapping[str, Feed], read: Read = _nowhere) -> None:
        self.feeds = feeds
        self._read = read
        self._pages: dict[str, ArchivePage] = {}

    @classmethod
    def of_site(cls, site: Path, feeds: Mapping[str, Feed]) -> Catalog:
        """With the archive pages that lie in the folder ``site``."""
        return cls(feeds, lambda path: (site / path).read_bytes())

    def page(self, channel: str, link: ArchiveLink) -> ArchivePage:
        """One archive page, read once."""
        path = archive_page(channel, link.sha256)
        if path not in self._pages:
            self._pages[path] = self._load(path, link)
        return self._pages[path]

    def _load(self, path: str, link: ArchiveLink) -> ArchivePage:
        try:
            data = self._read(path)
        except FileNotFoundError as error:
            raise PublishError(f"{path} is missing in the site, and a feed links to it", hint=_RESTORE) from error
        if hashlib.sha256(data).hexdigest() != link.sha256:
            raise SigningError(f"{path} is not the archive page that was signed", hint=_RESTORE)
        return ArchivePage.parse(data, path)

    def shelf(self, channel: str, version: str) -> ArchiveLink | None:
        """The link to the page that lists ``version``, if one does."""
        if channel not in self.feeds:
            return None
        for link in self.feeds[channel].archive:
            if Version(link.oldest) <= Version(version) <= Version(link.newest) and any(
                release.version == version for release in self.page(channel, link).releases
            ):
                return link
        return None

    def find(self, channel: str, version: str) -> Release | None:
        """The release as the feed of ``channel``, or its archive, lists it."""
        feed = self.feeds.get(channel)
        if feed is None or (release := feed.release(version)) is not None:
            return None if feed is None else release
        link = self.shelf(channel, version)
        return None if link is None else _on(self.page(channel, link), version)

    def entry(self, version: str) -> Entry | None:
        """The release as its most settled channel lists it, and what is decided about it."""
        for channel in CHANNELS:
            release = self.find(channel, version)
            if release is not None:
                return Entry(release, state_of(release, channel))
        return None

    def published(self, version: str) -> Entry:
        """Like ``entry``. Raises ``ReleaseNotFoundError`` when no channel lists the release."""
        found = self.entry(version)
        if found is not None:
            return found
        known = {release.version for feed in self.feeds.values() for release in feed.releases}
        near = difflib.get_close_matches(version, known, n=1)
        advice = f"Did you mean {near[0]}? " if near else ""
        raise ReleaseNotFoundError(
            f"No feed lists a release {version}", hint=f"{advice}'feedgen list' shows what is published."
        )

    def channels(self, version: str) -> tuple[str, ...]:
        """The channels that list a release, the most settled first."""
        return tuple(channel for channel in CHANNELS if self.find(channel, version) is not None)

    def archived(self, channel: str) -> Iterator[Release]:
        """Every release on the archive pages of a channel."""
        for link in self.feeds[channel].archive:
            yield from self.page(channel, link).releases

    def whole(self) -> dict[str, Feed]:
        """The feeds with all their releases, newest version first: this reads every page."""
        return {
            channel: feed if not feed.archive else replace(feed, releases=self._all(channel), archive=())
            for channel, feed in self.feeds.items()
        }

    def entries(self) -> dict[str, Entry]:
        """Every release, by version: this reads every page."""
        return published_entries(self.whole())

    def _all(self, channel: str) -> tuple[Release, ...]:
        found = (*self.feeds[channel].releases, *self.archived(channel))
        return tuple(sorted(found, key=lambda release: Version(release.version), reverse=True))


def _on(page: ArchivePage, version: str) -> Release | None:
    return next((release for release in page.releases if release.version == version), None)
