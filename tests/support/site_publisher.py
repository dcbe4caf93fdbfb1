"""A publisher of whole releases: real feeds over a real (in-memory) trust repository, with the packages they name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from packaging.version import Version

from tests.support.packages import Built
from tests.support.server import LoopbackServer
from tests.support.trust_repository import TrustRepository
from updater.schema.feed import Feed, Release
from updater.transport.base import Response

__all__ = ["SitePublisher"]


class SitePublisher:
    """Publishes packages on channels. In memory it is itself the transport; `serving` mounts it on 127.0.0.1.

    ``repository`` is the trust repository below (keys, metadata, faults, requests); ``feeds`` the present feed of
    each channel. Nothing in what is signed names an address, so that both ways serve the same site.
    """

    def __init__(
        self, app: str = "shop", *, component: str = "core", repository: TrustRepository | None = None
    ) -> None:
        self.app, self.component = app, component
        self.repository = repository or TrustRepository()
        self.feeds: dict[str, Feed] = {}

    @property
    def url(self) -> str:
        """The stable feed's address, for the in-memory transport."""
        return self.feed_url()

    @property
    def root(self) -> bytes:
        """What a site embeds."""
        return self.repository.root

    @property
    def files(self) -> dict[str, bytes]:
        """Everything that is served: path below the base URL to bytes; may be changed."""
        return self.repository.files

    def feed_url(self, channel: str = "stable") -> str:
        """A channel's feed address, for the in-memory transport."""
        return self.repository.location(channel).url

    def publish(self, built: Built, channel: str = "stable", **release_fields: Any) -> Release:
        """Put a package on the server and list it in the channel's feed; publishing a version again replaces it.

        ``release_fields`` are those of `Release`: ``critical=True``, ``yanked=Yank(...)``, ``notes=Notes(...)``.
        """
        release = replace(built.to_release(), **release_fields)
        for url in release.package.urls:
            if "://" not in url:
                self.files[url] = built.package
        if release.package.index is not None and built.index is not None:
            self.files[release.package.index.urls[0]] = built.index.data
        others = [other for other in self._releases(channel) if other.version != release.version]
        self.set_releases([release, *others], channel)
        return release

    def change(self, version: str, channel: str = "stable", **release_fields: Any) -> Release:
        """Change what the feed says of a published release (yank, halt, ...)."""
        releases = [
            replace(release, **release_fields) if release.version == version else release
            for release in self._releases(channel)
        ]
        self.set_releases(releases, channel)
        return next(release for release in releases if release.version == version)

    def set_releases(self, releases: list[Release], channel: str = "stable", **feed_fields: Any) -> Feed:
        """Replace the channel's list of releases: the next sequence, sorted, signed."""
        before = self.feeds.get(channel)
        feed = Feed(
            app=self.app,
            component=self.component,
            channel=channel,
            sequence=before.sequence + 1 if before else 1,
            generated=datetime.now(UTC).replace(microsecond=0),
            releases=tuple(sorted(releases, key=lambda release: Version(release.version), reverse=True)),
        )
        self.feeds[channel] = replace(feed, **feed_fields)
        self.repository.publish(channel, self.feeds[channel].to_bytes())
        return self.feeds[channel]

    def open(
        self, url: str, *, max_bytes: int, start: int = 0, end: int | None = None
    ) -> AbstractContextManager[Response]:
        """See ``Transport.open``."""
        return self.repository.open(url, max_bytes=max_bytes, start=start, end=end)

    @contextmanager
    def serving(self) -> Iterator[LoopbackServer]:
        """Mount the site on 127.0.0.1, for real HTTP: the stable feed is at ``server.url + "stable.json"``."""
        with LoopbackServer(self.files) as server:
            yield server

    def _releases(self, channel: str) -> tuple[Release, ...]:
        return self.feeds[channel].releases if channel in self.feeds else ()
