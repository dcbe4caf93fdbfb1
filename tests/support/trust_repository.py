"""A publisher in memory: signs on demand with real Ed25519 keys, and is the transport that serves the result."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from securesystemslib.signer import CryptoSigner, Key  # type: ignore[attr-defined]
from tuf.api.metadata import (  # type: ignore[attr-defined]
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

from updater.errors import DownloadHTTPError
from updater.transport.base import Response, capped, respond
from updater.trust.names import CHANNELS, ROOT_FILE, FeedLocation, feed_copy, feed_file, metadata_file

ONLINE = ("snapshot", "timestamp")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

Fault = int | bytes | Exception | Callable[[], Iterator[bytes]]
"""What a path does instead of being served: an HTTP status, other bytes, an error, or a stream of chunks."""


@dataclass(frozen=True)
class Request:
    """One request that reached the repository; ``path`` is relative to its base URL."""

    path: str
    start: int
    end: int | None


class TrustRepository:
    """A published site. Everything it serves is in ``files`` (path below ``base_url`` to bytes), to be changed at
    will; ``faults`` override single paths; ``requests`` records what was asked for.

    ``signers`` holds the private keys per role: root, targets, online (snapshot and timestamp) and the channels.
    Every change through a method signs what is needed and writes it to ``files`` at once.
    """

    def __init__(
        self,
        base_url: str = "https://feeds.example/shop/",
        *,
        root_keys: int = 2,
        root_threshold: int = 2,
        expires: datetime | None = None,
        make_keys: Callable[[int], list[CryptoSigner]] | None = None,
    ) -> None:
        self.base_url = base_url
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, Fault] = {}
        self.requests: list[Request] = []
        self.ranges = True
        self.expires = expires or datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
        make = make_keys or _keys
        self.signers: dict[str, list[CryptoSigner]] = {
            "root": make(root_keys),
            "targets": make(1),
            "online": make(1),
            **{channel: make(1) for channel in CHANNELS},
        }
        self.signed: dict[str, Any] = {}
        self._create(root_threshold)
        self.root = self.files[metadata_file("root", 1)]
        """The first root: what a site embeds."""

    def location(self, channel: str = "stable") -> FeedLocation:
        """Where a client finds a channel."""
        return FeedLocation(self.base_url, channel)

    # publishing -----------------------------------------------------------------------------------------------

    def publish(self, channel: str, data: bytes, **custom: Any) -> None:
        """Publish ``data`` as the channel's feed: body, channel role, snapshot, timestamp."""
        sha256 = hashlib.sha256(data).hexdigest()
        self.files[feed_copy(channel, sha256)] = data
        self.files[feed_file(channel)] = data
        role = self.signed[channel]
        role.targets = {
            feed_file(channel): TargetFile(
                len(data), {"sha256": sha256}, feed_file(channel), unrecognized_fields=custom or None
            )
        }
        role.version += 1
        self.write(channel)
        self.refresh_online()

    def refresh_online(self) -> None:
        """Sign a new snapshot and timestamp for the current versions, and write them."""
        snapshot: Snapshot = self.signed["snapshot"]
        for role in ("targets", *CHANNELS):
            snapshot.meta[f"{role}.json"] = MetaFile(self.signed[role].version)
        snapshot.version += 1
        self.write("snapshot")
        self.refresh_timestamp()

    def refresh_timestamp(self) -> None:
        """Sign a new timestamp for the current snapshot, and write it."""
        timestamp: Timestamp = self.signed["timestamp"]
        timestamp.snapshot_meta = MetaFile(self.signed["snapshot"].version)
        timestamp.version += 1
        self.write("timestamp")

    def write(self, role: str) -> None:
        """Sign the present state of ``role`` with all of its keys and put it into ``files``."""
        self.files[self.path_of(role)] = self.sign(role)
        if role == "root":
            self.files[ROOT_FILE] = self.files[self.path_of("root")]

    def sign(self, role: str, *signers: CryptoSigner) -> bytes:
        """The metadata of ``role``, signed by ``signers`` (default: all of its keys)."""
        metadata = Metadata(self.signed[role])
        for signer in signers or self.signers[_key_of(role)]:
            metadata.sign(signer, append=True)
        return metadata.to_bytes(JSONSerializer(compact=True))

    def path_of(self, role: str) -> str:
        """Path of the current metadata of ``role``."""
        return metadata_file(role, None if role == "timestamp" else self.signed[role].version)

    # key and version events -----------------------------------------------------------------------------------

    def rotate(self, *roles: str) -> None:
        """Exchange the keys of root, targets, online or a channel; writes the new root and targets, and refreshes."""
        previous = list(self.signers["root"])
        for role in roles:
            self.signers[role] = _keys(len(self.signers[role]))
        if any(role in ("root", "targets", "online") for role in roles):
            self.new_root(previous)
        if any(role in CHANNELS for role in roles) or "targets" in roles:
            self._delegate()
            self.signed["targets"].version += 1
            self.write("targets")
            for role in CHANNELS:
                self.write(role)
        self.refresh_online()

    def new_root(self, previous: list[CryptoSigner] | None = None) -> None:
        """Publish the next root, signed by the ``previous`` root keys and the present ones."""
        root: Root = self.signed["root"]
        for role in root.roles.values():
            role.keyids.clear()
        root.keys.clear()
        for name, role in root.roles.items():
            for signer in self.signers[_key_of(name)]:
                root.add_key(signer.public_key, name)
            role.threshold = min(role.threshold, len(role.keyids))
        root.version += 1
        signers = {signer.public_key.keyid: signer for signer in (*self.signers["root"], *(previous or []))}
        self.files[self.path_of("root")] = self.sign("root", *signers.values())
        self.files[ROOT_FILE] = self.files[self.path_of("root")]

    def set_version(self, role: str, version: int) -> None:
        """Jump to a version of a role, up or down, and sign what depends on it."""
        self.signed[role].version = version
        self.write(role)
        if role == "snapshot":
            self.refresh_timestamp()
        elif role not in ("timestamp", "root"):
            self.refresh_online()

    def set_expiry(self, role: str, expires: datetime = LONG_AGO) -> None:
        """Sign ``role`` anew, with the next version, to expire at ``expires``."""
        self.signed[role].expires = expires
        if role == "timestamp":
            self.refresh_timestamp()
        elif role == "snapshot":
            self.refresh_online()
        elif role == "root":
            self.new_root()
        else:
            self.signed[role].version += 1
            self.write(role)
            self.refresh_online()

    def renew(self, role: str) -> None:
        """Undo ``set_expiry``: sign with a future expiry again."""
        self.set_expiry(role, self.expires)

    # faults ---------------------------------------------------------------------------------------------------

    def photograph(self) -> dict[str, bytes]:
        """A copy of all files as they are now, for ``serve`` later: what a stale CDN edge still has."""
        return dict(self.files)

    @contextmanager
    def serving(self, files: Mapping[str, bytes]) -> Iterator[None]:
        """Serve these files instead, for the duration of the block."""
        mine, self.files = self.files, dict(files)
        try:
            yield
        finally:
            self.files = mine

    def thief(self, *stolen: str) -> TrustRepository:
        """An attacker's copy of the whole site that can sign with the ``stolen`` keys (such as online, stable)."""
        other = object.__new__(TrustRepository)
        other.__dict__.update(self.__dict__)
        other.files, other.faults, other.requests = dict(self.files), {}, []
        other.signers = {role: list(keys) if role in stolen else [] for role, keys in self.signers.items()}
        other.signed = {role: Metadata[Any].from_bytes(self.files[self.path_of(role)]).signed for role in self.signed}
        return other

    # being a transport ----------------------------------------------------------------------------------------

    @contextmanager
    def open(self, url: str, *, max_bytes: int, start: int = 0, end: int | None = None) -> Iterator[Response]:
        """See ``Transport.open``."""
        path = url.removeprefix(self.base_url)
        self.requests.append(Request(path, start, end))
        found: Fault | None = self.faults.get(path, self.files.get(path))
        if url == path or found is None:
            found = 404
        if isinstance(found, Exception):
            raise found
        if isinstance(found, int):
            raise DownloadHTTPError(f"{url} was answered with HTTP {found}", status=found, url=url)
        if callable(found):
            yield Response(url, 200, 0, None, capped(found(), max_bytes, url=url))
            return
        data = found
        if not self.ranges:
            start, end = 0, None
        yield respond(url, len(data), lambda a, b: _pieces(data[a:b]), max_bytes=max_bytes, start=start, end=end)

    def asked(self) -> list[str]:
        """Paths requested since the last call."""
        paths = [request.path for request in self.requests]
        self.requests.clear()
        return paths

    # beginnings -----------------------------------------------------------------------------------------------

    def _create(self, root_threshold: int) -> None:
        root = Root(version=1, expires=self.expires, consistent_snapshot=True)
        root.roles["root"].threshold = root_threshold
        self.signed = {
            "root": root,
            "targets": Targets(version=1, expires=self.expires),
            "snapshot": Snapshot(version=1, expires=self.expires),
            "timestamp": Timestamp(version=1, expires=self.expires),
            **{channel: Targets(version=1, expires=self.expires) for channel in CHANNELS},
        }
        for role in ("root", *ONLINE):
            self.signed[role].version = 0  # the first writing of each makes it 1
        self.new_root()
        self._delegate()
        for role in ("targets", *CHANNELS):
            self.write(role)
        self.refresh_online()

    def _delegate(self) -> None:
        """Delegations of targets: each channel its own keys and its one path, terminating."""
        roles = {
            channel: DelegatedRole(
                channel,
                [signer.public_key.keyid for signer in self.signers[channel]],
                len(self.signers[channel]),
                terminating=True,
                paths=[feed_file(channel)],
            )
            for channel in CHANNELS
        }
        keys: dict[str, Key] = {s.public_key.keyid: s.public_key for channel in CHANNELS for s in self.signers[channel]}
        self.signed["targets"].delegations = Delegations(keys, roles)


def _keys(count: int) -> list[CryptoSigner]:
    return [CryptoSigner.generate_ed25519() for _ in range(count)]


def _key_of(role: str) -> str:
    return "online" if role in ONLINE else role


def _pieces(data: bytes, size: int = 4096) -> Iterator[bytes]:
    for offset in range(0, len(data), size):
        yield data[offset : offset + size]
