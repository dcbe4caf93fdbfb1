"""Signing again what would expire: decided by `plan_refresh`, which is pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from feedgen.errors import SigningError
from feedgen.keys import KeyRing, key_name
from feedgen.publish.site import commit
from feedgen.publish.writer import SiteWriter, site_lock
from feedgen.repository.ceremony import missing, renew, sign
from feedgen.repository.compose import Change, compose, role_keys
from feedgen.repository.roles import CHANNELS, ONLINE, days_left, due
from feedgen.repository.state import RepositoryState, load
from feedgen.repository.tuf_api import Key

__all__ = ["RefreshPlan", "RefreshResult", "plan_refresh", "refresh"]


@dataclass(frozen=True)
class RefreshPlan:
    """Roles to sign again, and those that are due although too few of their keys are at hand."""

    resign: tuple[str, ...]
    blocked: tuple[str, ...]


@dataclass(frozen=True)
class RefreshResult:
    """``signed``: roles with new signatures; ``warnings``: what somebody else has to do, as sentences."""

    signed: tuple[str, ...]
    warnings: tuple[str, ...]
    pruned: tuple[str, ...]
    written: tuple[str, ...]


def plan_refresh(state: RepositoryState, now: datetime, can_sign: Callable[[str], bool]) -> RefreshPlan:
    """What is due at ``now``. Online roles are always to be signed: without their key there is no refresh."""
    resign: list[str] = []
    blocked: list[str] = []
    for role in ("root", "targets", *CHANNELS, *ONLINE):
        if due(role, _expires(state, role), now):
            (resign if role in ONLINE or can_sign(role) else blocked).append(role)
    return RefreshPlan(tuple(resign), tuple(blocked))


def refresh(site: Path, ring: KeyRing, *, now: datetime, grace: timedelta) -> RefreshResult:
    """Sign again what is due, complete what an interrupted run left undone, prune.

    Raises ``KeyNotFoundError`` when the online key is needed and missing, and ``SigningError``, after everything else
    is done, when a role has expired and cannot be signed here.
    """
    with site_lock(site):
        state = load(site)

        def can_sign(role: str) -> bool:
            keys, threshold = _keys(state, role)
            return len(ring.available(keys)) >= threshold

        plan = plan_refresh(state, now, can_sign)
        draft = renew(state, plan.resign, now)
        for key in {key.keyid: key for role in draft.parts for key in ring.available(_keys(state, role)[0])}.values():
            sign(state, draft, ring.signer(key))
        if lacking := missing(state, draft):
            raise SigningError("Signatures are missing: " + "; ".join(str(item) for item in lacking))
        others = frozenset(plan.resign) - set(draft.parts)
        writes = compose(state, Change(draft.root, draft.targets, resign=others), ring, now)
        committed = commit(SiteWriter(site), writes, now=now, grace=grace)
        state = load(site)
    expired = [role for role in plan.blocked if days_left(_expires(state, role), now) <= 0]
    if expired:
        raise SigningError(
            f"{' and '.join(expired)} expired, so that sites take the feed for stale; the keys are not at hand",
            hint=_where(state, expired[0]),
        )
    signed = tuple(dict.fromkeys(_role_of(path) for path in committed.written if path.startswith("metadata/")))
    warnings = tuple(_warning(state, role, now) for role in plan.blocked)
    return RefreshResult(signed, warnings, committed.pruned, committed.written)


def _expires(state: RepositoryState, role: str) -> datetime:
    expires: datetime = state.metadata(role).signed.expires
    return expires.replace(tzinfo=UTC)


def _keys(state: RepositoryState, role: str) -> tuple[list[Key], int]:
    return role_keys(state.targets.signed if role in CHANNELS else state.root.signed, role)


def _role_of(path: str) -> str:
    return path.removesuffix(".json").replace("/", ".").rpartition(".")[2]


def _warning(state: RepositoryState, role: str, now: datetime) -> str:
    left = days_left(_expires(state, role), now)
    return f"{role} expires in {left:.0f} days and its keys are not at hand. {_where(state, role)}"


def _where(state: RepositoryState, role: str) -> str:
    keys, threshold = _keys(state, role)
    names = ", ".join(key_name(key) for key in keys)
    return f"Run 'feedgen refresh' where {threshold} of these keys are: {names}."
