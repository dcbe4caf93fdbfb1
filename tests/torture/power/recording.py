"""One operation on a real filesystem over a disk that remembers, and the judgement of every image of it."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.engine.world import World
from tests.torture.power.cuts import Cut, images, plan, spread
from tests.torture.power.filesystems import Filesystem, copy_sparse
from tests.torture.power.judging import Oracle
from tests.torture.power.log_disk import Entry, log_disk, read_log
from tests.torture.power.mounting import BrokenError, in_child, isolated
from tests.torture.power.sites import Look, Operation, follow, look
from tests.torture.power.watching import bystander, ended, marker, watch
from updater.site import Layout
from updater.site.files import sync_filesystem

_MEMORY = Path("/dev/shm")
TIMEOUT = 120
"""Seconds for one recovery and its judgement."""
_EVERY = 3
"""Somebody else on the filesystem flushes a file of their own at every third change."""
_FOLLOW = 17
"""After every so manieth image the next update is tried too."""


@dataclass(frozen=True)
class Case:
    """What is tried: an operation on a site of some layout, on a filesystem, perhaps by an updater that is broken."""

    filesystem: Filesystem
    layout: Layout
    operation: Operation
    mutant: Callable[[], None] | None = None

    def __str__(self) -> str:
        return f"{self.filesystem.name}, {self.layout}, {self.operation.name}"


@dataclass
class Tally:
    """How many images were judged, and which ended wrong."""

    images: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Recording:
    """The disk ``base`` as it was before, the log of what happened to it, and how the site looked before and after."""

    base: Path
    log: list[Entry]
    old: Look
    new: Look


def cut_power(case: Case, count: int, *, per_interval: int = 0) -> Tally:
    """Record the case and judge ``count`` of its images (0: all), in a process whose mounts end with it."""

    def work() -> Tally:
        with workshop() as home:
            recording = _record(case, home)
            rng = random.Random(str(case))
            cuts = plan(recording.log, case.filesystem.sector, rng, per_interval=per_interval)
            return _replay(case, recording, spread(cuts, count or len(cuts)), home)

    return isolated(work)


@contextmanager
def workshop() -> Iterator[Path]:
    """A folder that goes again, in memory where there is one: thousands of images are written."""
    home = tempfile.mkdtemp(prefix="power-", dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None)
    try:
        yield Path(home)
    finally:
        shutil.rmtree(home)


def prepare(case: Case, home: Path) -> Look:
    """Make ``home/base``, a filesystem with the site before the operation, all of it on the disk."""
    case.filesystem.make(home / "base")
    with case.filesystem.mounted(home / "base", home / "mounted") as mounted:
        old = case.operation.start(World(mounted / "site", case.layout))
        sync_filesystem(mounted)
    return old


def _record(case: Case, home: Path) -> Recording:
    old = prepare(case, home)
    copy_sparse(home / "base", home / "disk")
    with (
        log_disk(home / "fuse", home / "disk", home / "log") as disk,
        case.filesystem.mounted(disk, home / "mounted") as mounted,
    ):
        world = World(mounted / "site", case.layout)
        in_child(partial(_watched, case, world, home / "fuse/marks"), TIMEOUT)
        new = look(world)
    log = read_log(home / "log")
    begin, end = (
        next(at for at, entry in enumerate(log) if entry.data.startswith(mark)) for mark in (b"begin", b"ended")
    )
    for _ in images(home / "base", log, [Cut(begin, begin, frozenset())], home / "image"):
        pass
    return Recording(home / "base", log[begin : end + 1], old, new)


def _watched(case: Case, world: World, marks: Path) -> None:
    """The operation, as the updater does it, with marks in the log and a bystander on the filesystem."""
    mark, point = marker(marks), bystander(world.path.parent / "bystander.log", _EVERY)
    if case.mutant is not None:
        case.mutant()
    watch(mark, point)
    sync_filesystem(world.path)
    mark("begin")
    how = ended(lambda: case.operation.run(world))
    mark(f"ended {how}")
    assert how == "done", how


def _replay(case: Case, recording: Recording, cuts: list[Cut], home: Path) -> Tally:
    tally = Tally()
    for cut in images(recording.base, recording.log, cuts, home / "image"):
        tally.images += 1
        try:
            with case.filesystem.mounted(home / "image", home / "mounted") as mounted:
                again = tally.images % _FOLLOW == 0
                in_child(partial(_judge, case, recording, cut, mounted, again), TIMEOUT)
        except (BrokenError, OSError) as error:
            tally.wrong.append(f"{case}, {cut}: {str(error)[-1500:]}")
    return tally


def _judge(case: Case, recording: Recording, cut: Cut, mounted: Path, again: bool) -> None:
    world = World(mounted / "site", case.layout)
    oracle = Oracle(recording.old, recording.new, case.operation.either, case.operation.begun)
    oracle.judge(world, cut.must(recording.log), cut.may(recording.log))
    if again:
        follow(world)
