"""The real command line under strace: killed at its system calls, or told by the kernel that they failed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.conftest import tmp_path  # noqa: F401 - the fixture
from tests.support.require import require
from tests.torture.figures import Figures
from tests.torture.syscalls import databases
from tests.torture.syscalls.databases import MODES, PAGE, Mode, Restore
from tests.torture.syscalls.shop import VERBS, Scene, plan, served
from updater.site import Layout

LAYOUTS: tuple[Layout, ...] = ("in-place", "slots")
PARTS = 4
"""Tests that one scene is split into, so that they can run beside each other."""


@pytest.fixture(scope="module")
def feed() -> Iterator[str]:
    require("strace", "strace")
    with served() as url:
        yield url


@pytest.mark.torture
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_call(tmp_path: Path, feed: str, layout: Layout, verb: str, part: int) -> None:  # noqa: F811
    """Every call that touches the site (chosen as `plan` says); old or new, and the exit code says which."""
    with Figures(f"system calls, {verb}") as figures:
        scene = Scene(tmp_path / "scene", feed, layout, verb)
        for index, fault in enumerate(plan(scene.calls)[part::PARTS]):
            figures.add("cases")
            try:
                figures.add("in the site", int(scene.case(fault, follow=index % 25 == 0)))
            except Exception as error:
                figures.wrong(f"{layout} {verb}, {fault}: {type(error).__name__} {error}")


@pytest.mark.torture
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("mode", MODES)
def test_every_call_of_a_database_restore(tmp_path: Path, mode: Mode, part: int) -> None:  # noqa: F811
    """SQLite's own calls included; and a disk on which no file may grow beyond any number of half pages."""
    require("strace", "strace")
    with Figures("system calls, SQLite restore") as figures:
        restore = Restore(tmp_path / "restore", mode)
        for fault in databases.plan(restore.calls)[part::PARTS]:
            figures.add("cases")
            try:
                figures.add("in the site", int(restore.case(fault)))
            except Exception as error:
                figures.wrong(f"{type(error).__name__} {error}")
        for most in range(part * PAGE // 2, restore.largest + PAGE, PARTS * PAGE // 2):
            figures.add("cases")
            try:
                restore.limited(most)
            except Exception as error:
                figures.wrong(f"{type(error).__name__} {error}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layout", "verb", "count"),
    [("in-place", "update", 2), ("slots", "update", 1), ("in-place", "rollback", 2), ("slots", "recover", 1)],
)
def test_a_sample_of_the_calls(tmp_path: Path, feed: str, layout: Layout, verb: str, count: int) -> None:  # noqa: F811
    scene = Scene(tmp_path / "scene", feed, layout, verb)
    faults = plan(scene.calls)
    stride = len(faults) // count
    hits = [scene.case(fault, follow=index == 0) for index, fault in enumerate(faults[stride // 2 :: stride][:count])]
    assert any(hits)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_a_sample_of_a_database_restore(tmp_path: Path, mode: Mode) -> None:  # noqa: F811
    require("strace", "strace")
    restore = Restore(tmp_path / "restore", mode)
    faults = [fault for fault in databases.plan(restore.calls) if fault.call.name not in ("close", "newfstatat")]
    stride = 1 + len(faults) // 3
    hits = [restore.case(fault) for fault in faults[stride // 2 :: stride]]
    assert any(hits)
    restore.limited(restore.largest // 2)
