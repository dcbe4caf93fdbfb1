"""Twins: old and new source of one size, one modification second, or compiled never to be checked again.

Python takes a ``.pyc`` for a source whose recorded time (whole seconds) and size match, or unasked when it was compiled
``unchecked-hash``. Each case here makes the two versions indistinguishable for it, but for what the updater does about
that: new times, and no compiled file left. Either defence alone has cases that only it can decide.
"""

# ruff: noqa: F811 - a fixture that is imported and then used
from __future__ import annotations

import importlib.util
import marshal
import os
import py_compile
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

import pytest

from tests.engine.conftest import _no_flushing, tmp_path  # noqa: F401 - fixtures: all in memory
from tests.engine.world import World
from tests.torture.bytecode.children import Invalidation, load, python
from updater.errors import RolledBackError
from updater.install import in_place, staging
from updater.site import Layout

ONE = {"app/__init__.py": b"", "app/m.py": b"V = 1\n", "app/sub/deep.py": b"V = 1\n"}
TWO = {"app/__init__.py": b"", "app/m.py": b"V = 2\n", "app/sub/deep.py": b"V = 2\n"}
MODULES = ("app/m.py", "app/sub/deep.py")
_MODES = {mode.name.lower().replace("_", "-"): mode for mode in py_compile.PycInvalidationMode}
LAYOUTS: list[Layout] = ["in-place", "slots"]
UNHEALTHY = '[health]\ncommand = ["false"]\ntimeout = 0.1\ninterval = 0.05\n'


class Crowded(Exception):
    """The second ended before the case had."""


def within_one_second(case: Callable[[Path], None], home: Path) -> None:
    """Run ``case`` (with a directory of its own) early in a second; when it does not fit, again."""
    for attempt in range(10):
        if attempt or time.time() % 1 > 0.4:
            time.sleep(1.01 - time.time() % 1)
        try:
            case(home / str(attempt))
        except Crowded:
            continue
        return
    pytest.fail("a busy machine: nothing was done within one second in ten attempts")


@contextmanager
def same_second() -> Iterator[None]:
    second = int(time.time())
    yield
    if int(time.time()) != second:
        raise Crowded


def address(world: World) -> Path:
    """Where the app finds its modules: through ``current`` with slots, so that old and new have the same names."""
    return world.site.current if world.layout == "slots" else world.path


def stamp(world: World) -> None:
    """The live modules were written just now."""
    now = int(time.time())
    for path in MODULES:
        os.utime(world.tree / path, (now, now))


def site(home: Path, layout: Layout) -> World:
    world = World(home / "site", layout).create()
    world.update("1.0.0", ONE)
    return world


def answers(world: World, prefix: Path | None = None) -> str:
    """What a fresh process finds in both modules."""
    code = (
        f"import sys; sys.path.insert(0, {str(address(world))!r}); import app.m, app.sub.deep as d; print(app.m.V, d.V)"
    )
    return python("-c", code, cwd=world.path, prefix=prefix).strip()


def compiled(world: World, mode: Invalidation, prefix: Path | None = None) -> None:
    """Compile both modules as ``compileall`` does, in this process: starting another takes much of a second."""
    for path in MODULES:
        source = str(address(world) / path)
        with mock.patch.object(sys, "pycache_prefix", prefix and str(prefix)):
            target = importlib.util.cache_from_source(source)
        py_compile.compile(source, target, doraise=True, invalidation_mode=_MODES[mode])


@contextmanager
def without(*defences: str) -> Iterator[None]:
    """An updater that writes files with the time of writing, or that leaves compiled files."""
    with ExitStack() as patches:
        for module in (staging, in_place) if "times" in defences else ():
            patches.enter_context(mock.patch.object(module, "freshen", lambda *_: None))
        if "purge" in defences:
            patches.enter_context(mock.patch.object(in_place, "purge_bytecode", lambda *_, **__: None))
        yield


def forward(home: Path, layout: Layout, mode: Invalidation, *, elsewhere: bool) -> str:
    """Compiled and updated in the second in which the old source was written; what runs then."""
    world = site(home, layout)
    prefix = home / "cache" if elsewhere else None
    with same_second():
        stamp(world)
        compiled(world, mode, prefix)
        world.update("2.0.0", TWO)
    return answers(world, prefix)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("mode", "elsewhere"),
    [("timestamp", False), ("timestamp", True), ("unchecked-hash", False), ("checked-hash", False)],
)
def test_the_new_source_runs(tmp_path: Path, layout: Layout, mode: Invalidation, elsewhere: bool) -> None:
    def case(home: Path) -> None:
        assert forward(home, layout, mode, elsewhere=elsewhere) == "2 2"

    within_one_second(case, tmp_path)


@pytest.mark.parametrize(
    ("layout", "mode", "elsewhere", "defence"),
    [
        ("in-place", "timestamp", True, "times"),
        ("slots", "timestamp", True, "times"),
        ("in-place", "unchecked-hash", False, "purge"),
    ],
)
def test_each_defence_is_needed(
    tmp_path: Path, layout: Layout, mode: Invalidation, elsewhere: bool, defence: str
) -> None:
    """The cases above are real: take the one defence away, and the old code answers for the new source."""

    def case(home: Path) -> None:
        with without(defence):
            assert forward(home, layout, mode, elsewhere=elsewhere) == "1 1"

    within_one_second(case, tmp_path)


def test_beside_the_module_either_defence_is_enough(tmp_path: Path) -> None:
    def case(home: Path) -> None:
        with without("times", "purge"):
            assert forward(home / "neither", "in-place", "timestamp", elsewhere=False) == "1 1"
        for number, defence in enumerate(("times", "purge")):
            time.sleep(1.01 - time.time() % 1)
            with without(defence):
                assert forward(home / str(number), "in-place", "timestamp", elsewhere=False) == "2 2"

    within_one_second(case, tmp_path)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("mode", "elsewhere"), [("timestamp", False), ("timestamp", True), ("unchecked-hash", False)])
def test_after_a_rollback_the_old_source_runs(
    tmp_path: Path, layout: Layout, mode: Invalidation, elsewhere: bool
) -> None:
    def case(home: Path) -> None:
        world = site(home, layout)
        prefix = home / "cache" if elsewhere else None
        compiled(world, mode, prefix)
        with same_second():
            stamp(world)
            world.update("2.0.0", TWO)
            compiled(world, mode, prefix)
            world.rollback()
        assert answers(world, prefix) == "1 1"
        compiled(world, mode, prefix)
        world.update("2.0.0", TWO)
        assert answers(world, prefix) == "2 2"

    within_one_second(case, tmp_path)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("elsewhere", [False, True])
def test_after_a_failed_update_the_old_source_runs(tmp_path: Path, layout: Layout, elsewhere: bool) -> None:
    """The new version was tried, and compiled while it was."""
    prefix = tmp_path / "cache" if elsewhere else None
    world = site(tmp_path, layout)
    compiled(world, "timestamp", prefix)
    script = tmp_path / "check.py"
    script.write_text(
        "import sys\n"
        f"sys.pycache_prefix = {str(prefix) if prefix else None!r}\n"
        f"sys.path.insert(0, {str(address(world))!r})\n"
        "import app.m, app.sub.deep\n"
        f"open({str(tmp_path / 'tried')!r}, 'a').write(str(app.m.V))\n"
        "sys.exit(1)\n"
    )
    command = f'["env", "-u", "PYTHONDONTWRITEBYTECODE", "{sys.executable}", "{script}"]'
    world.configure(f"[health]\ncommand = {command}\ntimeout = 0.2\ninterval = 0.05\n")
    with pytest.raises(RolledBackError):
        world.update("2.0.0", TWO)
    assert set((tmp_path / "tried").read_text()) == {"2"}, "the new version never ran, so nothing is tested"
    assert answers(world, prefix) == "1 1"


def plant(world: World, path: str, source: bytes, mtime: float) -> Path:
    """What a worker leaves that looked at the old file, read the new one, and wrote what it compiled."""
    full = world.tree / path
    cache = Path(importlib.util.cache_from_source(str(full)))
    cache.parent.mkdir(exist_ok=True)
    head = importlib.util.MAGIC_NUMBER + struct.pack("<III", 0, int(mtime), len(source))
    cache.write_bytes(head + marshal.dumps(compile(source, str(full), "exec")))
    return cache


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_worker_that_looked_too_early_does_not_poison_the_way_back(tmp_path: Path, layout: Layout) -> None:
    """Its compiled file says "old time, old size" and holds the new code: true for nobody but a restored old file."""
    world = site(tmp_path, layout)
    before = (world.tree / "app/m.py").stat().st_mtime
    world.update("2.0.0", TWO)
    plant(world, "app/m.py", TWO["app/m.py"], before)
    assert answers(world) == "2 2"
    plant(world, "app/m.py", TWO["app/m.py"], before)
    world.rollback()
    assert answers(world) == "1 1"
    assert (world.tree / "app/m.py").stat().st_mtime > before


def test_a_failed_update_does_not_restore_the_time_either(tmp_path: Path) -> None:
    """The same worker, and an update that fails: the restored file has a time that no compiled file has."""
    world = site(tmp_path, "in-place")
    before = (world.tree / "app/m.py").stat().st_mtime
    world.configure(UNHEALTHY)
    with pytest.raises(RolledBackError):
        world.update("2.0.0", TWO)
    plant(world, "app/m.py", TWO["app/m.py"], before)
    assert answers(world) == "1 1"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_no_updater_can_reach(tmp_path: Path, layout: Layout) -> None:
    """Compiled ``unchecked-hash`` and kept elsewhere: out of reach, and never checked. docs/reliability.md says so."""
    world = site(tmp_path, layout)
    prefix = tmp_path / "cache"
    compiled(world, "unchecked-hash", prefix)
    world.update("2.0.0", TWO)
    assert answers(world, prefix) == "1 1"


def test_the_check_of_real_trees_sees_stale_code(tmp_path: Path) -> None:
    """`loaded_code` is the judge of the large trees: it must find what is planted for it."""
    world = site(tmp_path, "in-place")
    world.update("2.0.0", TWO)
    assert load(world.tree, MODULES).stale == ()
    plant(world, "app/m.py", ONE["app/m.py"], (world.tree / "app/m.py").stat().st_mtime)
    found = load(world.tree, MODULES)
    assert (found.stale, found.imported) == (("app/m.py",), MODULES)
