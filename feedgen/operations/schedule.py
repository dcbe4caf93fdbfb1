"""Rollout schedules: pure. A client reaches for the highest percentage whose time has come (`updater.selection`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from feedgen.errors import ConfigError
from updater.schema import format_time, parse_time
from updater.schema.feed import Rollout, RolloutStep

__all__ = ["Ramp", "parse_duration", "parse_steps", "percent_at", "postponed", "ramp_steps"]

_DURATION = re.compile(r"([1-9][0-9]{0,4})(m|h|d|w)")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_PERCENT = re.compile(r"(100|[1-9]?[0-9])%?")


def percent_at(rollout: Rollout | None, now: datetime) -> int:
    """The share of sites, in percent, that automatic updates reach at ``now``; 100 without a schedule."""
    if rollout is None:
        return 100
    return max((step.percent for step in rollout.steps if step.at <= now), default=0)


def parse_duration(text: str) -> timedelta:
    """``90m``, ``36h``, ``7d``, ``2w``. Raises ``ConfigError``."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ConfigError(f"{text!r} is not a duration", hint="Write 90m, 36h, 7d or 2w.")
    return int(match[1]) * _UNITS[match[2]]


def parse_steps(words: Sequence[str], now: datetime) -> tuple[RolloutStep, ...]:
    """Steps as they are typed: one percentage for now, or ``TIME=PERCENT`` with rising times.

    Raises ``ConfigError`` for what is no step, and for times or percentages that do not rise.
    """
    if len(words) == 1 and _PERCENT.fullmatch(words[0]):
        return (RolloutStep(now.replace(microsecond=0), _percent(words[0])),)
    steps = tuple(_step(word) for word in words)
    for earlier, later in pairwise(steps):
        if later.at <= earlier.at:
            raise ConfigError(
                f"The times must rise, but {format_time(later.at)} comes after {format_time(earlier.at)}",
                hint="Give the steps in the order in which they happen, each at a time of its own.",
            )
        if later.percent < earlier.percent:
            raise ConfigError(
                f"The percentages must not fall, but {later.percent} comes after {earlier.percent}",
                hint="Sites that have the release keep it. 'feedgen halt' stops the release for all others.",
            )
    return steps


def _step(word: str) -> RolloutStep:
    at, equals, percent = word.partition("=")
    try:
        moment = parse_time(at)
    except ValueError as error:
        raise ConfigError(
            f"{word!r} is not a step: the time {error}",
            hint="Write TIME=PERCENT, such as 2026-01-20T10:00:00Z=25, or one percentage for now.",
        ) from error
    if not equals:
        raise ConfigError(f"{word!r} has no percentage", hint=f"Write {at}=25, for example.")
    return RolloutStep(moment, _percent(percent))


def _percent(text: str) -> int:
    match = _PERCENT.fullmatch(text)
    if match is None:
        raise ConfigError(f"{text!r} is not a percentage", hint="Write a whole number from 0 to 100.")
    return int(match[1])


@dataclass(frozen=True)
class Ramp:
    """From ``start`` percent to all sites within ``over``, doubling at equal distances of time."""

    over: timedelta
    start: int = 5

    def __post_init__(self) -> None:
        if not 1 <= self.start <= 100:
            raise ConfigError(f"A ramp cannot start at {self.start} %", hint="Start with 1 to 100 percent.")


def ramp_steps(ramp: Ramp, begin: datetime) -> tuple[RolloutStep, ...]:
    """The steps of a ramp that begins at ``begin``: whole seconds, percentages doubling up to 100."""
    percents = [ramp.start]
    while percents[-1] < 100:
        percents.append(min(100, percents[-1] * 2))
    begin = begin.astimezone(UTC).replace(microsecond=0)
    distance = ramp.over / max(len(percents) - 1, 1)
    steps = (RolloutStep((begin + n * distance).replace(microsecond=0), p) for n, p in enumerate(percents))
    return tuple(steps)


def postponed(rollout: Rollout | None, since: datetime | None, now: datetime) -> Rollout | None:
    """A schedule that stood still from ``since`` to ``now``: steps that were still to come keep their distance."""
    if rollout is None or since is None or now <= since:
        return rollout
    pause = now.replace(microsecond=0) - since
    steps = (step if step.at <= since else RolloutStep(step.at + pause, step.percent) for step in rollout.steps)
    return Rollout(rollout.salt, tuple(steps), rollout.critical_at_once)
