"""Changing keys: a proposed root or targets collects signatures until the old and the new keys agree. Nothing is
written here; see `feedgen.publish.ceremony` for the drafts on disk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from feedgen.errors import ConfigError, PublishError
from feedgen.keys import key_name
from feedgen.repository.compose import role_keys, to_bytes
from feedgen.repository.roles import CHANNELS, ONLINE, expiry
from feedgen.repository.state import RepositoryState
from feedgen.repository.tuf_api import Key, Metadata, Root, Signer, Targets

__all__ = [
    "ROLES",
    "Draft",
    "Edit",
    "Missing",
    "describe",
    "find_key",
    "members",
    "missing",
    "propose",
    "renew",
    "sign",
]

ROLES = ("root", *CHANNELS, "online")
"""What has keys of its own: root stands for root and targets, online for snapshot and timestamp."""


@dataclass(frozen=True)
class Edit:
    """A change of one role's keys: ``remove`` is a key id. None leaves a thing as it is."""

    role: str
    add: Key | None = None
    remove: str | None = None
    threshold: int | None = None


@dataclass(frozen=True)
class Draft:
    """Proposed metadata; None for what stays."""

    root: Metadata[Root] | None = None
    targets: Metadata[Targets] | None = None

    @property
    def parts(self) -> dict[str, Metadata[Any]]:
        """What there is, by role."""
        found: dict[str, Metadata[Any]] = {}
        if self.root is not None:
            found["root"] = self.root
        if self.targets is not None:
            found["targets"] = self.targets
        return found


@dataclass(frozen=True)
class Missing:
    """``count`` more signatures are needed on ``role``, by any of ``keys`` (their names)."""

    role: str
    count: int
    keys: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.count} more on {self.role}, by {' or '.join(self.keys)}"


def members(state: RepositoryState, role: str) -> tuple[list[Key], int]:
    """The keys of one of ``ROLES``, and its threshold."""
    if role in CHANNELS:
        return role_keys(state.targets.signed, role)
    return role_keys(state.root.signed, ONLINE[0] if role == "online" else role)


def find_key(state: RepositoryState, role: str, text: str | None) -> Key:
    """The key of ``role`` by its name or the start of its id; None is fine when the role has one key only."""
    keys, _ = members(state, role)
    names = ", ".join(f"{key_name(key)} ({key.keyid[:8]})" for key in keys)
    if text is None:
        if len(keys) == 1:
            return keys[0]
        raise ConfigError(f"{role} has several keys; which one is meant?", hint=f"Name one of {names}.")
    found = [key for key in keys if text == key_name(key) or (len(text) >= 4 and key.keyid.startswith(text))]
    if len(found) != 1:
        raise ConfigError(f"{role} has no key {text!r}", hint=f"Its keys are {names}.")
    return found[0]


def propose(state: RepositoryState, edit: Edit, now: datetime) -> Draft:
    """The unsigned metadata that makes an edit. Raises ``ConfigError`` when the role would be left unusable."""
    if edit.role in CHANNELS:
        targets = _next(state, "targets", now)
        _apply(targets.signed, edit.role, edit)
        return Draft(targets=targets)
    root = _next(state, "root", now)
    for role in ONLINE if edit.role == "online" else ("root", "targets"):
        _apply(root.signed, role, edit)
    old = state.targets
    accepted = root.signed.get_verification_result("targets", old.signed_bytes, old.signatures)
    return Draft(root, None if accepted else _next(state, "targets", now))


def renew(state: RepositoryState, roles: Iterable[str], now: datetime) -> Draft:
    """Root or targets as they are, with a new expiry."""
    wanted = set(roles)
    return Draft(
        _next(state, "root", now) if "root" in wanted else None,
        _next(state, "targets", now) if "targets" in wanted else None,
    )


def sign(state: RepositoryState, draft: Draft, signer: Signer) -> bool:
    """Add a signature to every part of the draft that the key counts for; says whether there was one."""
    counted = False
    for role, metadata in draft.parts.items():
        deciding = {key.keyid for delegator in _delegators(state, draft, role) for key in role_keys(delegator, role)[0]}
        if signer.public_key.keyid in deciding:
            metadata.sign(signer, append=True)
            counted = True
    return counted


def missing(state: RepositoryState, draft: Draft) -> list[Missing]:
    """The signatures that a draft still lacks; empty when it may be published."""
    found = []
    for role, metadata in draft.parts.items():
        for delegator in _delegators(state, draft, role):
            result = delegator.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
            if result.missing:
                names = tuple(key_name(key) for key in result.unsigned.values())
                found.append(Missing(role, result.missing, names))
    return list(dict.fromkeys(found))


def describe(state: RepositoryState, draft: Draft) -> list[str]:
    """What a draft changes, for the people who sign it."""
    lines = []
    for role, metadata in draft.parts.items():
        signed = metadata.signed
        lines.append(f"{role} version {signed.version}, valid until {signed.expires:%Y-%m-%d}")
    if draft.root is not None:
        for role in ("root", "targets", *ONLINE):
            lines += _differences(role, state.root.signed, draft.root.signed)
    if draft.targets is not None:
        for role in CHANNELS:
            lines += _differences(role, state.targets.signed, draft.targets.signed)
    return lines


def _differences(role: str, old: Root | Targets, new: Root | Targets) -> list[str]:
    (before, threshold_before), (after, threshold) = role_keys(old, role), role_keys(new, role)
    ids_before, ids_after = {key.keyid for key in before}, {key.keyid for key in after}
    lines = [f"  {role}: adds {key_name(key)} ({key.keyid})" for key in after if key.keyid not in ids_before]
    lines += [f"  {role}: removes {key_name(key)} ({key.keyid})" for key in before if key.keyid not in ids_after]
    if threshold != threshold_before:
        lines.append(f"  {role}: needs {threshold} of {len(after)} signatures instead of {threshold_before}")
    return lines


def _delegators(state: RepositoryState, draft: Draft, role: str) -> list[Root]:
    """Whose keys must have signed: a root satisfies the old and the new root; targets the newest root."""
    newest = (draft.root or state.root).signed
    return [state.root.signed, newest] if role == "root" else [newest]


def _next(state: RepositoryState, role: str, now: datetime) -> Metadata[Any]:
    metadata: Metadata[Any] = Metadata.from_bytes(to_bytes(state.metadata(role)))
    metadata.signatures.clear()
    metadata.signed.version = state.highest[role] + 1
    if role == "root" and metadata.signed.version != state.root.signed.version + 1:
        raise PublishError("The site's root files are not complete", hint="Restore the site from your published copy.")
    metadata.signed.expires = expiry(role, now)
    return metadata


def _apply(signed: Root | Targets, role: str, edit: Edit) -> None:
    if edit.add is not None:
        signed.add_key(edit.add, role)
    if edit.remove is not None:
        signed.revoke_key(edit.remove, role)
    delegated = signed.get_delegated_role(role)
    if edit.threshold is not None:
        delegated.threshold = edit.threshold
    count = len(delegated.keyids)
    if not 1 <= delegated.threshold <= count:
        raise ConfigError(
            f"{edit.role} would have {count} key{'s' if count != 1 else ''} and need {delegated.threshold} signatures",
            hint="Add a key first, use 'rotate' to exchange one, or set a smaller --threshold."
            if delegated.threshold > count
            else "At least one signature is needed.",
        )
