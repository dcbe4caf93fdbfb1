"""The oracle: what a site must be after a power cut and a recovery."""

from __future__ import annotations

from collections.abc import Sequence

from tests.engine.sweep import difference
from tests.engine.world import World
from tests.torture.power.sites import Look, check_restore_points, look
from updater.site import read_history, read_status


def judge(world: World, old: Look, new: Look, must: Sequence[str], may: Sequence[str], *, either: bool) -> None:
    """Recover, then: OLD or NEW as a whole, and everything tells the truth about it. Raises AssertionError, and
    whatever the recovery raises.

    ``must`` are the marks (see `watching.watch`) that had been passed, ``may`` those that the disk can know of: what
    was committed is never lost, and nothing is new before it was committed. Without ``either`` only NEW is right.
    """
    first = world.recover()
    now = look(world)
    is_new = (now.side, now.points) == (new.side, new.points)
    is_old = either and (now.side, now.points) == (old.side, old.points)
    assert is_new or is_old, {
        "recovered": first,
        "points": (now.points, old.points, new.points),
        "not old": difference(now.side, old.side),
        "not new": difference(now.side, new.side),
    }
    manifest = world.site.manifest()
    assert (None if manifest is None else manifest.version) == now.side.version
    assert world.leftovers() == []
    assert world.recover() is None
    assert look(world) == now
    assert read_status(world.site.status_path)["state"] != "running"
    check_restore_points(world)
    if either:
        _judge_promises(is_new, is_old, must, may)
    _judge_history(world, now, old, new, must, is_new=is_new)


def _judge_promises(is_new: bool, is_old: bool, must: Sequence[str], may: Sequence[str]) -> None:
    if "after committed" in must or "ended done" in must:
        assert is_new, "it was committed, and the power cut took it back"
    if "before committed" not in may and "before prepared" in must:
        assert is_old, "it had not been committed, and the new version stands"


def _judge_history(world: World, now: Look, old: Look, new: Look, must: Sequence[str], *, is_new: bool) -> None:
    """One line for what happened, and it says so; before "prepared" nothing had."""
    history = read_history(world.site.history_path)
    assert len({entry["id"] for entry in history}) == len(history), history
    assert now.events <= new.events, history
    if new.events == old.events:
        return
    if is_new:
        assert now.events == new.events and now.result == new.result, history
    elif "after prepared" in must:
        assert now.events == old.events + 1 and now.result in ("discarded", "rolled-back"), history
