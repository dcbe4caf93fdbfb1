"""Old bytecode never answers for new source, on the way forward and on the way back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.world import World
from updater.errors import RolledBackError

ONE = {"app/__init__.py": b"", "app/m.py": b"V = 1\n"}
TWO = {"app/__init__.py": b"", "app/m.py": b"V = 2\n"}


def answer(tree: Path) -> str:
    """What the app says; it compiles on the way, as an app does that may write beside its modules."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    code = "import app.m; print(app.m.V)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tree, env=environ, capture_output=True, text=True, check=True
    )
    assert list((tree / "app" / "__pycache__").glob("m.*.pyc")), "nothing was compiled, so nothing is tested"
    return done.stdout.strip()


@pytest.mark.parametrize("layout", ["in-place", "slots"])
def test_each_version_runs_its_own_code(tmp_path, layout):
    world = World(tmp_path / "site", layout).create()
    world.update("1.0.0", ONE)
    assert answer(world.tree) == "1"
    world.update("2.0.0", TWO)
    assert answer(world.tree) == "2"
    world.rollback()
    assert answer(world.tree) == "1"


def test_a_failed_update_that_ran_leaves_no_bytecode_behind(tmp_path):
    script = tmp_path / "check.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); import app.m; sys.exit(app.m.V == 2)"
    )
    world = World(tmp_path / "site").create()
    world.update("1.0.0", ONE)
    assert answer(world.tree) == "1"
    command = f'["env", "-u", "PYTHONDONTWRITEBYTECODE", "{sys.executable}", "{script}"]'
    world.configure(f"[health]\ncommand = {command}\ntimeout = 0.5\ninterval = 0.05\n")
    with pytest.raises(RolledBackError):
        world.update("2.0.0", TWO)
    assert answer(world.tree) == "1"


def test_the_times_alone_are_enough(tmp_path):
    """Bytecode kept elsewhere (PYTHONPYCACHEPREFIX) is out of reach; the module's fresh time outdates it."""
    world = World(tmp_path / "site").create()
    times = []
    for version, files in (("1.0.0", ONE), ("2.0.0", TWO), ("3.0.0", ONE)):
        world.update(version, files)
        times.append(int((world.tree / "app/m.py").stat().st_mtime))
    world.rollback()
    times.append(int((world.tree / "app/m.py").stat().st_mtime))
    world.configure('[health]\ncommand = ["false"]\ntimeout = 0.1\ninterval = 0.05\n')
    with pytest.raises(RolledBackError):
        world.update("4.0.0", {**TWO, "app/m.py": b"V = 4\n"})
    times.append(int((world.tree / "app/m.py").stat().st_mtime))
    assert times == sorted(set(times)), times
    assert (world.tree / "app/m.py").read_bytes() == b"V = 2\n"


def test_a_folder_that_lost_its_modules_is_gone_with_its_bytecode(tmp_path):
    world = World(tmp_path / "site").create()
    world.update("1.0.0", ONE)
    answer(world.tree)
    world.update("2.0.0", {"other.py": b""})
    assert not (world.tree / "app").exists(), "it would still be importable as a namespace package"


def test_bytecode_of_other_modules_stays(tmp_path):
    world = World(tmp_path / "site").create()
    world.update("1.0.0", ONE)
    cache = world.tree / "app" / "__pycache__"
    answer(world.tree)
    (world.tree / "app/own.py").write_text("")
    (cache / "own.cpython-311.pyc").write_bytes(b"own")
    (cache / "mine.cpython-311.pyc").write_bytes(b"mine")
    world.update("2.0.0", TWO)
    assert sorted(path.name.split(".")[0] for path in cache.iterdir()) == ["__init__", "mine", "own"]
