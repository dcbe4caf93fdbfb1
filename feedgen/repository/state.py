"""Reading the repository of a site, verified from its first root on. Expiry does not matter: it is for us to renew."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from feedgen.errors import PublishError, SigningError
from feedgen.repository.roles import CHANNELS
from feedgen.repository.tuf_api import DeserializationError, Metadata, Root, Snapshot, Targets, Timestamp
from updater.schema import Feed
from updater.trust.names import METADATA_DIRECTORY, archive_page, feed_copy, feed_file, metadata_file

__all__ = ["RepositoryState", "exists", "highest_versions", "load", "root_chain"]

_NUMBERED = re.compile(r"([1-9][0-9]{0,17})\.([a-z]+)\.json")
_Signed = TypeVar("_Signed", Root, Targets, Snapshot, Timestamp)


@dataclass(frozen=True)
class RepositoryState:
    """What a site has published: everything that ``timestamp.json`` leads to.

    ``roots``: oldest to newest, verified one by the other. ``feeds``: bytes by channel, for channels that have a
    feed. ``highest``: the highest version number in any file name, per role; above the published one after an
    interrupted run.
    """

    roots: tuple[Metadata[Root], ...]
    root_bytes: bytes
    targets: Metadata[Targets]
    snapshot: Metadata[Snapshot]
    timestamp: Metadata[Timestamp]
    channels: Mapping[str, Metadata[Targets]]
    feeds: Mapping[str, bytes]
    highest: Mapping[str, int]

    @property
    def root(self) -> Metadata[Root]:
        """The newest root."""
        return self.roots[-1]

    def metadata(self, role: str) -> Metadata[Any]:
        """The published metadata of a role."""
        return self.channels[role] if role in self.channels else getattr(self, role)

    def live_files(self) -> frozenset[str]:
        """Paths, relative to the site, of all versioned files that a client may be led to now."""
        live = {metadata_file("root", root.signed.version) for root in self.roots}
        live |= {metadata_file(role, self.metadata(role).signed.version) for role in ("targets", "snapshot", *CHANNELS)}
        for channel, data in self.feeds.items():
            live.add(feed_copy(channel, hashlib.sha256(data).hexdigest()))
            live |= {archive_page(channel, link.sha256) for link in Feed.parse(data, f"{channel}.json").archive}
        return frozenset(live | {metadata_file("timestamp")})


def exists(site: Path) -> bool:
    """Whether the folder holds a repository."""
    return (site / metadata_file("timestamp")).exists()


def load(site: Path) -> RepositoryState:
    """Read and verify a site. Raises ``PublishError`` when there is none or files are missing or damaged, and
    ``SigningError`` when something is not signed by the keys that must have signed it."""
    if not exists(site):
        raise PublishError(
            f"There is no published site in {site}",
            hint="Fetch the folder that you published (for example the branch that your host serves) and name it with"
            " --site. For a new app, run 'feedgen init'.",
        )
    roots, root_bytes = root_chain(site)

    def top_level(kind: type[_Signed], role: str, version: int | None = None) -> Metadata[_Signed]:
        metadata = _read(site, metadata_file(role, version), kind)
        # After an interrupted rotation only the previous root accepts it; composing the next files signs it anew.
        if not any(_signed_for(root, role, metadata) for root in roots[-2:]):
            raise _not_trusted(site, metadata_file(role, version))
        return metadata

    timestamp = top_level(Timestamp, "timestamp")
    snapshot = top_level(Snapshot, "snapshot", timestamp.signed.snapshot_meta.version)
    listed = snapshot.signed.meta
    wanted = [f"{role}.json" for role in ("targets", *CHANNELS)]
    if missing := [name for name in wanted if name not in listed]:
        raise PublishError(f"The snapshot in {site} does not list {', '.join(missing)}", hint=_RESTORE)
    targets = top_level(Targets, "targets", listed["targets.json"].version)
    channels = {}
    for channel in CHANNELS:
        path = metadata_file(channel, listed[f"{channel}.json"].version)
        channels[channel] = _read(site, path, Targets)
        if not _signed_for(targets, channel, channels[channel]):
            raise _not_trusted(site, path)
    feeds = {channel: _feed(site, channel, role) for channel, role in channels.items() if role.signed.targets}
    return RepositoryState(
        roots=roots,
        root_bytes=root_bytes,
        targets=targets,
        snapshot=snapshot,
        timestamp=timestamp,
        channels=channels,
        feeds=feeds,
        highest=highest_versions(site, timestamp.signed.version),
    )


def root_chain(site: Path) -> tuple[tuple[Metadata[Root], ...], bytes]:
    """All roots of a site from version 1 on, each verified by the one before, and the bytes of the newest."""
    roots: list[Metadata[Root]] = []
    newest = b""
    while not roots or (site / metadata_file("root", len(roots) + 1)).exists():
        path = metadata_file("root", len(roots) + 1)
        root = _read(site, path, Root)
        previous = roots[-1] if roots else root
        if root.signed.version != len(roots) + 1:
            raise SigningError(f"{site / path} says that it is version {root.signed.version}", hint=_RESTORE)
        if not (_signed_for(previous, "root", root) and _signed_for(root, "root", root)):
            raise _not_trusted(site, path)
        roots.append(root)
        newest = (site / path).read_bytes()
    return tuple(roots), newest


def highest_versions(site: Path, timestamp: int) -> dict[str, int]:
    """The highest version in the file names of each role; ``timestamp`` is the one without a number in its name."""
    found = {"timestamp": timestamp}
    for path in (site / METADATA_DIRECTORY).iterdir():
        if match := _NUMBERED.fullmatch(path.name):
            found[match[2]] = max(found.get(match[2], 0), int(match[1]))
    return found


_RESTORE = "The site was damaged or changed by something else. Restore the folder from the copy that you published."


def _signed_for(delegator: Metadata[Any], role: str, metadata: Metadata[Any]) -> bool:
    return bool(delegator.signed.get_verification_result(role, metadata.signed_bytes, metadata.signatures))


def _not_trusted(site: Path, path: str) -> SigningError:
    return SigningError(
        f"{site / path} is not signed by the keys that must have signed it",
        hint=f"{_RESTORE} Nothing was signed.",
    )


def _read(site: Path, path: str, kind: type[_Signed]) -> Metadata[_Signed]:
    try:
        metadata: Metadata[_Signed] = Metadata.from_bytes((site / path).read_bytes())
    except FileNotFoundError as error:
        raise PublishError(f"{site / path} is missing", hint=_RESTORE) from error
    except DeserializationError as error:
        raise PublishError(f"{site / path} is not TUF metadata", hint=_RESTORE) from error
    if not isinstance(metadata.signed, kind):
        raise PublishError(f"{site / path} is not {kind.__name__.lower()} metadata", hint=_RESTORE)
    return metadata


def _feed(site: Path, channel: str, role: Metadata[Targets]) -> bytes:
    target = role.signed.targets.get(feed_file(channel))
    sha256 = "" if target is None else target.hashes.get("sha256", "")
    path = site / feed_copy(channel, sha256)
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise PublishError(f"{path} is missing", hint=_RESTORE) from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise SigningError(f"{path} is not the feed that was signed", hint=f"{_RESTORE} Nothing was signed.")
    return data
