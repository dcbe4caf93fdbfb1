"""The power goes, whatever was not flushed is lost or half written: the site is the old version or the new one."""

from __future__ import annotations

import os
import subprocess
import time
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


def test_no_mount_or_loop_device_is_left_behind():
    """Whatever a process did not clean up goes with it."""
    _needs(EXT4)

    def die() -> None:
        home = Path(os.environ["POWER_HOME"])
        EXT4.make(home / "disk")
        with log_disk(home / "fuse", home / "disk", home / "log") as disk, EXT4.mounted(disk, home / "mounted"):
            os._exit(1)

    def left(home: Path) -> list[str]:
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        used = subprocess.check_output(["losetup", "--list", "--noheadings", "--output", "BACK-FILE"], text=True)
        return [path for path in (*mounts, *used.splitlines()) if str(home) in path]

    with workshop() as home, pytest.MonkeyPatch.context() as patch:
        patch.setenv("POWER_HOME", str(home))
        with pytest.raises(BrokenError):
            isolated(die)
        deadline = time.monotonic() + 20
        while left(home) and time.monotonic() < deadline:  # the logging disk is told, and ends a moment later
            time.sleep(0.05)
        assert left(home) == []
