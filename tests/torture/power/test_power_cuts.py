"""The power goes, whatever was not flushed is lost or half written: the site is the old version or the new one."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from tests.support.require import give_up, require
from tests.torture.figures import Figures
from tests.torture.power.filesystems import BTRFS, EXT4, FILESYSTEMS, WRITEBACK, XFS, Filesystem
from tests.torture.power.log_disk import log_disk
from tests.torture.power.mounting import BrokenError, isolated
from tests.torture.power.mutants import MUST_BE_CAUGHT, MUTANTS
from tests.torture.power.recording import Case, Tally, cut_power, workshop
from tests.torture.power.shutdown import pull_the_plug
from tests.torture.power.sites import OPERATIONS
from updater.site.files import sync_filesystem

LAYOUTS = ("in-place", "slots")
BY_NAME = {operation.name: operation for operation in OPERATIONS}
PER_CASE = 150
"""Images of one operation on one layout of one filesystem, of about 1,000 that there are."""
_can_mount: dict[str, str] = {}


def _needs(filesystem: Filesystem) -> None:
    """Skip loudly, or fail under CI, where a logging disk cannot be made or this filesystem not be mounted on it."""
    filesystem.require()
    require("fusermount3", "fuse3")
    if filesystem.kind not in _can_mount:
        try:
            _can_mount[filesystem.kind] = isolated(lambda: _try_it(filesystem))
        except BrokenError as error:
            _can_mount[filesystem.kind] = str(error).strip().splitlines()[-1]
    if why := _can_mount[filesystem.kind]:
        give_up(f"NO POWER CAN BE CUT: mounting {filesystem.kind} from a FUSE file needs root and loop devices ({why})")


def _try_it(filesystem: Filesystem) -> str:
    with workshop() as home:
        filesystem.make(home / "disk")
        with (
            log_disk(home / "fuse", home / "disk", home / "log") as disk,
            filesystem.mounted(disk, home / "mounted") as mounted,
        ):
            (mounted / "file").write_bytes(b"it works")
    return ""


def _count(figures: Figures, tally: Tally, name: str = "images") -> None:
    figures.add(name, tally.images)
    for label in tally.wrong:
        figures.wrong(label)


@pytest.mark.slow
@pytest.mark.parametrize(("layout", "operation"), [("in-place", "update"), ("slots", "rollback")])
def test_a_sample_of_all_power_cuts(layout, operation):
    _needs(EXT4)
    with Figures("power cuts, a sample") as figures:
        _count(figures, cut_power(Case(EXT4, layout, BY_NAME[operation]), 20, per_interval=4))


@pytest.mark.slow
def test_a_sample_finds_an_updater_that_never_flushes():
    _needs(EXT4)
    broken = cut_power(Case(EXT4, "in-place", BY_NAME["update"], MUTANTS["no flush at all"]), 8, per_interval=1)
    assert broken.wrong, f"{broken.images} images of an updater that never flushes, and all is well"


@pytest.mark.slow
def test_a_sample_of_pulled_plugs():
    _needs(EXT4)
    with Figures("plugs pulled, a sample") as figures:
        _count(figures, pull_the_plug(Case(EXT4, "in-place", BY_NAME["update"]), every=60, first=20), "cases")


@pytest.mark.torture
@pytest.mark.parametrize("filesystem", FILESYSTEMS, ids=lambda filesystem: filesystem.name)
def test_every_operation_survives_power_cuts(filesystem):
    _needs(filesystem)
    with Figures(f"power cuts, {filesystem.name}") as figures:
        for layout, operation in product(LAYOUTS, OPERATIONS):
            _count(figures, cut_power(Case(filesystem, layout, operation), PER_CASE, per_interval=8))


@pytest.mark.torture
@pytest.mark.parametrize(("filesystem", "every"), [(EXT4, 4), (XFS, 12)], ids=["ext4", "xfs"])
def test_every_operation_survives_a_pulled_plug(filesystem, every):
    """Each operation makes 120 to 600 changes and flushes; the first point differs, so that all kinds are met."""
    _needs(filesystem)
    with Figures(f"plug pulled at every {every}th change, {filesystem.name}") as figures:
        for number, (layout, operation) in enumerate(product(LAYOUTS, OPERATIONS)):
            tally = pull_the_plug(Case(filesystem, layout, operation), every, first=1 + number % every)
            _count(figures, tally, "cases")


@pytest.mark.torture
@pytest.mark.parametrize("name", MUTANTS)
def test_power_cuts_catch_broken_updaters(name):
    """The harness itself is worth something: an updater that forgets to flush is found out, on some filesystem."""
    caught = 0
    with Figures(f"power cuts of a broken updater: {name}") as figures:
        for filesystem in (WRITEBACK, XFS, BTRFS):
            _needs(filesystem)
            tally = cut_power(Case(filesystem, "in-place", BY_NAME["update"], MUTANTS[name]), 150, per_interval=4)
            figures.add("images", tally.images)
            figures.add("caught", len(tally.wrong))
            caught += len(tally.wrong)
    assert caught or name not in MUST_BE_CAUGHT


def test_a_killed_harness_leaves_no_loop_device_behind():
    """Killed in the middle of writing, like a test run that somebody ends: the kernel must not wait for a disk that
    is served no longer."""
    _needs(EXT4)
    with workshop() as home:
        child = os.fork()
        if child == 0:
            isolated(lambda: _write_for_ever(home))
            os._exit(1)
        _wait_for((home / "device").exists)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        backing = Path("/sys/block") / (home / "device").read_text() / "loop/backing_file"
        _wait_for(lambda: not _text_of(backing).endswith("/disk\n"))


def _text_of(path: Path) -> str:
    """Empty when it is gone, which may be between two looks at it."""
    try:
        return path.read_text()
    except OSError:
        return ""


def _write_for_ever(home: Path) -> None:
    EXT4.make(home / "disk")
    with (
        log_disk(home / "fuse", home / "disk", home / "log") as disk,
        EXT4.mounted(disk, home / "mounted") as mounted,
    ):
        device = next(
            line.split()[0] for line in Path("/proc/self/mounts").read_text().splitlines() if str(mounted) in line
        )
        (home / "part").write_text(Path(device).name)
        while True:
            (mounted / "file").write_bytes(os.urandom(100_000))
            sync_filesystem(mounted)
            if (home / "part").exists():
                os.replace(home / "part", home / "device")


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it took 20 seconds"
        time.sleep(0.02)
