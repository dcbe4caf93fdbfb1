"""Whose keys sign, since when, and until when: read from the repository's state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from feedgen.keys import key_name
from feedgen.repository.compose import role_keys
from feedgen.repository.roles import CHANNELS, LIFETIME_DAYS, ONLINE
from feedgen.repository.state import RepositoryState
from feedgen.repository.tuf_api import Metadata, Root
from updater.trust import fingerprint

__all__ = ["KeyInfo", "RoleInfo", "Trust", "gather"]

_DUTIES = {
    "root": "Decides which keys count.",
    "targets": "Hands each channel to its keys.",
    "stable": "Signs the stable feed.",
    "beta": "Signs the beta feed.",
    "alpha": "Signs the alpha feed.",
    "snapshot": "Keeps the files of one moment together.",
    "timestamp": "Says that this is the newest state.",
}


@dataclass(frozen=True)
class KeyInfo:
    """A public key: its name, its id, the roles it signs, and the root it came with (``since`` None: not recorded)."""

    name: str
    id: str
    roles: tuple[str, ...]
    root_version: int | None
    since: datetime | None


@dataclass(frozen=True)
class RoleInfo:
    """A role: what it is for, how many of its keys must sign, and from when until when its signature holds."""

    name: str
    duty: str
    threshold: int
    keys: tuple[str, ...]
    version: int
    signed: datetime
    expires: datetime

    @property
    def online(self) -> bool:
        """Whether automation renews it."""
        return self.name in ONLINE


@dataclass(frozen=True)
class Trust:
    """The state of trust in a site. Fingerprints are SHA-256 of the root files, in hex."""

    first_fingerprint: str
    newest_fingerprint: str
    root_version: int
    roles: tuple[RoleInfo, ...]
    keys: tuple[KeyInfo, ...]

    @property
    def next_expiry(self) -> RoleInfo:
        """What runs out first among the signatures that people or the release process renew."""
        return min((role for role in self.roles if not role.online), key=lambda role: role.expires)

    def role(self, name: str) -> RoleInfo:
        """The role of that name."""
        return next(role for role in self.roles if role.name == name)


def gather(state: RepositoryState, first_root: bytes) -> Trust:
    """Everything the trust page says. ``first_root``: the bytes of root version 1."""
    roles = tuple(_role(state, name) for name in _DUTIES)
    return Trust(
        first_fingerprint=fingerprint(first_root),
        newest_fingerprint=fingerprint(state.root_bytes),
        root_version=state.root.signed.version,
        roles=roles,
        keys=_keys(state),
    )


def _role(state: RepositoryState, name: str) -> RoleInfo:
    signed = state.metadata(name).signed
    keys, threshold = role_keys(state.targets.signed if name in CHANNELS else state.root.signed, name)
    expires = signed.expires.replace(tzinfo=UTC)
    names = tuple(key_name(key) for key in keys)
    return RoleInfo(name, _DUTIES[name], threshold, names, signed.version, _signed_at(name, expires), expires)


def _signed_at(role: str, expires: datetime) -> datetime:
    """Metadata holds its end only; the publisher always gives a role the same life."""
    return expires - timedelta(days=LIFETIME_DAYS[role])


def _keys(state: RepositoryState) -> tuple[KeyInfo, ...]:
    roles: dict[str, list[str]] = {}
    known = {}
    for name in _DUTIES:
        for key in role_keys(state.targets.signed if name in CHANNELS else state.root.signed, name)[0]:
            roles.setdefault(key.keyid, []).append(name)
            known[key.keyid] = key
    found = []
    for keyid, key in known.items():
        number, since = _came_with(state.roots, keyid)
        found.append(KeyInfo(key_name(key), keyid, tuple(roles[keyid]), number, since))
    return tuple(found)


def _came_with(roots: Sequence[Metadata[Root]], keyid: str) -> tuple[int | None, datetime | None]:
    """The root since which the key has been in every root; channel keys stand in targets, of which old ones go."""
    number, since = None, None
    for root in reversed(roots):
        if keyid not in root.signed.keys:
            break
        number, since = root.signed.version, _signed_at("root", root.signed.expires.replace(tzinfo=UTC))
    return number, since
