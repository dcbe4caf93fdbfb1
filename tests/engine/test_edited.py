"""The owner's edited files: listed, and put back without anything being lost."""

from __future__ import annotations

import importlib.util
import os
import py_compile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.engine.test_going_back import FAILS
from tests.engine.world import World
from updater.errors import BlockedError, RolledBackError, StateError
from updater.install.edited import find_edited, list_edited, restore_edited
from updater.install.restore_points import delete, list_restore_points

ONE = {"conf/settings.py": b"VALUE = 1\n", "run.sh": b"#!/bin/sh\n", "x": b"x"}
TWO = {"conf/settings.py": b"VALUE = 2\n", "run.sh": b"#!/bin/sh\ntrue\n", "x": b"y"}
NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture(params=["in-place", "slots"])
def world(request, tmp_path: Path) -> World:
    world = World(tmp_path / "site", request.param).create()
    world.update("1.0", ONE)
    (world.tree / "conf/settings.py").write_bytes(b"VALUE = 9\n")
    (world.tree / "conf/settings.py").chmod(0o640)
    world.update("2.0", TWO)
    return world


def test_a_copy_comes_back_and_what_lay_there_is_kept(world):
    target = world.tree / "conf/settings.py"
    (found,) = list_edited(world.site)
    assert (found.path, found.during_update, found.size) == ("conf/settings.py", False, 10)
    assert found.restore_point == list_restore_points(world.site)[0].id
    done = restore_edited(world.site, find_edited(world.site, "conf/settings.py", None), None, NOW)
    assert (done.target, target.read_bytes(), target.stat().st_mode & 0o777) == (target, b"VALUE = 9\n", 0o640)
    assert done.aside is not None
    assert done.aside.copy.read_bytes() == b"VALUE = 2\n"
    back = restore_edited(world.site, find_edited(world.site, found.path, done.aside.restore_point), None, NOW)
    assert target.read_bytes() == b"VALUE = 2\n"
    assert len({file.restore_point for file in list_edited(world.site)}) == 3
    assert back.aside is not None
    assert [path.name for path in target.parent.iterdir() if not path.name.startswith("__")] == ["settings.py"]
    assert world.leftovers() == []
    world.rollback()  # what is only kept copies is no restore point
    assert world.version == "1.0"


def test_copies_outlive_their_restore_point(world):
    world.update("3.0", ONE)
    delete(world.site, list_restore_points(world.site)[-1])
    assert [file.path for file in list_edited(world.site)] == ["conf/settings.py"]
    restore_edited(world.site, list_edited(world.site)[0], None, NOW)
    assert (world.tree / "conf/settings.py").read_bytes() == b"VALUE = 9\n"


def test_a_file_that_is_gone_comes_back_with_its_folder(world):
    (world.tree / "conf/settings.py").unlink()
    (world.tree / "conf").rmdir()
    done = restore_edited(world.site, list_edited(world.site)[0], None, NOW)
    assert (done.aside, (world.tree / "conf/settings.py").read_bytes()) == (None, b"VALUE = 9\n")


def test_to_another_place(world, tmp_path):
    place = tmp_path / "mine.py"
    done = restore_edited(world.site, list_edited(world.site)[0], place, NOW)
    assert (place.read_bytes(), done.aside) == (b"VALUE = 9\n", None)
    assert (world.tree / "conf/settings.py").read_bytes() == b"VALUE = 2\n"
    with pytest.raises(BlockedError, match="exists already"):
        restore_edited(world.site, list_edited(world.site)[0], place, NOW)
    with pytest.raises(BlockedError, match="does not exist"):
        restore_edited(world.site, list_edited(world.site)[0], tmp_path / "no/mine.py", NOW)


def test_never_behind_a_folder_that_the_owner_made_a_link(world, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    os.rename(world.tree / "conf", elsewhere)
    (world.tree / "conf").symlink_to(elsewhere)
    with pytest.raises(BlockedError, match="symlink"):
        restore_edited(world.site, list_edited(world.site)[0], None, NOW)
    assert (elsewhere / "settings.py").read_bytes() == b"VALUE = 2\n"
    (world.tree / "conf").unlink()
    (world.tree / "conf/settings.py").mkdir(parents=True)
    with pytest.raises(BlockedError, match="is a directory now"):
        restore_edited(world.site, list_edited(world.site)[0], None, NOW)


def test_old_bytecode_does_not_answer_for_it(world, monkeypatch):
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    target = world.tree / "conf/settings.py"
    cached = Path(py_compile.compile(str(target), doraise=True) or "")
    os.utime(list_edited(world.site)[0].copy, (target.stat().st_mtime, target.stat().st_mtime))  # the same second
    restore_edited(world.site, list_edited(world.site)[0], None, NOW)
    assert not cached.exists()
    spec = importlib.util.spec_from_file_location("restored", target)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.VALUE == 9


def test_what_was_written_while_an_update_failed(tmp_path):
    world = World(tmp_path / "site").create(FAILS)
    world.configure("")
    world.update("1.0", ONE)
    write = f'import pathlib; pathlib.Path("{world.path}/x").write_text("written meanwhile")'
    world.configure(f"[restart]\ncommand = ['python3', '-c', '{write}']\n{FAILS}")
    with pytest.raises(RolledBackError):
        world.update("2.0", TWO)
    (found,) = list_edited(world.site)
    assert (found.path, found.during_update) == ("x", True)
    world.configure("")
    restore_edited(world.site, find_edited(world.site, "x.during-update", None), None, NOW)
    assert (world.tree / "x").read_text() == "written meanwhile"


def test_a_disk_that_fails_leaves_what_lay_there(world, monkeypatch):
    target = world.tree / "conf/settings.py"
    replace = os.replace

    def fails(source, destination):
        if Path(destination) == target:
            raise OSError(5, "Input/output error")
        replace(source, destination)

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(StateError, match="could not be written"):
        restore_edited(world.site, list_edited(world.site)[-1], None, NOW)
    assert target.read_bytes() == b"VALUE = 2\n"
    assert [path.name for path in target.parent.iterdir() if not path.name.startswith("__")] == ["settings.py"]


def test_what_is_not_there(world):
    with pytest.raises(BlockedError, match="no kept copy of nothing"):
        find_edited(world.site, "nothing", None)
    with pytest.raises(BlockedError, match=r"no kept copy of conf/settings\.py in 2020"):
        find_edited(world.site, "conf/settings.py", "2020")
