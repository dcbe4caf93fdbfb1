"""The first metadata of an app: root, targets that only delegate, empty channels, snapshot, timestamp."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from feedgen.repository.compose import Signers, Write, sign, to_bytes
from feedgen.repository.roles import CHANNELS, ONLINE, expiry
from feedgen.repository.tuf_api import (
    DelegatedRole,
    Delegations,
    Key,
    Metadata,
    MetaFile,
    Role,
    Root,
    Snapshot,
    Targets,
    Timestamp,
)
from updater.trust.names import ROOT_FILE, feed_file, metadata_file

__all__ = ["FirstKeys", "create"]


@dataclass(frozen=True)
class FirstKeys:
    """The public keys of a new app, and how many of the root keys must sign root and targets."""

    root: Sequence[Key]
    root_threshold: int
    channels: Mapping[str, Key]
    online: Key


def create(keys: FirstKeys, signers: Signers, now: datetime) -> list[Write]:
    """The files of a new repository, all of version 1, in the order of writing. Raises ``SigningError``."""
    root = _root(keys, now)
    targets = _targets(keys, now)
    writes = [
        Write(metadata_file("root", 1), to_bytes(sign(Metadata(root), "root", root, signers))),
        Write(metadata_file("targets", 1), to_bytes(sign(Metadata(targets), "targets", root, signers))),
    ]
    for channel in CHANNELS:
        role = Metadata(Targets(1, expires=expiry(channel, now)))
        writes.append(Write(metadata_file(channel, 1), to_bytes(sign(role, channel, targets, signers))))
    meta = {f"{name}.json": MetaFile(1) for name in ("targets", *CHANNELS)}
    snapshot = Metadata(Snapshot(1, expires=expiry("snapshot", now), meta=meta))
    writes.append(Write(metadata_file("snapshot", 1), to_bytes(sign(snapshot, "snapshot", root, signers))))
    timestamp = Metadata(Timestamp(1, expires=expiry("timestamp", now), snapshot_meta=MetaFile(1)))
    writes.append(Write(metadata_file("timestamp"), to_bytes(sign(timestamp, "timestamp", root, signers))))
    return [*writes, Write(ROOT_FILE, writes[0].data)]


def _root(keys: FirstKeys, now: datetime) -> Root:
    root_ids = [key.keyid for key in keys.root]
    roles = {name: Role(root_ids, keys.root_threshold) for name in ("root", "targets")}
    roles |= {name: Role([keys.online.keyid], 1) for name in ONLINE}
    known = {key.keyid: key for key in (*keys.root, keys.online)}
    return Root(1, expires=expiry("root", now), keys=known, roles=roles, consistent_snapshot=True)


def _targets(keys: FirstKeys, now: datetime) -> Targets:
    roles = {
        channel: DelegatedRole(channel, [key.keyid], 1, terminating=True, paths=[feed_file(channel)])
        for channel, key in keys.channels.items()
    }
    known = {key.keyid: key for key in keys.channels.values()}
    return Targets(1, expires=expiry("targets", now), delegations=Delegations(known, roles))
