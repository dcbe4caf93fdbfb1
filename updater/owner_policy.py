"""What the owner's policy says to one release: pure decisions, each with its reason as a clause (docs/policy.md)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from updater.schema.policy_config import OwnerPolicy
from updater.schema.release import Release

__all__ = ["is_critical_way", "why_not_automatic", "why_not_offered"]


def why_not_offered(release: Release, policy: OwnerPolicy) -> str | None:
    """Why nobody is offered this release here, unless it is asked for by its version; None when it is."""
    if release.version in policy.skip:
        return "skipped by the owner ([policy] skip)"
    if not policy.pin:
        return None
    try:
        fits = SpecifierSet(policy.pin).contains(release.version, prereleases=True)
    except InvalidSpecifier:
        return f"the owner's [policy] pin, {policy.pin!r}, cannot be read"
    return None if fits else f"the owner keeps this site at {policy.pin} ([policy] pin)"


def why_not_automatic(
    release: Release,
    installed: str | None,
    policy: OwnerPolicy,
    now: datetime,
    *,
    critical: bool,
    approved: Collection[str] = (),
) -> str | None:
    """Why this release does not install itself at ``now`` (UTC); None when it may.

    ``critical``: it, or one that it brings along, is. ``approved``: the versions that stand in the file of approvals.
    """
    if not _let_in(release, installed, policy, critical=critical):
        return f"does not install itself: [policy] auto_install is {policy.auto_install!r}"
    if policy.approvals and release.version not in approved:
        return f"a person has to approve it, in {policy.approvals}"
    local = policy.local(now)
    if policy.hold_until is not None and local.date() < policy.hold_until:
        return f"the owner holds updates until {policy.hold_until}"
    rests = timedelta(hours=policy.soak)
    if not critical and now - release.published < rests:
        until = release.published + rests
        return f"the owner lets releases rest for {policy.soak:g} hours; this one until {until:%Y-%m-%d %H:%M} UTC"
    if policy.window is not None and not policy.window.contains(local):
        return f"the maintenance window ({policy.window}{f' {policy.zone}' if policy.zone else ''}) is not open"
    return None


def is_critical_way(release: Release, newer: Iterable[Release]) -> bool:
    """Whether ``release`` or any of the ``newer`` ones up to it is critical: going past one brings it along."""
    here = Version(release.version)
    return any(other.critical and other.yanked is None and Version(other.version) <= here for other in newer)


def _let_in(release: Release, installed: str | None, policy: OwnerPolicy, *, critical: bool) -> bool:
    level = policy.auto_install
    if level in ("none", "all"):
        return level == "all"
    if critical:
        return True
    if level == "critical" or installed is None:
        return False
    same = 2 if level == "patch" else 1
    return _numbers(release.version)[:same] == _numbers(installed)[:same]


def _numbers(version: str) -> tuple[int, ...]:
    numbers = Version(version).release
    return (*numbers, 0, 0)
