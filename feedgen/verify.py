"""Looking at a published site as its clients will: the client's own trust code, cold and warm, and every package."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import urljoin

from packaging.version import InvalidVersion, Version

from feedgen.errors import SigningError
from feedgen.publish.site import MINISIGN_FILE
from feedgen.repository.roles import CHANNELS, days_left, due
from feedgen.verify_release import ReleaseCheck
from updater.errors import DownloadHTTPError, UpdaterError
from updater.schema import ArchiveLink, Feed, Release
from updater.transport import Response, Transport
from updater.trust import FeedClient, FeedLocation, fingerprint, validate_root
from updater.trust.archive import check_page
from updater.trust.client import TufClient
from updater.trust.names import feed_file, metadata_file

__all__ = ["NEWEST", "Checked", "Finding", "MappedTransport", "Report", "SiteCheck"]

NEWEST = "newest"
_SMALL = 1024 * 1024
Say = Callable[[str], None]


@dataclass(frozen=True)
class Finding:
    """Something wrong: where, and what."""

    where: str
    message: str


@dataclass(frozen=True)
class Checked:
    """A release that was looked at: its channels, the package's size in bytes, and whether all was right."""

    version: str
    channels: tuple[str, ...]
    size: int
    good: bool


@dataclass
class Report:
    """Everything found. ``warnings`` will need somebody soon; ``findings`` are wrong now."""

    base_url: str
    root_fingerprint: str = ""
    root_version: int = 0
    channels: dict[str, Feed] = field(default_factory=dict)
    releases: list[Checked] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether a client would have no complaint."""
        return not self.findings


class MappedTransport:
    """Several transports by the beginning of the URL, the longest first: a site and its store in two folders."""

    def __init__(self, routes: Sequence[tuple[str, Transport]], otherwise: Transport | None = None) -> None:
        self._routes = sorted(routes, key=lambda route: len(route[0]), reverse=True)
        self._otherwise = otherwise

    @contextmanager
    def open(self, url: str, *, max_bytes: int, start: int = 0, end: int | None = None) -> Iterator[Response]:
        """See ``Transport.open``."""
        transport = next((transport for prefix, transport in self._routes if url.startswith(prefix)), self._otherwise)
        if transport is None:
            raise DownloadHTTPError(f"{url} is in none of the folders that were given", status=404, url=url)
        with transport.open(url, max_bytes=max_bytes, start=start, end=end) as response:
            yield response


class SiteCheck:
    """One look at the site at ``base_url`` (ends in a slash) through ``transport``."""

    def __init__(
        self,
        base_url: str,
        transport: Transport,
        *,
        now: datetime,
        app: str = "",
        say: Say = lambda _line: None,
        mirrors: bool = True,
        deltas: bool = True,
        proven: Collection[str] = (),
    ) -> None:
        """``mirrors``: whether to look at all addresses of each file, or at the first only. ``deltas``: whether to look
        at indexes and deltas as well, but for applying those with the digests ``proven``."""
        self._base = base_url
        self._transport = transport
        self._now = now
        self._app = app
        self._say = say
        self._mirrors = mirrors
        self._deltas = deltas
        self._proven = proven
        self._pages: dict[str, tuple[Release, ...]] = {}
        self._report = Report(base_url)

    def run(self, *, only: str = "", expect: str = "") -> Report:
        """Check everything, or only the packages of version ``only``; never raises for what it finds.

        ``only`` may be ``NEWEST``: the newest release of each channel. ``expect``: the
        fingerprint (SHA-256, hex) that the first root must have.
        """
        root = self._root(expect)
        if root is not None:
            with tempfile.TemporaryDirectory(prefix="feedgen-verify-") as folder:
                for channel in CHANNELS:
                    self._channel(channel, root, Path(folder))
                self._newest_root(Path(folder))
                self._packages(Path(folder), only)
            self._page_not_found()
        if not self._report.channels and not self._report.findings:
            self._report.warnings.append("No release has been published yet.")
        return self._report

    def _wrong(self, where: str, error: UpdaterError | SigningError | str) -> None:
        self._report.findings.append(Finding(where, str(error)))

    def _read(self, path: str, limit: int = _SMALL) -> bytes:
        with self._transport.open(urljoin(self._base, path), max_bytes=limit) as response:
            return b"".join(response.chunks)

    def _root(self, expect: str) -> bytes | None:
        """The oldest root: what the first site that ever installed the app still starts from."""
        path = metadata_file("root", 1)
        try:
            data = self._read(path)
            validate_root(data)
        except UpdaterError as error:
            self._wrong(path, error)
            return None
        if expect and fingerprint(data) != expect:
            self._wrong(path, f"its fingerprint is {fingerprint(data)}, not {expect}")
            return None
        self._report.root_fingerprint = fingerprint(data)
        return data

    def _channel(self, channel: str, root: bytes, folder: Path) -> None:
        location = FeedLocation(self._base, channel)
        trust = folder / channel
        try:
            plain = self._plain(channel)
            if not self._offered(location, root, folder / f"look-{channel}"):
                if plain is not None:
                    self._wrong(feed_file(channel), "is there, but not signed")
                return
            self._say(f"Checking the {channel} feed")
            client = FeedClient(location, trust, root, self._transport)
            cold = client.fetch(now=self._now, accept=lambda _data: None)
            warm = FeedClient(location, trust, root, self._transport).fetch(now=self._now, accept=lambda _data: None)
            if warm.freshness.state != "fresh" or warm.data != cold.data:
                self._wrong(feed_file(channel), f"a second check sees something else: {warm.freshness}")
            feed = Feed.parse(cold.data, feed_file(channel))
        except UpdaterError as error:
            self._wrong(feed_file(channel), error)
            return
        if plain != cold.data:
            self._wrong(feed_file(channel), "the plain copy is missing" if plain is None else "is not the signed feed")
        if feed.channel != channel or (self._app and feed.app != self._app):
            self._wrong(feed_file(channel), f"is the {feed.channel} feed of {feed.app}")
        self._report.root_version = cold.root_version
        self._report.channels[channel] = feed
        for role, expires in cold.expires.items():
            if due(role, expires, self._now):
                left = days_left(expires, self._now)
                text = f"{role} expires in {left:.0f} days: run 'feedgen refresh' where its key is."
                if text not in self._report.warnings:
                    self._report.warnings.append(text)

    def _plain(self, channel: str) -> bytes | None:
        try:
            return self._read(feed_file(channel), 64 * _SMALL)
        except DownloadHTTPError as error:
            if error.status not in (403, 404):
                raise
            return None

    def _offered(self, location: FeedLocation, root: bytes, folder: Path) -> bool:
        folder.mkdir()
        client = TufClient(folder, location.metadata_url, location.feeds_url, self._transport, root)
        return client.find(feed_file(location.channel)) is not None

    def _newest_root(self, folder: Path) -> None:
        """``root.json`` must be the root that the walk from the first one ended at."""
        walked = next((folder / f"look-{channel}" / "root.json" for channel in CHANNELS), None)
        try:
            if walked is not None and walked.exists() and walked.read_bytes() != self._read("root.json"):
                self._wrong("root.json", "is not the newest root: new installs would start from another one")
        except UpdaterError as error:
            self._wrong("root.json", error)

    def _page_not_found(self) -> None:
        try:
            if len(self._read("404.html")) > 512:
                self._report.warnings.append("404.html is large, and every check of every site fetches it once.")
        except UpdaterError:
            self._report.warnings.append(
                "404.html is missing: every check fetches the host's own, larger page instead."
            )

    def _packages(self, folder: Path, only: str) -> None:
        found: dict[str, list[tuple[str, Release]]] = {}
        for channel, feed in self._report.channels.items():
            for release in self._releases(feed, only):
                found.setdefault(release.version, []).append((channel, release))
        check = ReleaseCheck(
            self._base,
            self._transport,
            folder,
            self._wrong,
            lambda where, what: self._report.warnings.append(f"{where}: {what}"),
            self._say,
            self._find,
            public=self._minisign_public() if found else None,
            mirrors=self._mirrors,
            proven=self._proven,
            deltas=self._deltas,
        )
        for version, listed in found.items():
            before = len(self._report.findings)
            first = listed[0][1]
            if any(_facts(release) != _facts(first) for _, release in listed):
                self._wrong(version, "the channels list different files for it")
            check.run(first, tuple(dict.fromkeys(url for _, release in listed for url in release.package.urls)))
            channels = tuple(channel for channel, _ in listed)
            self._report.releases.append(
                Checked(version, channels, first.package.size, len(self._report.findings) == before)
            )

    def _releases(self, feed: Feed, only: str) -> Iterator[Release]:
        """The releases of a feed and of its archive that shall be looked at."""
        if only == NEWEST:
            yield from feed.releases[:1]
            return
        yield from (release for release in feed.releases if only in ("", release.version))
        for link in feed.archive:
            if only == "" or Version(link.oldest) <= _version(only) <= Version(link.newest):
                page = self._page(feed, link)
                yield from (release for release in page if only in ("", release.version))

    def _find(self, version: str) -> Release | None:
        """A release of any channel."""
        for feed in self._report.channels.values():
            for release in self._releases(feed, version):
                return release
        return None

    def _page(self, feed: Feed, link: ArchiveLink) -> tuple[Release, ...]:
        """The releases of an archive page; none when something is wrong with it, which is noted."""
        if link.url not in self._pages:
            self._pages.clear()  # one page is enough to hold: releases are looked at page by page
            try:
                self._pages[link.url] = check_page(self._read(link.url, link.size), link, feed)
            except UpdaterError as error:
                self._wrong(link.url, error)
                self._pages[link.url] = ()
        return self._pages[link.url]

    def _minisign_public(self) -> str | None:
        try:
            return self._read(MINISIGN_FILE).decode("ascii")
        except (UpdaterError, UnicodeDecodeError) as error:
            self._wrong(MINISIGN_FILE, str(error))
            return None


def _facts(release: Release) -> tuple[object, ...]:
    index = release.package.index
    deltas = tuple((delta.from_version, delta.sha256) for delta in release.deltas)
    return release.package.sha256, release.manifest_sha256, index.head_sha256 if index else None, deltas


def _version(text: str) -> Version:
    """For comparing; below everything when it is none."""
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0.dev0")
