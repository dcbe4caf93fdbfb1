"""A disk that fills up to the last byte while an update runs does not keep it from going back, database included."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from unittest import mock

import pytest

from tests.engine.faults import KILLED, Faults
from tests.engine.filesystems import disk, fill, need_mounts
from tests.engine.sweep import in_child, side, steered
from tests.engine.world import FAILS, PRESERVE, SQLITE, V1, V2, World
from updater.errors import DiskSpaceError, InstallError, RolledBackError
from updater.install import engine
from updater.install.engine import Engine
from updater.install.journal import State
from updater.install.space import MARGIN, check_needs
from updater.site import ballast, platform
from updater.site.ballast import LEAST, drop_ballast, make_ballast, make_ballast_at

MIB = 2**20
DISKS = {"tmpfs": 96 * MIB, "ext4": 96 * MIB, "xfs": 320 * MIB, "btrfs": 192 * MIB}
KINDS = ["tmpfs", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("ext4", "xfs", "btrfs"))]


@pytest.mark.parametrize("journal_mode", ["delete", "wal"])
@pytest.mark.parametrize("layout", ["in-place", "slots"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_way_back_at_zero_bytes_free(tmp_path, kind, layout, journal_mode):
    need_mounts()
    with disk(kind, tmp_path / "disk", DISKS[kind]) as home:
        world = World(home / "site", layout).create(SQLITE)
        world.update("1.0.0", V1, preserve=PRESERVE)
        world.own_files()
        fill_database(world, journal_mode)
        before = side(world)
        assert killed_while_migrating(world) == "killed"
        assert side(world) != before
        assert world.site.ballast.stat().st_blocks * 512 > LEAST
        fill(home)
        assert_full(home)
        with steered(Faults()):
            world.recover()
        assert side(world) == before
        assert len(world.database()) == 3001
        assert world.leftovers() == []
        (home / "filler").unlink()
        with steered(Faults()):
            world.update("2.0.0", V2, preserve=PRESERVE, commands=["migrate 2"])
        assert world.database()[-1] == "migrated to 2"
        assert not world.site.ballast.exists()


def fill_database(world: World, journal_mode: str) -> None:
    """Six megabytes, more than the least ballast."""
    world.add_row("first")
    with closing(sqlite3.connect(world.shared / "db.sqlite3")) as connection, connection:
        connection.execute(f"PRAGMA journal_mode = {journal_mode}")
        connection.executemany("INSERT INTO log VALUES (?)", ((f"{index:0>2000}",) for index in range(3000)))


def killed_while_migrating(world: World) -> str:
    """The migration changes every page, and the process ends right after it."""
    enter = Engine._enter

    def entering(self: Engine, state: State, **details: object) -> None:
        if state is State.STARTING:
            change_database(world)
            os._exit(KILLED)
        enter(self, state, **details)

    def work() -> None:
        with mock.patch.object(Engine, "_enter", entering):
            world.update("2.0.0", V2, preserve=PRESERVE, commands=["migrate 2"])

    return in_child(work, Faults())


def change_database(world: World) -> None:
    with closing(sqlite3.connect(world.shared / "db.sqlite3")) as connection, connection:
        connection.execute("UPDATE log SET line = line || 'changed'")
        connection.execute("DELETE FROM log WHERE rowid % 2")


def assert_full(folder: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        (folder / "more").write_bytes(os.urandom(MIB))
    (folder / "more").unlink(missing_ok=True)


@pytest.mark.parametrize("layout", ["in-place", "slots"])
def test_a_disk_that_fills_up_while_the_app_starts(tmp_path, layout):
    """Not killed: the update itself notices, and goes back at once."""
    need_mounts()
    with disk("tmpfs", tmp_path / "disk", 64 * MIB) as home:
        world = World(home / "site", layout).create(SQLITE)
        world.update("1.0.0", V1, preserve=PRESERVE)
        fill_database(world, "delete")
        before = side(world)
        config = world.site.config_path.read_text()
        world.configure(SQLITE + FAILS)
        enter = Engine._enter

        def entering(self: Engine, state: State, **details: object) -> None:
            enter(self, state, **details)
            if state is State.STARTING:
                change_database(world)
                fill(home)
                assert_full(home)

        with mock.patch.object(Engine, "_enter", entering), pytest.raises(RolledBackError):
            world.update("2.0.0", V2, preserve=PRESERVE)
        world.site.config_path.write_text(config)
        (home / "filler").unlink()
        assert side(world) == before
        assert world.leftovers() == []


def test_the_ballast_is_what_makes_it_possible(tmp_path):
    """The same without it: recovery must fail then, or this file shows nothing."""
    need_mounts()
    with disk("tmpfs", tmp_path / "disk", 64 * MIB) as home:
        world = World(home / "site").create(SQLITE)
        world.update("1.0.0", V1, preserve=PRESERVE)
        fill_database(world, "delete")
        before = side(world)
        assert killed_while_migrating(world) == "killed"
        drop_ballast(world.site)
        fill(home)
        with steered(Faults()), pytest.raises((InstallError, OSError)):
            world.recover()
        (home / "filler").unlink()
        with steered(Faults()):
            world.recover()
        assert side(world) == before


# the ballast itself


def test_it_is_there_from_staging_to_the_end_and_counted(tmp_path):
    world = World(tmp_path / "site").create(SQLITE)
    world.update("1.0.0", V1, preserve=PRESERVE)
    fill_database(world, "delete")
    seen: dict[str, int] = {}
    enter, check = Engine._enter, check_needs

    def entering(self: Engine, state: State, **details: object) -> None:
        seen[state.value] = world.site.ballast.stat().st_size if world.site.ballast.exists() else 0
        enter(self, state, **details)

    def checking(needs: list) -> None:
        seen["counted"] = needs[0].size
        check(needs)

    with mock.patch.object(Engine, "_enter", entering), mock.patch("updater.install.preflight.check_needs", checking):
        world.update("2.0.0", V2, preserve=PRESERVE)
    database = (world.shared / "db.sqlite3").stat().st_size
    assert database > LEAST
    for state in ("stopping", "applying", "migrating", "starting", "committed"):
        assert seen[state] == LEAST + database, state
    assert seen["counted"] > LEAST + database + MARGIN
    assert not world.site.ballast.exists()


@pytest.mark.parametrize("how", ["fallocate", "cannot", "not there"])
def test_its_blocks_are_real(tmp_path, monkeypatch, how):
    def refuse(*args: object) -> None:
        raise OSError(95, "not supported")

    if how == "cannot":
        monkeypatch.setattr(os, "posix_fallocate", refuse)
    elif how == "not there":
        monkeypatch.delattr(os, "posix_fallocate")
    path = tmp_path / "ballast"
    for size in (LEAST, 3 * MIB + 7):
        make_ballast_at(path, size)
        assert path.stat().st_size == size
        assert path.stat().st_blocks * 512 >= size
        assert path.stat().st_mode & 0o777 == 0o600
    ballast.drop_ballast_at(path)
    ballast.drop_ballast_at(path)
    assert not path.exists()


def test_it_is_flushed(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(platform, "flush", lambda handle: flushed.append(os.fstat(handle).st_size))
    make_ballast_at(tmp_path / "ballast", LEAST)
    assert flushed[0] == LEAST


def test_a_disk_without_room_for_it_is_said_before_anything_is_staged(tmp_path):
    need_mounts()
    with disk("tmpfs", tmp_path / "disk", 64 * MIB) as home:
        world = World(home / "site").create(SQLITE)
        world.update("1.0.0", V1, preserve=PRESERVE)
        fill_database(world, "delete")
        (home / "filler").write_bytes(bytes(64 * MIB - 30 * MIB))
        with pytest.raises(DiskSpaceError):
            world.update("2.0.0", V2, preserve=PRESERVE)
        assert world.leftovers() == []
        assert not world.site.ballast.exists()


def test_what_a_crash_left_is_swept(tmp_path):
    world = World(tmp_path / "site").create()
    make_ballast(world.site, LEAST)
    world.recover()
    assert not world.site.ballast.exists()


def test_a_ballast_that_cannot_be_removed_stops_no_way_back(tmp_path, monkeypatch):
    def refuse(site: object) -> None:
        raise OSError(5, "input/output error")

    world = World(tmp_path / "site").create()
    world.update("1.0.0", V1, preserve=PRESERVE)
    before = world.snapshot()
    world.configure(FAILS)
    with monkeypatch.context() as patch:
        patch.setattr(engine, "drop_ballast", refuse)
        with pytest.raises(RolledBackError):
            world.update("2.0.0", V2, preserve=PRESERVE)
    world.configure("")
    assert world.snapshot() == before
    assert world.site.ballast.exists()
    world.recover()
    assert not world.site.ballast.exists()
