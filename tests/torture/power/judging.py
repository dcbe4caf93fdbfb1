"""The oracle: what a site must be after a power cut and a recovery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.engine.sweep import difference
from tests.engine.world import World
from tests.torture.power.sites import Look, check_restore_points, look
from updater.site import read_history, read_status


@dataclass(frozen=True)
class Oracle:
    """Knows a site before an operation and after it. Without ``either`` only the latter is right; ``begun``: the
    operation is the recovery of one that the journal knew of already."""

    old: Look
    new: Look
    either: bool
    begun: bool

    def judge(self, world: World, must: Sequence[str], may: Sequence[str]) -> None:
        """Recover, then: OLD or NEW as a whole, and everything tells the truth about it. Raises AssertionError, and
        whatever the recovery raises.

        ``must`` are the marks (see `watching.watch`) that had been passed, ``may`` those that the disk can know of:
        what was committed is never lost, and nothing is new before it was committed.
        """
        first = world.recover()
        now = look(world)
        is_new = now.is_like(self.new)
        is_old = self.either and now.is_like(self.old)
        assert is_new or is_old, {
            "recovered": first,
            "points": (now.points, self.old.points, self.new.points),
            "not old": difference(now.side, self.old.side),
            "not new": difference(now.side, self.new.side),
        }
        manifest = world.site.manifest()
        assert (None if manifest is None else manifest.version) == now.side.version
        assert (left := world.leftovers()) == [], left
        assert world.recover() is None
        assert look(world) == now
        assert read_status(world.site.status_path)["state"] != "running"
        check_restore_points(world)
        if "after committed" in must or "ended done" in must:
            assert is_new, "it was committed, and the power cut took it back"
        if self.either and "before prepared" in must and "before committed" not in may:
            assert is_old, "it had not been committed, and the new version stands"
        if self.new.events > self.old.events:
            self._judge_history(world, now, "after prepared" in must or self.begun, is_new=is_new)

    def _judge_history(self, world: World, now: Look, begun: bool, *, is_new: bool) -> None:
        """One line for what happened, and it says so; before the journal knew of it, nothing had."""
        history = read_history(world.site.history_path)
        assert len({entry["id"] for entry in history}) == len(history), history
        if now.events == self.old.events:
            assert not begun, history
            return
        assert now.events == self.new.events, history
        right = ("done",) if is_new and self.new.result == "done" else ("discarded", "rolled-back")
        assert now.result in right, history
