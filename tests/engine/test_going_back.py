"""Restore points: chains of them, what they bring back, how many are kept, and what an export holds."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.faults import Faults
from tests.engine.sweep import steered
from tests.engine.world import SQLITE, World
from updater.errors import BlockedError, RolledBackError, StateError
from updater.install.archives import export_restore_point
from updater.install.restore_points import delete, find_restore_point, list_restore_points
from updater.site import Layout, read_history

LAYOUTS: list[Layout] = ["in-place", "slots"]
FAILS = '[health]\ncommand = ["false"]\ntimeout = 0.1\ninterval = 0.05\n'
PATHS = ["a.txt", "b.txt", "d/c.txt", "d/e.txt"]
A, B, C = ({"f.txt": letter, f"only_{letter.decode()}.txt": b""} for letter in (b"a", b"b", b"c"))


def content(world: World) -> dict[str, bytes]:
    """The app's tree, without what belongs to the site."""
    skip = ("updater.toml", "version.json", "db.sqlite3", ".updater")
    files = [path for path in world.tree.rglob("*") if path.is_file()]
    found = {path.relative_to(world.tree).as_posix(): path.read_bytes() for path in files}
    return {name: data for name, data in found.items() if not name.startswith(skip)}


@pytest.fixture(params=LAYOUTS)
def world(request, tmp_path) -> World:
    return World(tmp_path / "site", request.param).create()


def test_two_versions_back_at_once_and_forward_again(world):
    for version, files in (("1.0.0", A), ("2.0.0", B), ("3.0.0", C)):
        world.update(version, files)
    world.rollback("1.0.0")
    assert (world.version, content(world)) == ("1.0.0", A)
    world.rollback()  # the newest restore point is of the moment before that
    assert (world.version, content(world)) == ("3.0.0", C)
    world.rollback("2.0.0")
    assert (world.version, content(world)) == ("2.0.0", B)
    world.update("4.0.0", A)
    world.rollback()
    assert (world.version, content(world)) == ("2.0.0", B)


def test_the_order_does_not_depend_on_the_clock(world):
    moment = datetime(2026, 5, 1, tzinfo=UTC)
    world.now = lambda: moment
    world.update("1.0.0", A)
    world.update("2.0.0", B)
    moment -= timedelta(days=400)
    world.update("3.0.0", C)
    moment -= timedelta(days=400)
    world.update("4.0.0", A)
    assert [point.version for point in list_restore_points(world.site)] == ["3.0.0", "2.0.0", "1.0.0"]
    world.rollback()
    assert (world.version, content(world)) == ("3.0.0", C)
    entries = [entry["result"] for entry in read_history(world.site.history_path)]
    assert entries == ["done"] * 5, "a transaction took the id of an earlier one and was not recorded"


def test_one_restore_point_is_enough_to_go_back_and_forth(world):
    world.configure("[backup]\nmax_backups = 1\n")
    world.update("1.0.0", A)
    world.update("2.0.0", B)
    for version, files in (("1.0.0", A), ("2.0.0", B), ("1.0.0", A)):
        world.rollback()
        assert (world.version, content(world)) == (version, files)
        assert len(list_restore_points(world.site)) == 1


def test_the_oldest_go_first_and_edited_copies_outlive_them(world):
    world.configure("[backup]\nmax_backups = 2\n")
    world.update("1.0.0", A)
    (world.tree / "f.txt").write_bytes(b"mine")
    first = world.update("2.0.0", B)
    for version, files in (("3.0.0", C), ("4.0.0", A), ("5.0.0", B)):
        world.update(version, files)
    assert [point.version for point in list_restore_points(world.site)] == ["4.0.0", "3.0.0"]
    directory = world.site.backups / first.id
    assert [path.name for path in directory.iterdir()] == ["edited"]
    assert (directory / "edited/f.txt").read_bytes() == b"mine"
    assert len(list(world.site.backups.iterdir())) == 3
    world.rollback("3.0.0")
    assert (world.version, content(world)) == ("3.0.0", C)


def test_a_damaged_record_stops_neither_updates_nor_other_ways_back(world):
    world.configure("[backup]\nmax_backups = 2\n")
    world.update("1.0.0", A)
    damaged = world.update("2.0.0", B)
    (world.site.backups / damaged.id / "restore_point.json").write_text("{")
    world.update("3.0.0", C)
    middle = world.update("4.0.0", A)
    world.update("5.0.0", B)
    world.update("6.0.0", C)
    assert world.leftovers() == []
    world.rollback()
    assert (world.version, content(world)) == ("5.0.0", B)
    if world.layout == "in-place":
        (
            world.site.backups / max(path.name for path in world.site.backups.iterdir()) / "restore_point.json"
        ).write_text("")
        with pytest.raises(StateError, match="damaged"):
            world.rollback("5.0.0")
        assert (world.version, content(world)) == ("5.0.0", B)
    assert middle.result == "done"


@pytest.mark.parametrize("index", [0, 1, 2])
def test_deleting_a_restore_point_leaves_the_others_whole(world, index):
    expected = {}
    for number in (1, 2, 3, 4):  # each update alone replaces, removes and adds something
        files = {f"changed_{step}": b"new" if step < number else b"old" for step in (1, 2, 3)}
        files |= {f"{'added' if step < number else 'removed'}_{step}": b"" for step in (1, 2, 3)}
        expected[f"{number}.0.0"] = files
        world.update(f"{number}.0.0", files)
    points = list_restore_points(world.site)
    delete(world.site, points[index])
    for point in reversed(points):
        if point != points[index]:
            world.rollback(point.id)
            assert (world.version, content(world)) == (point.version, expected[str(point.version)])
    with pytest.raises(BlockedError):
        find_restore_point(world.site, points[index].id)


def test_each_restore_point_has_its_own_database(world):
    world.configure(SQLITE)
    preserve = ("/db.sqlite3",)
    with steered(Faults()):
        world.update("1.0.0", A, preserve=preserve, commands=["migrate 1"])
        for version, files in (("2", B), ("3", C)):
            world.add_row(f"written before {version}")
            world.update(f"{version}.0.0", files, preserve=preserve, commands=[f"migrate {version}"])
        world.add_row("written at last")
        everything = world.database()
        world.rollback("1.0.0")
        assert world.database() == ["half way", "migrated to 1", "written before 2"]
        world.rollback("3.0.0")
        assert world.database() == everything
        world.rollback("2.0.0")
        assert world.database() == everything[:6]
        assert everything[5] == "written before 3"


def test_a_rollback_that_fails_is_undone_database_and_all(world):
    world.configure(SQLITE)
    with steered(Faults()):
        world.update("1.0.0", A, preserve=("/db.sqlite3",), commands=["migrate 1"])
        world.update("2.0.0", B, preserve=("/db.sqlite3",), commands=["migrate 2"])
        world.add_row("precious")
    rows, files = world.database(), content(world)
    world.configure(SQLITE + FAILS)
    with pytest.raises(RolledBackError, match=r"2\.0\.0 is back"):
        world.rollback()
    assert (world.version, content(world), world.database()) == ("2.0.0", files, rows)
    assert [point.version for point in list_restore_points(world.site)] == ["1.0.0"]
    world.configure(SQLITE)
    world.rollback()
    assert (world.version, content(world)) == ("1.0.0", A)
    assert "precious" not in world.database()


def test_an_exported_restore_point_needs_nothing_of_the_site(world, tmp_path):
    world.configure(SQLITE)
    with steered(Faults()):
        world.update("1.0.0", A | {"unchanged": b"u"}, preserve=("/db.sqlite3",), commands=["migrate 1"])
        (world.tree / "f.txt").write_bytes(b"edited by the owner")
        (world.tree / "only_a.txt").chmod(0o600)
        rows = world.database()
        world.update("2.0.0", B | {"unchanged": b"u"}, preserve=("/db.sqlite3",), commands=["migrate 2"])
    zip_path = tmp_path / "export.zip"
    export_restore_point(world.site, list_restore_points(world.site)[0], zip_path)
    shutil.rmtree(world.site.backups)
    for slot in world.site.releases.iterdir() if world.layout == "slots" else ():
        if slot != world.tree:
            shutil.rmtree(slot)
    (world.tree / "unchanged").unlink()
    world.rollback(str(zip_path))
    assert world.version == "1.0.0"
    assert content(world) == A | {"unchanged": b"u", "f.txt": b"edited by the owner"}
    assert (world.tree / "only_a.txt").stat().st_mode & 0o777 == 0o600
    assert world.database() == rows


def test_an_export_of_another_app_is_refused(tmp_path):
    world = World(tmp_path / "site").create()
    world.update("1.0.0", A)
    world.update("2.0.0", B)
    export_restore_point(world.site, list_restore_points(world.site)[0], tmp_path / "x.zip")
    other = World(tmp_path / "other").create()
    other.update("1.0.0", A, app="other")
    other.site.write_state(replace(other.site.state(), app="other"))
    with pytest.raises(BlockedError, match="other"):
        other.rollback(str(tmp_path / "x.zip"))


trees = st.dictionaries(st.sampled_from(PATHS), st.sampled_from([b"1", b"2", b"3"]))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("update"), trees),
        st.tuples(st.just("edit"), st.sampled_from(PATHS)),
        st.tuples(st.just("remove"), st.sampled_from(PATHS)),
        st.tuples(st.just("rollback"), st.integers(0, 5)),
        st.tuples(st.just("delete"), st.integers(0, 5)),
    ),
    max_size=9,
)


@settings(max_examples=40)
@given(layout=st.sampled_from(LAYOUTS), first=trees, steps=steps)
def test_any_history_can_be_walked_back(tmp_path_factory, layout, first, steps):
    """Against a model: a copy of the tree at the moment of each restore point. In place, what the owner did to a file
    (edited, removed) after the point and before an update replaced it is all that there is to bring back."""
    home = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=home) as directory, steered(Faults()):
        world = World(Path(directory) / "site", layout).create("[backup]\nmax_backups = 4\n")
        world.update("1.0", first)
        model: dict[str, dict[str, bytes]] = {}
        owners: dict[str, str] = {}  # path -> the newest restore point when the owner changed it last
        for number, (step, value) in enumerate(steps, start=2):
            points = list_restore_points(world.site)
            before = content(world)
            if step == "update":
                listed = set(world.site.manifest().files)  # type: ignore[union-attr]
                if any((world.tree / path).exists() and path not in listed for path in value):
                    continue  # a conflict: refused beforehand
                model[world.update(f"{number}.0", value).id] = before
                assert content(world) == value
            elif step == "rollback" and points:
                point = points[value % len(points)]
                theirs = {path for path, at in owners.items() if layout == "in-place" and at >= point.id}
                model[world.rollback(point.id).id] = before
                after, then = content(world), model[point.id]
                assert after.keys() - theirs == then.keys() - theirs
                assert all(after[path] == then[path] for path in after.keys() - theirs)
                assert all(after.get(path) in (then.get(path), b"edited", None) for path in theirs)
                assert world.version == point.version
            elif step == "delete" and len(points) > 1:
                delete(world.site, points[value % len(points)])
            elif step in ("edit", "remove") and (world.tree / value).is_file():
                (world.tree / value).unlink()
                owners[value] = points[0].id if points else ""
                if step == "edit":
                    (world.tree / value).write_bytes(b"edited")
        assert world.leftovers() == []
        assert {point.id for point in list_restore_points(world.site)} <= set(model)
