"""What is decided about a release, apart from what its package is: pure (docs/formats.md section 8.1).

A release in a feed is facts (bytes, digests, migrations, when it was published), which never change, and decisions,
which a maintainer may change at any time. Unknown fields belong to the facts: no decision loses them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any

from updater.schema import CHANNELS, Feed, Release, format_time, parse_time
from updater.schema.feed import Notes, Requires, Rollout, RolloutStep, Yank

__all__ = ["Entry", "ReleaseState", "differences", "published_entries", "state_of"]

_HALTED_AT = "halted_at"


@dataclass(frozen=True)
class ReleaseState:
    """The decisions about one release. ``channel`` is the most settled feed that lists it; all others below do too.

    ``halted_at`` says since when it is halted, so that its schedule can go on where it stopped.
    """

    channel: str
    critical: bool = False
    security: tuple[str, ...] = ()
    stop: bool = False
    halted: bool = False
    halted_at: datetime | None = None
    yanked: Yank | None = None
    rollout: Rollout | None = None
    cohorts: tuple[tuple[int, int], ...] | None = None
    experiment: str | None = None
    requires: Requires = field(default_factory=Requires)
    notes: Notes = field(default_factory=Notes)

    def applied_to(self, release: Release) -> Release:
        """The release with these decisions; everything else in it stays, unknown fields included."""
        extra: dict[str, Any] = {key: value for key, value in release.extra.items() if key != _HALTED_AT}
        if self.halted and self.halted_at is not None:
            extra[_HALTED_AT] = format_time(self.halted_at)
        return replace(
            release,
            critical=self.critical,
            security=self.security,
            stop=self.stop,
            halted=self.halted,
            yanked=_with_extra(self.yanked, release.yanked),
            rollout=_rollout(self.rollout, release.rollout),
            cohorts=self.cohorts,
            experiment=self.experiment,
            requires=replace(self.requires, extra=release.requires.extra),
            notes=replace(self.notes, extra=release.notes.extra),
            extra=extra,
        )


@dataclass(frozen=True)
class Entry:
    """A release: ``facts`` as it is, or shall first be, listed, and the decisions about it."""

    facts: Release
    state: ReleaseState


def state_of(release: Release, channel: str) -> ReleaseState:
    """The decisions in a release, whose most settled feed is ``channel``."""
    rollout = release.rollout
    if rollout is not None:
        steps = tuple(RolloutStep(step.at, step.percent) for step in rollout.steps)
        rollout = Rollout(rollout.salt, steps, rollout.critical_at_once)
    return ReleaseState(
        channel=channel,
        critical=release.critical,
        security=release.security,
        stop=release.stop,
        halted=release.halted,
        halted_at=_halted_at(release),
        yanked=None if release.yanked is None else replace(release.yanked, extra={}),
        rollout=rollout,
        cohorts=release.cohorts,
        experiment=release.experiment,
        requires=replace(release.requires, extra={}),
        notes=replace(release.notes, extra={}),
    )


def published_entries(feeds: Mapping[str, Feed]) -> dict[str, Entry]:
    """Every release in the feeds by version, as its most settled feed has it."""
    found: dict[str, Entry] = {}
    for channel in CHANNELS:
        for release in feeds[channel].releases if channel in feeds else ():
            found.setdefault(release.version, Entry(release, state_of(release, channel)))
    return found


def differences(old: ReleaseState, new: ReleaseState) -> tuple[str, ...]:
    """The names of the decisions that differ."""
    names = (item.name for item in fields(ReleaseState))
    return tuple(name for name in names if getattr(old, name) != getattr(new, name))


def _halted_at(release: Release) -> datetime | None:
    value = release.extra.get(_HALTED_AT)
    try:
        return parse_time(value) if release.halted and isinstance(value, str) else None
    except ValueError:
        return None


def _with_extra(new: Yank | None, old: Yank | None) -> Yank | None:
    return new if new is None or old is None else replace(new, extra=old.extra)


def _rollout(new: Rollout | None, old: Rollout | None) -> Rollout | None:
    """The new schedule; steps that were in the old one keep their unknown fields."""
    if new is None or old is None:
        return new
    known = {(step.at, step.percent): step for step in old.steps}
    steps = tuple(known.get((step.at, step.percent), step) for step in new.steps)
    return replace(new, steps=steps, extra=old.extra)
