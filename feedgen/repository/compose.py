"""From a change to the files that publish it, in the order of writing them (docs/formats.md section 8)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from feedgen.repository.roles import CHANNELS, expiry
from feedgen.repository.state import RepositoryState
from feedgen.repository.tuf_api import (
    JSONSerializer,
    Key,
    Metadata,
    MetaFile,
    Root,
    Signer,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from updater.trust.names import ROOT_FILE, feed_copy, feed_file, metadata_file

__all__ = ["Change", "Signers", "Write", "compose", "plain_copies", "role_keys", "sign", "to_bytes"]

_SERIALIZER = JSONSerializer(compact=True)  # a check that finds nothing new costs one timestamp: keep it small


class Signers(Protocol):
    """Where signatures come from."""

    def signers(self, role: str, keys: Sequence[Key], threshold: int) -> Sequence[Signer]:
        """Signers for ``role``, at least ``threshold``. Raises ``KeyNotFoundError`` or ``ThresholdError``."""
        ...


@dataclass(frozen=True)
class Write:
    """One file to be put in place: its path relative to the site, and its bytes."""

    path: str
    data: bytes


@dataclass(frozen=True)
class Change:
    """What shall be different: ``root`` and ``targets`` already signed; ``feeds`` by channel; roles to sign again."""

    root: Metadata[Root] | None = None
    targets: Metadata[Targets] | None = None
    feeds: Mapping[str, bytes] = field(default_factory=dict)
    resign: frozenset[str] = frozenset()


def to_bytes(metadata: Metadata[Any]) -> bytes:
    """Metadata as it is published: compact JSON."""
    return metadata.to_bytes(_SERIALIZER)


def role_keys(delegator: Root | Targets, role: str) -> tuple[list[Key], int]:
    """The keys of a role, and how many of them must sign."""
    delegated = delegator.get_delegated_role(role)
    return [delegator.get_key(keyid) for keyid in delegated.keyids], delegated.threshold


def sign(metadata: Metadata[Any], role: str, delegator: Root | Targets, signers: Signers) -> Metadata[Any]:
    """Sign with the role's keys that are at hand; all signatures are made anew. Returns ``metadata``."""
    metadata.signatures.clear()
    for signer in signers.signers(role, *role_keys(delegator, role)):
        metadata.sign(signer, append=True)
    return metadata


def compose(state: RepositoryState, change: Change, signers: Signers, now: datetime) -> list[Write]:
    """The files that take a site from ``state`` to the change; empty when it changes nothing.

    A version number is never used twice, not even that of a file which an interrupted run left behind. Raises
    ``KeyNotFoundError``, ``ThresholdError`` and ``SigningError``.
    """
    writes = [Write(feed_copy(name, _sha256(data)), data) for name, data in change.feeds.items()]
    root = change.root or state.root
    if change.root is not None:
        writes.append(Write(metadata_file("root", root.signed.version), to_bytes(root)))

    targets, renewed = _targets(state, change, root.signed, signers, now)
    roles = {
        channel: role
        for channel in CHANNELS
        if (role := _channel(state, change, channel, targets.signed, signers, now)) is not None
    }
    if renewed:
        writes.append(Write(metadata_file("targets", targets.signed.version), to_bytes(targets)))
    writes += [Write(metadata_file(name, role.signed.version), to_bytes(role)) for name, role in roles.items()]

    snapshot = state.snapshot
    if renewed or roles or _again("snapshot", state, change, root):
        versions = {"targets": targets.signed.version}
        versions |= {name: roles.get(name, state.channels[name]).signed.version for name in CHANNELS}
        meta = {f"{name}.json": MetaFile(version) for name, version in versions.items()}
        number = state.highest["snapshot"] + 1
        snapshot = Metadata(Snapshot(number, expires=expiry("snapshot", now), meta=meta))
        sign(snapshot, "snapshot", root.signed, signers)
        writes.append(Write(metadata_file("snapshot", number), to_bytes(snapshot)))
    if snapshot is not state.snapshot or _again("timestamp", state, change, root):
        timestamp = Metadata(
            Timestamp(
                state.timestamp.signed.version + 1,
                expires=expiry("timestamp", now),
                snapshot_meta=MetaFile(snapshot.signed.version),
            )
        )
        sign(timestamp, "timestamp", root.signed, signers)
        writes.append(Write(metadata_file("timestamp"), to_bytes(timestamp)))
    return writes


def plain_copies(state: RepositoryState) -> list[Write]:
    """The files for people and other tools, which follow from the signed ones."""
    feeds = [Write(feed_file(channel), data) for channel, data in state.feeds.items()]
    return [*feeds, Write(ROOT_FILE, state.root_bytes)]


def _again(role: str, state: RepositoryState, change: Change, root: Metadata[Root]) -> bool:
    metadata = state.metadata(role)
    accepted = root.signed.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
    return role in change.resign or not accepted


def _targets(
    state: RepositoryState, change: Change, root: Root, signers: Signers, now: datetime
) -> tuple[Metadata[Targets], bool]:
    if change.targets is not None:
        return change.targets, change.targets.signed.version != state.targets.signed.version
    if not _again("targets", state, change, change.root or state.root):
        return state.targets, False
    renewed = _copy(state.targets)
    renewed.signed.version = state.highest["targets"] + 1
    renewed.signed.expires = expiry("targets", now)
    return sign(renewed, "targets", root, signers), True


def _channel(  # noqa: PLR0917 - one decision that needs all of them
    state: RepositoryState, change: Change, channel: str, targets: Targets, signers: Signers, now: datetime
) -> Metadata[Targets] | None:
    """New metadata of a channel's role, or None when the published one stays."""
    published = state.channels[channel]
    accepted = targets.get_verification_result(channel, published.signed_bytes, published.signatures)
    if channel not in change.feeds and channel not in change.resign and accepted:
        return None
    renewed = _copy(published)
    renewed.signed.version = state.highest[channel] + 1
    renewed.signed.expires = expiry(channel, now)
    if channel in change.feeds:
        name = feed_file(channel)
        renewed.signed.targets = {name: TargetFile.from_data(name, change.feeds[channel], ["sha256"])}
    return sign(renewed, channel, targets, signers)


def _copy(metadata: Metadata[Targets]) -> Metadata[Targets]:
    copy: Metadata[Targets] = Metadata.from_bytes(metadata.to_bytes())
    return copy


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
