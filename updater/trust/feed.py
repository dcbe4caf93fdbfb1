"""The signed feed of a channel, and what to do while it cannot be had (``tuf`` is loaded by the first fetch)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from updater.errors import (
    DowngradeError,
    DownloadError,
    DownloadHTTPError,
    DownloadTooLargeError,
    ExpiredError,
    FeedError,
    StateError,
    TargetMismatchError,
    UpdaterError,
)
from updater.frozen import frozen
from updater.transport import Transport
from updater.transport.urls import shown
from updater.trust.names import FeedLocation, feed_file
from updater.trust.storage import (
    LastGood,
    clear_leftovers,
    locked,
    prepare,
    read_record,
    read_verified,
    write_record,
)

if TYPE_CHECKING:
    from updater.trust.client import Target, TufClient
    from updater.trust.observe import Observed

__all__ = ["FeedClient", "Freshness", "TrustedFeed"]

Accept = Callable[[bytes], None]


@frozen
class Freshness:
    """Whether the feed is what the publisher offers now (``fresh``), or the last good one (``stale``).

    ``reason`` says why it is stale, as a clause; empty when fresh. ``last_good``: when it was last verified.
    A stale feed is good enough to show; nothing may be installed from it automatically.
    """

    state: Literal["fresh", "stale"]
    reason: str
    last_good: datetime

    def __str__(self) -> str:
        when = f"{self.last_good.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        if self.state == "fresh":
            return f"feed is fresh, verified on {when}"
        return f"feed is stale, last good on {when}: {self.reason}"


@frozen
class TrustedFeed:
    """A verified feed: its bytes, and what is known about them.

    ``expires`` holds the expiry (UTC) of each role's metadata as of the last successful fetch in this call; empty
    when the feed is stale.
    """

    data: bytes
    channel: str
    freshness: Freshness
    root_version: int
    expires: Mapping[str, datetime] = field(default_factory=dict)


class _SoftError(Exception):
    """The feed cannot be had at the moment, and that is no sign of an attack. The cause is the error."""

    def __init__(self, error: UpdaterError) -> None:
        super().__init__(str(error))
        self.error = error


class FeedClient:
    """Fetches the feed at ``location``; everything it must remember is in ``trust_dir``.

    ``root`` is the trusted root that the site was set up with (see ``obtain_root``). A trust directory belongs to
    one root of trust: delete it to change over to another.
    """

    def __init__(
        self,
        location: FeedLocation,
        trust_dir: Path,
        root: bytes,
        transport: Transport,
        *,
        lock_wait: float = 120.0,
    ) -> None:
        self._location = location
        self._dir = trust_dir
        self._root = root
        self._transport = transport
        self._lock_wait = lock_wait

    def fetch(self, *, now: datetime, accept: Accept) -> TrustedFeed:
        """The feed, freshly verified; or the last good one, marked stale, when that cannot be done for now.

        ``now`` (aware) goes into our records; expiry dates are compared with the system clock. ``accept(data)`` is
        called with a verified feed before it becomes the last good one, and refuses it by raising an
        ``UpdaterError`` (``SchemaError``, ``DowngradeError`` for its sequence number): that error is passed on and
        the last good feed stays.

        Stale, with a reason: older metadata than seen before (a CDN edge behind the others), a file that is
        announced but not there yet, expired metadata, and every transport error. Without a last good feed these
        raise their error. Always raised: ``SignatureError``, ``SchemaError``, ``TargetMismatchError`` and other
        ``FeedError``. A wrong digest is never a matter of time here, because files are named by version or digest.
        Also raises ``StateError`` (``LockedError`` when another process holds the directory for too long).
        """
        prepare(self._dir)
        with locked(self._dir, wait=self._lock_wait):
            clear_leftovers(self._dir)
            record = self._record()
            try:
                data, observed = self._verified(record)
            except _SoftError as soft:
                stale = self._last_good(record, soft.error)
                if stale is None:
                    raise soft.error from soft.error.__cause__
                return stale
            accept(data)
            return self._remember(data, observed, now)

    def _record(self) -> LastGood | None:
        """The record. A damaged one is forgotten only while the metadata still guards against older versions."""
        from updater.trust.observe import metadata_is_whole

        try:
            return read_record(self._dir)
        except StateError:
            if metadata_is_whole(self._dir / "metadata"):
                return None
            raise StateError(
                f"The trust data in {self._dir} is damaged beyond repair",
                hint=f"Delete {self._dir} to start anew from the embedded root. Until the next check this site then"
                " cannot tell whether the feed it is offered is older than the one it had.",
            ) from None

    def _verified(self, record: LastGood | None) -> tuple[bytes, Observed]:
        """Refresh, and the feed's bytes. ``_SoftError`` for what will pass."""
        from updater.trust.client import TufClient
        from updater.trust.observe import observe

        channel = self._location.channel
        try:
            client = TufClient(
                self._dir / "metadata",
                self._location.metadata_url,
                self._location.feeds_url,
                self._transport,
                self._root,
            )
            target = client.find(feed_file(channel))
            if target is None:
                raise FeedError(
                    f"The publisher of {shown(self._location.base_url)} offers no channel {channel!r}",
                    hint="Choose another channel.",
                )
            observed = observe(self._dir / "metadata", channel)
            self._check_floor(record, observed)
        except (DownloadError, ExpiredError, DowngradeError) as error:
            raise _SoftError(error) from error
        return self._body(client, target), observed

    def _check_floor(self, record: LastGood | None, observed: Observed) -> None:
        """Nothing older than recorded, even if the metadata cache was lost and python-tuf started from nothing."""
        if record is None:
            return
        roles = {"root"}
        if record.online_keys == observed.online_keys:
            roles |= {"timestamp", "snapshot"}
            if record.channel == self._location.channel:
                roles.add(record.channel)
        for role in sorted(roles):
            seen, offered = record.versions.get(role, 0), observed.versions[role]
            if offered < seen:
                raise DowngradeError(
                    f"{shown(self._location.base_url)} offers version {offered} of {role};"
                    f" this site has already seen {seen}",
                    hint="Caches in between may still hold old files: try again later. If the feed was moved to a new"
                    f" root of trust on purpose, delete {self._dir}.",
                )

    def _body(self, client: TufClient, target: Target) -> bytes:
        sha256 = target.hashes.get("sha256", "")
        if len(sha256) != 64 or not sha256.isalnum():
            raise FeedError(f"The signed entry of {target.path} has no SHA-256 digest", hint="Tell the publisher.")
        path = self._feed_path(sha256)
        try:
            client.download(target.path, path)
        except DownloadTooLargeError as error:
            raise TargetMismatchError(
                f"The feed {target.path} is larger than its signed size of {target.length} bytes",
                hint="The copy on the server was replaced or damaged. Tell the publisher.",
            ) from error
        except DownloadError as error:
            raise _SoftError(error) from error
        data = read_verified(path, sha256)
        if data is None:
            raise StateError(f"{path} changed while it was read", hint="Check the disk.")
        return data

    def _feed_path(self, sha256: str) -> Path:
        return self._dir / "feeds" / f"{sha256}.json"

    def _last_good(self, record: LastGood | None, error: UpdaterError) -> TrustedFeed | None:
        if record is None or record.channel != self._location.channel:
            return None
        data = read_verified(self._feed_path(record.sha256), record.sha256)
        if data is None:
            return None
        freshness = Freshness("stale", _reason(error), record.at)
        return TrustedFeed(data, record.channel, freshness, record.versions.get("root", 0))

    def _remember(self, data: bytes, observed: Observed, now: datetime) -> TrustedFeed:
        channel = self._location.channel
        sha256 = hashlib.sha256(data).hexdigest()
        write_record(self._dir, LastGood(channel, sha256, now, observed.versions, observed.online_keys))
        for old in (self._dir / "feeds").iterdir():
            if old != self._feed_path(sha256):
                with suppress(OSError):
                    old.unlink()
        freshness = Freshness("fresh", "", now)
        return TrustedFeed(data, channel, freshness, observed.versions["root"], observed.expires)


def _reason(error: UpdaterError) -> str:
    if isinstance(error, DowngradeError):
        return "the server offers metadata older than this site has already seen"
    if isinstance(error, ExpiredError):
        return "the publisher's signature on it has expired and was not renewed"
    if isinstance(error, DownloadHTTPError) and error.status in (403, 404):
        return f"a file the publisher announced is not on the server yet ({error})"
    return f"the server cannot be used at the moment ({error})"
