"""Pulling the plug for real: the ioctl that stops a filesystem at once, whatever it has not written being lost."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from tests.engine.world import World
from tests.torture.power.filesystems import copy_sparse
from tests.torture.power.judging import Oracle
from tests.torture.power.mounting import BrokenError, in_child, isolated
from tests.torture.power.recording import TIMEOUT, Case, Tally, prepare, workshop
from tests.torture.power.sites import follow, look
from tests.torture.power.watching import ended, watch

_SHUTDOWN = 0x8004587D
"""``EXT4_IOC_SHUTDOWN``, and XFS knows the same number."""
_NO_LOG_FLUSH = 2
_PULLED = 9
_FOLLOW = 10
_NOW = datetime(2026, 1, 20, 10, tzinfo=UTC)
"""Restore points are named by the clock, and every run shall give them the same name."""


def pull_the_plug(case: Case, every: int, first: int = 1) -> Tally:
    """Stop the filesystem at every so manieth change or flush of the operation, from the ``first`` on; recover; judge.
    Done in a process whose mounts end with it."""

    def work() -> Tally:
        with workshop() as home:
            old = prepare(case, home)
            copy_sparse(home / "base", home / "image")
            with case.filesystem.mounted(home / "image", home / "mounted") as mounted:
                world = World(mounted / "site", case.layout)
                points = in_child(partial(_run, case, world, home / "marks", 0), TIMEOUT)
                new = look(world)
            return _strike(
                case,
                Oracle(old, new, case.operation.either, case.operation.begun),
                home,
                range(first, points + 1, every),
            )

    return isolated(work)


def _strike(case: Case, oracle: Oracle, home: Path, points: Iterable[int]) -> Tally:
    tally = Tally()
    for point in points:
        tally.images += 1
        copy_sparse(home / "base", home / "image")
        (home / "marks").write_bytes(b"")
        try:
            with case.filesystem.mounted(home / "image", home / "mounted") as mounted:
                world = World(mounted / "site", case.layout)
                try:
                    in_child(partial(_run, case, world, home / "marks", point), TIMEOUT)
                except BrokenError as error:
                    assert f"ended with {_PULLED}" in str(error), error
            marks = (home / "marks").read_text().splitlines()
            with case.filesystem.mounted(home / "image", home / "mounted"):
                in_child(partial(_judge, oracle, world, marks, tally.images % _FOLLOW == 0), TIMEOUT)
        except (AssertionError, BrokenError, OSError) as error:
            tally.wrong.append(f"{case}, at point {point}: {str(error)[-1500:]}")
    return tally


def _judge(oracle: Oracle, world: World, marks: list[str], again: bool) -> None:
    oracle.judge(world, marks, marks)
    if again:
        follow(world)


def _run(case: Case, world: World, marks: Path, at: int) -> int:
    """The operation, cut off at that point (0: not at all). Returns how many points there were."""
    world.now = lambda: _NOW
    plug = os.open(world.path.parent, os.O_RDONLY)
    paper = os.open(marks, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    reached = 0

    def point() -> None:
        nonlocal reached
        reached += 1
        if reached == at:
            fcntl.ioctl(plug, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
            os._exit(_PULLED)

    watch(lambda text: os.write(paper, f"{text}\n".encode()), point)
    how = ended(lambda: case.operation.run(world))
    assert how == "done", how
    os.close(plug)
    return reached
