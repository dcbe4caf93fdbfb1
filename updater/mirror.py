"""A complete copy of a feed, verified: for machines that reach no other, and for the web servers that they do reach.

The folder has the layout of a published site (`updater.trust.names`), with every package, index and delta below
``packages/``. Clients trust it as little as any other server: everything in it is signed, or named by what is signed.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from updater.acquire.addresses import addresses_of
from updater.errors import ConfigError, DowngradeError, DownloadHTTPError, TargetMismatchError
from updater.events import Event, Phase, Reporter, ignore_events
from updater.feeds import read_feed
from updater.frozen import frozen
from updater.package.index import IndexHead
from updater.schema.feed import Feed, Release
from updater.schema.release import PackageIndex
from updater.site.files import write_atomic
from updater.site.reading import read_file, read_json
from updater.transport import Response, Transport
from updater.transport.directory import DirectoryTransport
from updater.transport.fetch_file import download
from updater.trust import FeedLocation, obtain_root, validate_root
from updater.trust.archive import with_older_releases
from updater.trust.names import CHANNELS, METADATA_DIRECTORY, ROOT_FILE, feed_file, metadata_file

__all__ = ["PACKAGES", "MirrorTransport", "Mirrored", "make_mirror"]

PACKAGES = "packages"
"""The folder of a mirror for everything that the feed names by digest: packages, indexes and deltas."""

_SOME = f"https://mirror.invalid/{PACKAGES}/"
_TIMESTAMP = metadata_file("timestamp")
_MOST_ROOT = 512_000


@frozen
class Mirrored:
    """What is in the mirror now: its channel, versions newest first, bytes fetched, and files removed."""

    channel: str
    app: str
    versions: tuple[str, ...]
    fetched: int
    removed: int


class MirrorTransport:
    """Answers for a feed's server, and for wherever its packages lie, from the folder of a mirror."""

    def __init__(self, feed_url: str, directory: Path) -> None:
        base = FeedLocation.parse(feed_url).base_url
        if not (directory / _TIMESTAMP).is_file():
            raise ConfigError(
                f"{directory} is no mirror: it has no {_TIMESTAMP}.", hint="`updater mirror FEED_URL DIR` makes one."
            )
        self._base = base
        self._site = DirectoryTransport(base, directory)
        self._packages = DirectoryTransport(_SOME, directory / PACKAGES)

    @contextmanager
    def open(self, url: str, *, max_bytes: int, start: int = 0, end: int | None = None) -> Iterator[Response]:
        """See ``Transport.open``. A file that is not in the feed's place is looked for by its name."""
        with ExitStack() as opened:
            try:
                if not url.startswith(self._base):
                    raise DownloadHTTPError(f"{url} is not the feed's server's", status=404, url=url)
                response = opened.enter_context(self._site.open(url, max_bytes=max_bytes, start=start, end=end))
            except DownloadHTTPError as error:
                name = f"{_SOME}{urlsplit(url).path.rpartition('/')[2]}"
                if error.status != HTTPStatus.NOT_FOUND:
                    raise
                response = opened.enter_context(self._packages.open(name, max_bytes=max_bytes, start=start, end=end))
            yield response


@dataclass
class _Recorder:
    """Keeps what a client asks of a site's signed part, by path below the base."""

    transport: Transport
    base: str
    found: dict[str, bytes] = field(default_factory=dict)

    @contextmanager
    def open(self, url: str, *, max_bytes: int, start: int = 0, end: int | None = None) -> Iterator[Response]:
        """See ``Transport.open``."""
        with self.transport.open(url, max_bytes=max_bytes, start=start, end=end) as response:
            kept: list[bytes] = []

            def chunks() -> Iterator[bytes]:
                for chunk in response.chunks:
                    kept.append(chunk)
                    yield chunk
                if url.startswith(self.base) and response.start == 0:
                    self.found[url.removeprefix(self.base)] = b"".join(kept)

            yield Response(response.url, response.status, response.start, response.total, chunks())


def make_mirror(
    feed_url: str,
    directory: Path,
    transport: Transport,
    *,
    now: datetime,
    root: bytes | None = None,
    root_sha256: str | None = None,
    confirm_root: Callable[[bytes], bool] = lambda _root: True,
    newest: int | None = None,
    prune: bool = False,
    report: Reporter = ignore_events,
) -> Mirrored:
    """Make or refresh the mirror in ``directory``; what is there and right is not fetched again.

    ``root``, ``root_sha256``: who vouches for the feed, the first time; afterwards the mirror's own root does.
    ``newest``: packages of so many releases only (None: of all that the feed lists, archive pages included).
    ``prune``: remove what the feed names no more. Channels that the mirror has already are refreshed with it.

    Files come before what names them, so that the folder can be served all the time. Raises ConfigError, FeedError and
    DownloadError as checks and updates do; DowngradeError when the server offers older metadata than the mirror has.
    """
    location = FeedLocation.parse(feed_url)
    directory.mkdir(parents=True, exist_ok=True)
    own = directory / ROOT_FILE
    if own.is_file():
        root = read_file(own, most=_MOST_ROOT)
    vouched = root is not None or root_sha256 is not None
    trusted = obtain_root(location, transport, root=root, sha256=root_sha256)
    if not vouched and not confirm_root(trusted):
        raise ConfigError("The root of trust was not confirmed; nothing was mirrored.")
    channels = [location.channel, *(c for c in CHANNELS if (directory / feed_file(c)).is_file())]
    work = _Work(location, directory, transport, report)
    with tempfile.TemporaryDirectory(prefix="updater-mirror-") as scratch:
        feeds = {c: work.read(c, Path(scratch) / c, trusted, now) for c in dict.fromkeys(channels)}
    work.refuse_older()
    for feed in feeds.values():
        work.fetch(feed.releases[:newest])
    work.write()
    removed = work.prune() if prune else 0
    feed = feeds[location.channel]
    versions = tuple(release.version for release in feed.releases[:newest])
    return Mirrored(location.channel, feed.app, versions, work.fetched, removed)


class _Work:
    def __init__(self, location: FeedLocation, directory: Path, transport: Transport, report: Reporter) -> None:
        self._location = location
        self._directory = directory
        self._transport = transport
        self._report = report
        self._recorder = _Recorder(transport, location.base_url)
        self._names: set[str] = set()
        self.fetched = 0

    def read(self, channel: str, state: Path, root: bytes, now: datetime) -> Feed:
        """Verify a channel as a new client does, and note every file that this took; with all its older releases."""
        url = self._location.base_url + feed_file(channel)
        self._report(Event(Phase.CHECK, "message", f"Reading {url}"))
        state.mkdir()
        (state / "root.json").write_bytes(root)
        found = read_feed(url, state, self._recorder, now=now, app=None, component=None)
        if found.freshness.state != "fresh":
            raise ConfigError(f"The {found.freshness}.", hint="Only what is fresh is worth mirroring: try again later.")
        self._roots(root)
        self._plain(feed_file(channel))
        return with_older_releases(found.feed, found.feed.archive, state / "archive", self._recorder, feed_url=url)

    def _roots(self, root: bytes) -> None:
        """The newest root is the one to which the client's checks led from ``root``; nothing beyond it is believed. The
        older ones are for older sites, which follow the chain and verify each step of it."""
        found = self._recorder.found
        first = newest = validate_root(root)
        while metadata_file("root", newest + 1) in found:
            newest += 1
        found[ROOT_FILE] = root if newest == first else found[metadata_file("root", newest)]
        found[metadata_file("root", newest)] = found[ROOT_FILE]
        for version in range(1, newest):
            name = metadata_file("root", version)
            if name not in found:
                self._plain(name)

    def _plain(self, name: str) -> None:
        with self._recorder.open(self._location.base_url + name, max_bytes=1 << 26) as response:
            for _ in response.chunks:
                pass

    def refuse_older(self) -> None:
        """What the mirror has already must not be replaced by something older."""
        path = self._directory / _TIMESTAMP
        if not path.is_file():
            return
        offered = json.loads(self._recorder.found[_TIMESTAMP])["signed"]["version"]
        try:
            before = int(read_json(path)["signed"]["version"])
        except (OSError, ValueError, KeyError, TypeError):
            return  # damaged: it is replaced, as clients refuse it
        if offered < before:
            raise DowngradeError(
                f"{self._location.base_url} offers an older timestamp than this mirror has.",
                hint="Caches in between may still hold old files: try again later.",
            )

    def fetch(self, releases: Sequence[Release]) -> None:
        """Packages, indexes and deltas of ``releases``."""
        for release in releases:
            package = release.package
            self._file(package.urls, package.size, package.sha256)
            if package.index is not None:
                self._index(package.index)
            for delta in release.deltas:
                self._file(delta.urls, delta.size, delta.sha256)

    def _file(self, urls: Sequence[str], size: int, sha256: str) -> None:
        target = self._target(urls)
        before = target.stat().st_size if target.is_file() else 0
        addresses = addresses_of(urls, self._location.url)
        self._report(Event(Phase.DOWNLOAD, "message", target.name))
        download(self._transport, addresses, target, size=size, sha256=sha256)
        self.fetched += 0 if before == size else size

    def _index(self, index: PackageIndex) -> None:
        """An index is named by the digest of its head, and that by those of its blocks."""
        target = self._target(index.urls)
        if target.is_file() and _is_index(read_file(target, most=index.size + 1), index, target.name):
            return
        for url in addresses_of(index.urls, self._location.url):
            with self._transport.open(url, max_bytes=index.size) as response:
                data = b"".join(response.chunks)
            if _is_index(data, index, target.name):
                target.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(target, data, mode=0o644)
                self.fetched += len(data)
                return
        raise TargetMismatchError(f"{index.urls[0]} is not the signed index", hint="Tell the publisher.")

    def _target(self, urls: Sequence[str]) -> Path:
        name = urlsplit(urls[0]).path.rpartition("/")[2]
        if name in ("", ".", ".."):
            raise ConfigError(f"The feed names a file without a name: {urls[0]}")
        self._names.add(name)
        return self._directory / PACKAGES / name

    def write(self) -> None:
        """The signed part: what names others comes after them, and the timestamp, with which all begins, last."""
        order = sorted(self._recorder.found, key=lambda name: (name == _TIMESTAMP, name.startswith(METADATA_DIRECTORY)))
        for name in order:
            path = self._directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.is_file() or path.read_bytes() != self._recorder.found[name]:
                write_atomic(path, self._recorder.found[name], mode=0o644)

    def prune(self) -> int:
        """Remove what is not named any more, in the folders that are ours."""
        wanted = set(self._recorder.found) | {f"{PACKAGES}/{name}" for name in self._names}
        removed = 0
        for folder in (PACKAGES, METADATA_DIRECTORY, "feeds"):
            for path in sorted((self._directory / folder).rglob("*")):
                if path.is_file() and path.relative_to(self._directory).as_posix() not in wanted:
                    path.unlink()
                    removed += 1
        return removed


def _is_index(data: bytes, index: PackageIndex, name: str) -> bool:
    head = data[: index.head_size]
    if len(data) != index.size or hashlib.sha256(head).hexdigest() != index.head_sha256:
        return False
    found = IndexHead.parse(head, len(data), name)
    for number, block in enumerate(found.blocks):
        found.read_block(number, data[block.offset : block.end])
    return True
