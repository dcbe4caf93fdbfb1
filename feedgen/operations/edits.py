"""The operations as pure functions from decisions to decisions; what makes no sense raises ``PublishError``.

An edit that is already made gives back what it got: running a command twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from feedgen.errors import ConfigError, PublishError
from feedgen.operations.schedule import Ramp, percent_at, postponed, ramp_steps
from feedgen.operations.state import ReleaseState
from feedgen.operations.state_file import check_language
from updater.schema import CHANNELS, format_time
from updater.schema.feed import Rollout, RolloutStep, Yank

__all__ = ["Edit", "edit_notes", "halt", "mark", "promote", "ramp", "resume", "set_rollout", "unyank", "yank"]

Edit = Callable[[str, ReleaseState], ReleaseState]
"""From the version and what is decided about it to what shall be."""


def promote(to: str) -> Edit:
    """List a release in the feed of a more settled channel, and so in all between."""

    def edit(version: str, state: ReleaseState) -> ReleaseState:
        if CHANNELS.index(to) > CHANNELS.index(state.channel):
            raise PublishError(
                f"{version} is in the {state.channel} channel already, which is more settled than {to}",
                hint="A release never leaves a feed that sites have seen it in. 'feedgen yank' withdraws it.",
            )
        if state.yanked is not None and to != state.channel:
            raise PublishError(
                f"{version} is withdrawn ({state.yanked.reason}), so nobody could install it from {to}",
                hint=f"If it is good after all: feedgen unyank {version}",
            )
        return replace(state, channel=to)

    return edit


def yank(reason: str, now: datetime) -> Edit:
    """Withdraw a release. A second reason is refused: the first one has been read."""

    def edit(version: str, state: ReleaseState) -> ReleaseState:
        if state.yanked is not None and state.yanked.reason != reason:
            raise PublishError(
                f"{version} is withdrawn already ({state.yanked.reason})",
                hint=f"To change the reason, edit releases/{version}.toml in the site and run 'feedgen apply'.",
            )
        return state if state.yanked is not None else replace(state, yanked=Yank(reason, now))

    if not reason.strip():
        raise ConfigError("A withdrawal needs a reason", hint="Sites that run the release show it to their owners.")
    return edit


def unyank() -> Edit:
    """Offer a withdrawn release again."""
    return lambda _version, state: replace(state, yanked=None)


def halt(now: datetime) -> Edit:
    """Stop offering a release; its schedule stands still."""
    return lambda _version, state: state if state.halted else replace(state, halted=True, halted_at=now)


def resume(now: datetime) -> Edit:
    """Offer a halted release again; its schedule goes on where it stopped."""

    def edit(_version: str, state: ReleaseState) -> ReleaseState:
        if not state.halted:
            return state
        rollout = postponed(state.rollout, state.halted_at, now)
        return replace(state, halted=False, halted_at=None, rollout=rollout)

    return edit


def mark(*, critical: bool | None = None, stop: bool | None = None) -> Edit:
    """Set or clear the marks that are given."""

    def edit(_version: str, state: ReleaseState) -> ReleaseState:
        changed = state if critical is None else replace(state, critical=critical)
        return changed if stop is None else replace(changed, stop=stop)

    return edit


def set_rollout(
    steps: tuple[RolloutStep, ...], now: datetime, *, salt: str = "", critical_at_once: bool | None = None
) -> Edit:
    """Replace the schedule. All sites from now on means: no schedule.

    The salt stays what it was, so that the sites already reached come first again; so does ``critical_at_once`` unless
    it is given.
    """

    def edit(version: str, state: ReleaseState) -> ReleaseState:
        if len(steps) == 1 and steps[0].at <= now and steps[0].percent == 100:
            return _scheduled(state, None, now) if state.rollout else state
        old = state.rollout
        settled = old is not None and all(step.at <= now for step in old.steps)
        at_once = _at_once(old, critical_at_once)
        same = old is not None and at_once == old.critical_at_once
        if same and len(steps) == 1 and settled and steps[0].at == now and percent_at(old, now) == steps[0].percent:
            return state
        return _scheduled(state, Rollout(salt or (old.salt if old else version), steps, at_once), now)

    return edit


def ramp(plan: Ramp, now: datetime, *, critical_at_once: bool | None = None) -> Edit:
    """Begin a ramp now; one of the same shape that has begun already goes on."""

    def edit(version: str, state: ReleaseState) -> ReleaseState:
        old = state.rollout
        at_once = _at_once(old, critical_at_once)
        if old is not None and old.steps and old.steps == ramp_steps(plan, old.steps[0].at):
            return replace(state, rollout=replace(old, critical_at_once=at_once))
        if old is not None and percent_at(old, now) > plan.start:
            raise PublishError(
                f"{version} reaches {percent_at(old, now)} % of the sites already, more than {plan.start} %",
                hint="Start the ramp there or higher (--start), or give the steps with 'feedgen rollout set'.",
            )
        return _scheduled(state, Rollout(old.salt if old else version, ramp_steps(plan, now), at_once), now)

    return edit


def _at_once(old: Rollout | None, wanted: bool | None) -> bool:
    return (old is not None and old.critical_at_once) if wanted is None else wanted


def _scheduled(state: ReleaseState, rollout: Rollout | None, now: datetime) -> ReleaseState:
    """With a new schedule. A halt counts anew: what is asked for now is not postponed by the time before."""
    return replace(state, rollout=rollout, halted_at=now if state.halted else None)


def edit_notes(text: str, language: str | None) -> Edit:
    """Replace the notes, or their translation; an empty translation is removed."""
    if language is not None:
        try:
            check_language(language)
        except ValueError as error:
            raise ConfigError(str(error)) from error

    def edit(_version: str, state: ReleaseState) -> ReleaseState:
        if language is None:
            return replace(state, notes=replace(state.notes, markdown=text))
        kept = {name: old for name, old in state.notes.translations.items() if name != language}
        translations = {**kept, **({language: text} if text else {})}
        same = translations == dict(state.notes.translations)
        return state if same else replace(state, notes=replace(state.notes, translations=translations))

    return edit


def schedule_lines(state: ReleaseState, now: datetime) -> list[tuple[str, str, str]]:
    """The schedule for people: when, how many, and which step holds now."""
    if state.rollout is None:
        return [("-", "100 %", "now")]
    current = max((step.at for step in state.rollout.steps if step.at <= now), default=None)
    return [
        (format_time(step.at), f"{step.percent} %", "now" if step.at == current else "" if step.at <= now else "later")
        for step in state.rollout.steps
    ]
