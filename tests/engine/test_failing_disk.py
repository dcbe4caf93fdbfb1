"""What was wrong once, each found by a sweep: a disk that fails is heard, and what is said about it is true."""

from __future__ import annotations

import errno
import json
import os
import resource
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest

from tests.engine.operations import ZIP_NAME
from tests.engine.test_recovery import kill_while_applying
from tests.engine.world import PRESERVE, SQLITE, V1, V2, World
from updater.database.sqlite import SQLiteDatabase
from updater.errors import DatabaseError, RollbackError, StateError
from updater.install import engine, records, recovery, restore_points
from updater.install.archives import export_restore_point
from updater.install.restore_points import delete, find_restore_point, list_restore_points
from updater.package import writer
from updater.site import SiteLock, append_history, read_history, read_status
from updater.site.looking import entries_below, exists, real_path

NOW = datetime(2026, 1, 20, tzinfo=UTC)
TOO_LONG = "x" * 300
"""A name that no filesystem answers for: neither "there" nor "not there", but an error."""


def failing(*args: object, **options: object) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.fixture(params=["in-place", "slots"])
def world(request, tmp_path) -> World:
    """A site with restore points of 1.0.0 and 2.0.0."""
    world = World(tmp_path / "site", request.param).create(SQLITE)
    world.update("1.0.0", V1, preserve=PRESERVE)
    world.update("2.0.0", V2, preserve=PRESERVE)
    world.update("3.0.0", V1 | {"third.txt": b"3"}, preserve=PRESERVE)
    return world


def test_no_answer_is_not_an_absence(tmp_path):
    (tmp_path / "nowhere").symlink_to("absent")
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "loop").symlink_to("loop")
    assert exists(tmp_path / "nowhere")
    assert not exists(tmp_path / "absent")
    assert not exists(tmp_path / "file/below")
    with pytest.raises(OSError, match="too long"):
        exists(tmp_path / TOO_LONG)
    assert real_path(tmp_path / "absent/below") == tmp_path.resolve() / "absent/below"
    with pytest.raises(OSError, match="symbolic links"):
        real_path(tmp_path / "loop")
    assert list(entries_below(tmp_path / "absent")) == []
    with pytest.raises(OSError, match="too long"):
        list(entries_below(tmp_path / TOO_LONG))
    with pytest.raises(DatabaseError, match="cannot find"):
        SQLiteDatabase(tmp_path / "loop")


def test_half_a_line_of_history_is_taken_back(tmp_path):
    """A disk that becomes full within a line writes the first part and says so only in a number."""
    path = tmp_path / "history.jsonl"
    append_history(path, NOW, "update", result="done")
    before = path.read_bytes()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, len(before) + 10))
        try:
            append_history(path, NOW, "update", result="rolled-back")
        except OSError as error:
            os._exit(error.errno or 1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == errno.ENOSPC
    assert path.read_bytes() == before
    append_history(path, NOW, "update", result="done")
    assert len(read_history(path)) == 2


@pytest.mark.parametrize("call", ["pwrite", "ftruncate"])
def test_ctrl_c_inside_the_lock_does_not_hold_it_for_ever(tmp_path, call):
    lock = SiteLock(tmp_path / "lock")
    with pytest.raises(KeyboardInterrupt), mock.patch.object(os, call, side_effect=KeyboardInterrupt), lock:
        pass
    with SiteLock(tmp_path / "lock"):
        pass


def test_ctrl_c_while_the_lock_is_released(tmp_path):
    lock = SiteLock(tmp_path / "lock").__enter__()
    with pytest.raises(KeyboardInterrupt), mock.patch.object(os, "ftruncate", side_effect=KeyboardInterrupt):
        lock.__exit__(None, None, None)
    with SiteLock(tmp_path / "lock"):
        pass


def test_a_restore_point_whose_files_stay_is_said_to_be_deleted(world):
    point = find_restore_point(world.site, "2.0.0")
    with (
        mock.patch.object(restore_points, "remove_tree", failing),
        pytest.raises(StateError, match="is deleted, but not all of it"),
    ):
        delete(world.site, point)
    assert [point.version for point in list_restore_points(world.site)] == ["1.0.0"]
    world.recover()
    assert not point.directory.exists()


def test_who_deletes_must_see_the_heir(world):
    """A record that cannot be read just now is no damaged one: its point would lose what it needs of the other."""
    real = records.read_json

    def read_json(path: Path, **options: int) -> object:
        if path.parent == heir.directory:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(path, **options)

    heir, point = find_restore_point(world.site, "1.0.0"), find_restore_point(world.site, "2.0.0")
    with mock.patch.object(records, "read_json", read_json), pytest.raises(StateError, match="cannot be read"):
        delete(world.site, point)
    assert find_restore_point(world.site, "2.0.0") == point
    (heir.directory / restore_points.RECORD_NAME).write_text("{")  # damaged for ever: no reason to keep others
    delete(world.site, point)


def test_an_export_whose_name_may_not_last_is_none(world, tmp_path):
    target = tmp_path / ZIP_NAME
    point = find_restore_point(world.site, "1.0.0")
    with mock.patch.object(writer, "_sync_directory", failing), pytest.raises(StateError, match="cannot write"):
        export_restore_point(world.site, point, target)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("exported")] == []
    export_restore_point(world.site, point, target)


def test_an_export_that_cannot_be_taken_back_is_told_as_what_it_is(world, tmp_path):
    target = tmp_path / ZIP_NAME
    point = find_restore_point(world.site, "1.0.0")
    with (
        mock.patch.object(writer, "_sync_directory", failing),
        mock.patch.object(Path, "unlink", lambda path, missing_ok=False: failing() if path == target else None),
        pytest.raises(StateError, match="is complete, but its name may not outlive"),
    ):
        export_restore_point(world.site, point, target)
    assert target.is_file()


@pytest.mark.parametrize("layout", ["in-place", "slots"])
def test_the_restore_point_of_an_undone_update_is_none_whatever_fails_then(tmp_path, layout):
    """Its files are back in the tree: nobody may be offered what is left of it."""
    world = World(tmp_path / "site", layout).create()
    world.update("1.0.0", V1)
    kill_while_applying(world)
    assert len(list_restore_points(world.site)) == 1
    with mock.patch.object(engine, "record_outcome", failing):
        outcome = world.recover()
    assert outcome is not None
    assert outcome.result == "rolled-back"
    assert list_restore_points(world.site) == []
    world.recover()
    assert list(world.site.backups.iterdir()) == []


@pytest.mark.parametrize("layout", ["in-place", "slots"])
def test_a_recovery_that_leaves_half_a_site_needs_a_person(tmp_path, layout):
    """Exit code 1 means that the site is whole; half-way, whatever fails is the way back that failed."""
    world = World(tmp_path / "site", layout).create()
    world.update("1.0.0", V1)
    world.own_files()
    kill_while_applying(world)
    with mock.patch.object(recovery, "exists", failing), pytest.raises(RollbackError, match="Input/output"):
        world.recover()
    head = next(world.site.staging.glob("*/transaction.json"))
    plan = head.read_bytes()
    head.write_bytes(b"{")
    with pytest.raises(RollbackError, match="plan of the interrupted update"):
        world.recover()
    head.write_bytes(plan)
    outcome = world.recover()
    assert outcome is not None
    assert outcome.result == "rolled-back"


def test_the_status_of_an_update_that_died_after_its_end_is_corrected(world):
    entry = read_history(world.site.history_path)[-1]
    at = datetime.fromisoformat(str(entry["at"]))
    status = {"state": "running", "pid": 2**22 + 1, "boot_id": "", "run_id": "update-1"}

    def died(started: datetime, **more: str) -> str:
        told = status | {"started_at": f"{started:%Y-%m-%dT%H:%M:%SZ}"} | more
        world.site.status_path.write_text(json.dumps(told))
        assert read_status(world.site.status_path)["state"] == "interrupted"
        world.recover()
        return str(read_status(world.site.status_path)["state"])

    assert died(at - timedelta(seconds=5)) == "done"
    assert died(at + timedelta(seconds=5)) == "interrupted"  # a later one, which never came to a journal
    assert died(at + timedelta(seconds=5), run_id=f"recover-{entry['id']}") == "done"  # it began after the record of it
