"""Which release a site should go to: a pure function of feed, installed version, clock and policy, with its reasons."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from updater.frozen import frozen
from updater.licensing import Entitlement
from updater.owner_policy import is_critical_way, why_not_automatic, why_not_offered
from updater.process.interpreter import Interpreter
from updater.requirements import check_packages
from updater.schema.cohorts import COHORTS, cohort_of
from updater.schema.feed import Feed, Release
from updater.schema.policy_config import OwnerPolicy
from updater.site.failed_releases import FailedReleases, held_back

__all__ = ["Selection", "hops", "select"]

_NONE: FailedReleases = {}
_NO_POLICY = OwnerPolicy()
_MOST_HOPS = 100


@frozen
class Selection:
    """What ``select`` decided. ``release`` is None when there is nothing to go to; ``newest`` is the newest release
    that is neither yanked nor halted, whether or not this site may have it; ``reasons`` are whole sentences.

    ``blocked`` tells "nothing newer" (False) from "something newer, but not for this site now" (True).
    """

    release: Release | None
    newest: Release | None
    reasons: tuple[str, ...]
    blocked: bool = False


@frozen
class _Asking:
    """The site that asks, and the releases newer than what it has, newest first."""

    installed: str | None
    newer: list[Release]
    site_id: str
    now: datetime
    python: str
    automatic: bool
    failed: FailedReleases
    app: Interpreter | None
    policy: OwnerPolicy
    unattended: bool
    approved: Collection[str]
    downgrade: bool
    entitled: Entitlement | None

    @property
    def current(self) -> Version | None:
        return None if self.installed is None else Version(self.installed)


def select(
    feed: Feed,
    installed: str | None,
    *,
    site_id: str,
    now: datetime,
    python: str,
    automatic: bool = False,
    to: str | None = None,
    failed: FailedReleases = _NONE,
    app: Interpreter | None = None,
    policy: OwnerPolicy = _NO_POLICY,
    unattended: bool = False,
    approved: Collection[str] = (),
    downgrade: bool = False,
    entitled: Entitlement | None = None,
    passed_over: Collection[str] = (),
) -> Selection:
    """Choose the highest release that this site may go to in one step; `hops` tells those that follow.

    ``python`` is the version of the app's Python, as far as known. ``app`` says which packages that has; without it
    requirements on packages hold nothing back. ``automatic`` installs follow the rollout schedule; a person who asks
    sees a release at once. ``to`` asks for one version: it is chosen, or the first one on the way to it, or the reasons
    say why it cannot be.
    ``failed``: what went wrong on this site before; automatic installs wait, and give up after a few failures.
    ``policy`` is the owner's: what it skips or does not pin is not offered; what it does not let install itself is not
    installed ``unattended``, which is automatic as well. ``approved``: the versions that a person has approved.
    ``downgrade``: a person lets ``to`` be older than what is installed; nothing else ever is. ``entitled``: what the
    site's licence is worth for this feed, which needs one. ``passed_over``: versions that were considered already.
    """
    current = None if installed is None else Version(installed)
    newer = sorted(
        (release for release in feed.releases if current is None or Version(release.version) > current),
        key=lambda release: Version(release.version),
        reverse=True,
    )
    automatic = (automatic or unattended) and to is None
    asking = _Asking(
        installed,
        newer,
        site_id,
        now,
        python,
        automatic,
        failed,
        app,
        policy,
        unattended and to is None,
        approved,
        downgrade,
        entitled,
    )
    newest = next((release for release in newer if release.yanked is None and not release.halted), None)
    reasons = list(_yank_notice(feed, installed))
    if to is not None:
        release, reason = _select_one(feed, to, asking)
        return Selection(release, newest, (*reasons, reason), blocked=release is None)
    for release in newer:
        if release.version in passed_over:
            continue
        obstacle = _obstacle(release, asking) or _against_the_owner(release, asking)
        if obstacle is None:
            return Selection(release, newest, (*reasons, _why(release, installed)))
        reasons.append(f"{release.version}: {obstacle}.")
    if not newer:
        reasons.append(_nothing_newer(feed, installed))
    return Selection(None, newest, tuple(reasons), blocked=bool(newer))


def hops(feed: Feed, first: Release, *, to: str | None = None, **options: Any) -> tuple[str, ...]:
    """The versions that follow ``first`` on the way to ``to``, or to the newest that this site may have: each is
    installed by itself. ``options`` are those of `select`."""
    found: list[str] = []
    at = first.version
    while at != to and len(found) < _MOST_HOPS:
        following = select(feed, at, to=to, **options).release
        if following is None:
            break
        at = following.version
        found.append(at)
    return tuple(found)


def _select_one(feed: Feed, to: str, asking: _Asking) -> tuple[Release | None, str]:
    release = feed.release(to)
    if release is None:
        known = ", ".join(release.version for release in feed.releases[:5]) or "none"
        return None, f"{to} is not in the {feed.channel} feed (newest there: {known})."
    if release.version == asking.installed:
        return None, f"{to} is installed already."
    older = release not in asking.newer
    if older and not asking.downgrade:
        back = "the way back is `updater rollback`; --downgrade installs it without the database of that time"
        return None, f"{to} is older than the installed {asking.installed}; {back}."
    obstacle = _obstacle(release, asking)
    if obstacle is None:
        return release, f"{to} was asked for" + (f", although it is older than {asking.installed}." if older else ".")
    if _too_far(release, asking) == obstacle:
        below = [other for other in asking.newer if Version(other.version) < Version(to)]
        first = next((other for other in below if _obstacle(other, asking) is None), None)
        if first is not None:
            return first, f"{to} was asked for, and {obstacle}: {first.version} is on the way."
    return None, f"{to}: {obstacle}."


def _obstacle(release: Release, asking: _Asking) -> str | None:
    """Why this release is not for this site now, as a clause; None when nothing stands in the way."""
    if release.yanked is not None:
        return f"withdrawn by its maintainer ({release.yanked.reason or 'no reason given'})"
    if release.halted:
        return "its rollout is halted"
    if asking.entitled is not None and (refused := asking.entitled.why_not(release)):
        return refused
    unmet = _unmet_python(release, asking.python) or _unmet_packages(release, asking.app)
    return unmet or _too_far(release, asking) or _not_for_this_site(release, asking)


def _unmet_python(release: Release, python: str) -> str | None:
    if release.requires.python is None:
        return None
    try:
        fits = SpecifierSet(release.requires.python).contains(python, prereleases=True)
    except InvalidSpecifier:
        return f"its requirement on Python, {release.requires.python!r}, cannot be read"
    return None if fits else f"needs Python {release.requires.python}, this site runs {python}"


def _unmet_packages(release: Release, app: Interpreter | None) -> str | None:
    problems = [row.problem for row in check_packages(release.requires.packages, app) if row.problem]
    return "; ".join(problems) or None


def _too_far(release: Release, asking: _Asking) -> str | None:
    """Whether the jump from the installed version is not allowed."""
    if asking.current is None:
        return None
    oldest = release.requires.from_version
    if oldest is not None and asking.current < Version(oldest):
        return f"can only be reached from {oldest} or newer"
    below = [other for other in asking.newer if Version(other.version) < Version(release.version)]
    stops = [other for other in below if other.stop and other.yanked is None]
    return f"{stops[-1].version} has to be installed first (a stop)" if stops else None


def _not_for_this_site(release: Release, asking: _Asking) -> str | None:
    if release.cohorts is not None:
        cohort = cohort_of(asking.site_id, release.experiment or release.version)
        if not any(first <= cohort <= last for first, last in release.cohorts):
            return "meant for another group of sites" + (f" ({release.experiment})" if release.experiment else "")
    if not asking.automatic:
        return None
    failures = held_back(asking.failed.get(release.version, ()), asking.now)
    return failures or _held_back(release, asking)


def _against_the_owner(release: Release, asking: _Asking) -> str | None:
    """Why the owner does not want it now, or not without being asked."""
    unwanted = why_not_offered(release, asking.policy)
    if unwanted is not None or not asking.unattended:
        return unwanted
    critical = is_critical_way(release, asking.newer)
    return why_not_automatic(
        release, asking.installed, asking.policy, asking.now, critical=critical, approved=asking.approved
    )


def _held_back(release: Release, asking: _Asking) -> str | None:
    """Whether the rollout has not reached this site yet."""
    if release.rollout is None or asking.policy.canary:
        return None
    if release.rollout.critical_at_once and is_critical_way(release, asking.newer):
        return None
    percent = max((step.percent for step in release.rollout.steps if step.at <= asking.now), default=0)
    cohort = cohort_of(asking.site_id, release.rollout.salt)
    if cohort < percent * COHORTS // 100:
        return None
    return f"held back: the rollout is at {percent} %, this site is at {cohort * 100 / COHORTS:.0f} %"


def _yank_notice(feed: Feed, installed: str | None) -> tuple[str, ...]:
    release = None if installed is None else feed.release(installed)
    if release is None or release.yanked is None:
        return ()
    return (
        f"The installed {installed} was withdrawn by its maintainer ({release.yanked.reason or 'no reason given'}).",
    )


def _nothing_newer(feed: Feed, installed: str | None) -> str:
    if installed is None:
        return f"The {feed.channel} channel has no release yet."
    versions = [Version(release.version) for release in feed.releases]
    if versions and max(versions) < Version(installed):
        newest = f"all that the {feed.channel} channel has, up to {max(versions)}"
        return f"{installed} is newer than {newest}; it stays until there is something newer."
    return f"{installed} is the newest of the {feed.channel} channel."


def _why(release: Release, installed: str | None) -> str:
    kind = "critical " if release.critical else ""
    step = f"from {installed}" if installed else "as the first install"
    return f"{release.version} is the newest {kind}release this site can go to {step}."
