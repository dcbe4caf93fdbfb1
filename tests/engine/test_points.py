"""Reading restore points again: what is whole is good, every damage is named; and what they take of the disk."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.engine.faults import Faults
from tests.engine.sweep import steered
from tests.engine.test_going_back import A, B
from tests.engine.world import OWN, PRESERVE, SQLITE, V1, V2, World
from updater.events import ignore_events
from updater.install.disk_use import disk_use
from updater.install.overview import overview, verify_points
from updater.install.point_check import glance_at_all
from updater.install.restore_points import RestorePoint, list_restore_points
from updater.site import Layout
from updater.site.files import remove_tree


@pytest.fixture(params=["in-place", "slots"])
def world(request, tmp_path: Path) -> World:
    """A site that went from 1.0.0 to 2.0.0 and 3.0.0, with files of the owner's and a database."""
    world = World(tmp_path / "site", request.param).create(SQLITE)
    with steered(Faults()):
        world.update("1.0.0", V1, preserve=PRESERVE, commands=["migrate 1"])
        world.own_files()
        (world.tree / "app/run").unlink()  # the owner removed one
        world.update("2.0.0", V2, preserve=PRESERVE, commands=["migrate 2"])
        world.update("3.0.0", V1, preserve=PRESERVE, commands=["migrate 3"])
    return world


def read_again(world: World, choice: str | None = None) -> dict[str, list[str]]:
    return verify_points(world.site, choice, os.environ, ignore_events)


def oldest(world: World) -> RestorePoint:
    return list_restore_points(world.site)[-1]


def files_of(world: World, point: RestorePoint) -> Path:
    return point.files if world.layout == "in-place" else world.site.releases / str(point.slot)


def test_what_is_whole_is_good(world):
    assert list(read_again(world).values()) == [[], []]
    assert [list(point.problems) for point in overview(world.site).points] == [[], []]
    world.rollback("1.0.0")
    assert not any(read_again(world).values())


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


@pytest.mark.parametrize("edited", [False, True], ids=["as released", "edited"])
def test_a_flipped_bit_in_a_file_is_found_by_reading(world, edited):
    point = oldest(world)
    path = files_of(world, point) / ("app/settings.py" if edited else "app/a.py")
    os.chmod(path.parent, 0o755)
    data = path.read_bytes()
    path.unlink()  # a new file: elsewhere it may be the same one
    path.write_bytes(data)
    flip(path)
    assert not any(glance_at_all(world.site, list_restore_points(world.site)).values())
    found = read_again(world, point.id)[point.id]
    assert any(str(path) in problem for problem in found), found


@pytest.mark.parametrize("how", ["missing", "shorter"])
def test_a_file_that_is_gone_or_cut_shows_at_a_glance(world, how):
    point = oldest(world)
    path = files_of(world, point) / "app/a.py"
    path.unlink()
    if how == "shorter":
        path.write_bytes(b"V")
    for found in (read_again(world)[point.id], glance_at_all(world.site, list_restore_points(world.site))[point.id]):
        assert any(str(path) in problem for problem in found), found


@pytest.mark.parametrize("how", ["missing", "cut", "flipped", "another"])
def test_a_damaged_dump(world, how):
    point = oldest(world)
    dump = point.database_directory / "database.sqlite3"
    data = dump.read_bytes()
    dump.unlink()
    if how == "cut":
        dump.write_bytes(data[:-1])
    elif how == "flipped":
        dump.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif how == "another":
        dump.write_bytes(b"x" * len(data))
    found = read_again(world, point.id)[point.id]
    assert len(found) == 1
    assert "database" in found[0]
    assert bool(glance_at_all(world.site, list_restore_points(world.site))[point.id]) == (how in ("missing", "cut"))


@pytest.mark.parametrize("how", ["missing", "cut", "of another version"])
def test_a_damaged_manifest(world, how):
    point = oldest(world)
    path = point.directory / "manifest.json"
    text = path.read_text()
    path.unlink()
    if how == "cut":
        path.write_text(text[:100])
    elif how == "of another version":
        path.write_text(text.replace('"1.0.0"', '"1.0.1"'))
    assert "manifest" in read_again(world, point.id)[point.id][0]
    assert overview(world.site).points[-1].problems != ()


def test_a_damaged_record(world):
    point = list_restore_points(world.site)[0]
    (point.directory / "restore_point.json").write_text('{"format": 1')
    found = read_again(world)
    assert found[point.id] == ["its record cannot be read"]
    assert overview(world.site).unreadable == (point.id,)
    older = oldest(world)
    if world.layout == "in-place":  # its way back leads through the damaged one
        assert any(point.id in problem for problem in found[older.id])
        assert any(point.id in problem for problem in overview(world.site).points[-1].problems)
    else:
        assert found[older.id] == []


def test_a_slot_that_is_gone(tmp_path):
    world = World(tmp_path / "site", "slots").create()
    world.update("1.0", A)
    world.update("2.0", B)
    point = oldest(world)
    remove_tree(world.site.releases / str(point.slot))
    assert "is gone" in read_again(world)[point.id][0]


def test_records_of_older_updaters_are_read(world):
    point = oldest(world)
    path = point.directory / "restore_point.json"
    record = json.loads(path.read_text())
    del record["migrations"], record["differing"]
    path.write_text(json.dumps(record | {"from_a_newer_one": [1]}))
    again = oldest(world)
    assert (again.id, again.migrations, again.differing) == (point.id, None, None)
    assert read_again(world)[point.id] == []
    world.rollback(point.id)
    assert world.version == "1.0.0"


def test_the_record_says_where_the_tree_was_not_as_released(world):
    assert set(oldest(world).differing or ()) == {"app/settings.py", "app/run"}


def test_what_is_shared_with_live_files_takes_nothing(tmp_path):
    big = os.urandom(200_000)
    layouts: list[Layout] = ["in-place", "slots"]
    for layout in layouts:
        world = World(tmp_path / layout / "site", layout).create()
        world.update("1.0", {"same.bin": big, "f": b"1"})
        world.update("2.0", {"same.bin": big, "f": b"2"})
        points = list_restore_points(world.site)
        use = disk_use(world.site, points)[points[0].id]
        assert use.used < 150_000  # the slot's 200 kB are the live file; in place it is not even saved
        assert (use.size > 200_000) == (layout == "slots")
        world.update("3.0", {"same.bin": b"other", "f": b"3"})
        points = list_restore_points(world.site)
        found = disk_use(world.site, points)
        assert 200_000 <= sum(use.used for use in found.values()) < 400_000  # once, although two slots have it
        assert found[points[0].id].used >= 200_000


def test_the_overview_tells_what_can_be_restored(world):
    found = overview(world.site).points[-1]
    assert (found.point.version, found.database_kind, found.edited) == ("1.0.0", "sqlite", 1)
    assert found.files == len(V1) + 1
    assert found.database_size == (found.point.database_directory / "database.sqlite3").stat().st_size
    assert found.saved == (len(found.point.saved) if world.layout == "in-place" else found.files)
    assert OWN  # what is not listed is no part of a restore point
