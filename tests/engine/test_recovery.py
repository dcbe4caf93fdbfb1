"""What any start of the updater does about an update that was killed, and what it says about it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import pytest

from tests.engine.sweep import side
from tests.engine.world import CONFIG, LAYOUTS, V1, V2, World
from updater.errors import InstallError, LockedError, RollbackError, RolledBackError, StateError
from updater.events import Event, Phase
from updater.install.engine import Engine
from updater.install.in_place import InPlace
from updater.install.journal import Journal, State
from updater.install.kept_code import code_digest
from updater.install.recovery import MAX_ATTEMPTS, pending
from updater.install.restore_points import delete, find_restore_point
from updater.install.slots import Slots
from updater.site import SiteLock, read_history, read_status
from updater.site.files import remove_tree
from updater.site.lock import read_holder
from updater.site.status import StatusFile


@pytest.fixture(params=LAYOUTS)
def world(request, tmp_path) -> World:
    world = World(tmp_path / "site", request.param).create()
    world.update("1.0.0", V1)
    world.own_files()
    return world


def kill_while_applying(world: World) -> None:
    """A real process, ended with the first files switched and the rest not."""
    child = os.fork()
    if child == 0:
        real, calls = os.replace, []

        def replace(source: object, target: object) -> None:
            last = Journal(world.site.journal_path).last()
            if last is not None and last.state is State.APPLYING:
                calls.append(target)
                if len(calls) == 3 or (world.layout == "slots" and str(target).endswith("current")):
                    os._exit(9)
            real(source, target)  # type: ignore[arg-type]

        with mock.patch.object(os, "replace", replace):
            StatusFile(world.site.status_path, "update", world.now, world.listen)(Event(Phase.INSTALL, "start"))
            world.update("2.0.0", V2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    record = pending(world.site)
    assert record is not None
    assert record.state is State.APPLYING


def run_kept_copy(world: World, *options: str) -> subprocess.CompletedProcess[str]:
    [directory] = world.site.bin.iterdir()
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(world.path / "broken")}
    command = [sys.executable, "-S", "-E", "-I", str(directory / "recover.py"), *options]
    return subprocess.run(command, cwd="/", env=environ, capture_output=True, text=True, check=False)


def test_the_kept_copy_recovers_without_any_installed_updater(world):
    before = side(world)
    kill_while_applying(world)
    assert side(world) != before or world.layout == "slots"
    done = run_kept_copy(world)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "Recovered: rolled-back.")
    assert side(world) == before
    assert world.leftovers() == []
    assert pending(world.site) is None
    assert [entry["result"] for entry in read_history(world.site.history_path)] == ["done", "rolled-back"]
    assert read_status(world.site.status_path)["state"] == "rolled_back"


def test_the_kept_copy_waits_for_nobody_and_fails_loudly(world):
    kill_while_applying(world)
    with SiteLock(world.site.lock_path):
        done = run_kept_copy(world)
    assert done.returncode == 4
    assert "Another updater is at work" in done.stderr
    assert f"process {os.getpid()}" in done.stderr
    [plan] = world.site.staging.glob("*/transaction.json")
    plan.write_text("{")
    done = run_kept_copy(world)
    assert done.returncode == 4
    assert "cannot be read" in done.stderr
    assert pending(world.site) is not None


def test_another_versions_update_is_recovered_by_its_own_copy(world, monkeypatch):
    before = side(world)
    kill_while_applying(world)
    monkeypatch.setattr("updater.install.recovery.code_digest", lambda: "a newer updater")
    monkeypatch.setattr(Engine, "resume", lambda self: pytest.fail("the newer updater recovered it itself"))
    messages: list[str] = []
    world.listen = lambda event: messages.append(event.message)
    outcome = world.recover()
    assert outcome is not None
    assert (outcome.result, outcome.from_version, outcome.to_version) == ("rolled-back", "1.0.0", "2.0.0")
    assert side(world) == before
    assert world.leftovers() == []
    assert any("its own copy" in message for message in messages)
    assert "rollback: The old version is back." in messages
    assert world.recover() is None


def test_a_copy_that_fails_is_not_a_success(world, monkeypatch):
    kill_while_applying(world)
    monkeypatch.setattr("updater.install.recovery.code_digest", lambda: "a newer updater")
    [directory] = world.site.bin.iterdir()
    (directory / "recover.py").write_text("import sys; print('it broke'); sys.exit(4)")
    with pytest.raises(RollbackError, match="it broke"):
        world.recover()
    assert pending(world.site) is not None
    assert read_status(world.site.status_path)["state"] == "failed"


def test_the_same_updater_recovers_in_its_own_process(world, monkeypatch):
    kill_while_applying(world)
    assert Journal(world.site.journal_path).records()[0].details["code"] == code_digest()
    monkeypatch.setattr("updater.install.recovery.run", lambda *a, **k: pytest.fail("started a process"))
    outcome = world.recover()
    assert outcome is not None
    assert outcome.result == "rolled-back"


def test_a_broken_updater_toml_does_not_stop_recovery(world):
    before = side(world)
    kill_while_applying(world)
    world.site.config_path.write_text("this is [not TOML")
    outcome = world.recover()
    assert outcome is not None
    assert outcome.result == "rolled-back"
    world.site.config_path.write_text(CONFIG)
    assert side(world) == before


def test_a_status_without_its_process_is_an_interrupted_one(tmp_path):
    path = tmp_path / "status.json"
    child = os.fork()
    if child == 0:
        StatusFile(path, "update-1", World(tmp_path).now, lambda event: None)(Event(Phase.INSTALL, "start", "Working."))
        os._exit(0)
    os.waitpid(child, 0)
    assert read_status(path)["state"] == "interrupted"
    assert read_status(path)["message"] == "Working."
    StatusFile(path, "update-2", World(tmp_path).now, lambda event: None)(Event(Phase.INSTALL, "start"))
    assert read_status(path)["state"] == "running"
    with mock.patch("updater.site.lock.boot_id", lambda: "another boot"):
        assert read_status(path)["state"] == "interrupted"


def test_automatic_attempts_end_and_the_owners_do_not(world, monkeypatch):
    before = side(world)
    kill_while_applying(world)
    layout = Slots if world.layout == "slots" else InPlace
    with monkeypatch.context() as patch:
        patch.setattr(layout, "undo", mock.Mock(side_effect=OSError(5, "still broken")))
        for _ in range(MAX_ATTEMPTS):
            with pytest.raises(RollbackError, match="still broken"):
                world.recover(force=False)
    with pytest.raises(RollbackError, match="failed 3 times"):
        world.recover(force=False)
    outcome = world.recover()
    assert outcome is not None
    assert outcome.result == "rolled-back"
    assert side(world) == before


def test_a_missing_plan_is_told_and_nothing_is_touched(world):
    kill_while_applying(world)
    before = side(world)
    [plan] = world.site.staging.glob("*/transaction.json")
    plan.unlink()
    with pytest.raises(RollbackError, match="is missing"):
        world.recover()
    assert side(world) == before


def test_half_a_plan_is_never_taken_for_one(world, monkeypatch):
    """Cleaning up is cut short after the commit: what is left is rubbish, not an update to be finished again."""
    real = remove_tree

    def cut_short(path: Path) -> None:
        if path.parent == world.site.staging:
            (path / "settings.json").unlink()
            raise OSError(5, "cut short")
        real(path)

    with monkeypatch.context() as patch:
        patch.setattr("updater.install.engine.remove_tree", cut_short)
        assert "cut short" in str(world.update("2.0.0", V2).warnings)
    assert pending(world.site) is not None
    assert world.recover() is None
    assert pending(world.site) is None
    assert world.leftovers() == []
    assert world.version == "2.0.0"


def test_a_damaged_journal_stops_everything(world):
    kill_while_applying(world)
    data = bytearray(world.site.journal_path.read_bytes())
    data[20] ^= 1
    world.site.journal_path.write_bytes(data)
    with pytest.raises(RollbackError, match="damaged"):
        world.recover()


@pytest.mark.parametrize("name", ["transaction.json", "manifest.json", "settings.json"])
def test_a_bit_that_flips_in_a_plan_is_noticed(world, name):
    """Each of these is still a document after it, only not the one that was written."""
    before = side(world)
    kill_while_applying(world)
    [plan] = world.site.staging.glob(f"*/{name}")
    data = plan.read_bytes()
    changed = {
        "transaction.json": data.replace(b'"path":"app/run"', b'"path":"app/rum"'),
        "manifest.json": data.replace(b"app/run", b"app/rum"),
        "settings.json": data.replace(b'"environment":{}', b'"environment":{"UPDATER_BACKUP_MAX_BACKUPS":"1"}'),
    }
    assert changed[name] != data
    plan.write_bytes(changed[name])
    for _ in range(2):
        with pytest.raises(RollbackError, match="not what was written"):
            world.recover()
    plan.write_bytes(data)
    assert world.recover().result == "rolled-back"
    assert side(world) == before


def test_two_updaters_at_once(world):
    with SiteLock(world.site.lock_path):
        assert read_holder(world.site.lock_path).pid == os.getpid()
        with pytest.raises(LockedError, match=str(os.getpid())):
            world.update("2.0.0", V2)
    world.update("2.0.0", V2)


def test_a_migration_that_outlives_a_killed_updater_keeps_the_lock(world, tmp_path):
    """Restoring the database below a migration that still runs would leave neither the old nor the new state."""
    marker, release = tmp_path / "started", tmp_path / "release"
    script = f"import pathlib, time\npathlib.Path({str(marker)!r}).touch()\n"
    script += f"while not pathlib.Path({str(release)!r}).exists(): time.sleep(0.01)\n"
    (tmp_path / "migrate.py").write_text(script)
    command = f'runner = ["{sys.executable}", "{tmp_path / "migrate.py"}"]'
    world.configure(f'[commands]\n{command}\nallow = ["migrate"]\n')
    before = side(world)
    child = os.fork()
    if child == 0:
        world.update("2.0.0", V2, commands=["migrate"])
        os._exit(1)
    wait_for(marker.exists)
    os.kill(child, 9)
    os.waitpid(child, 0)
    with pytest.raises(LockedError):
        world.recover()
    release.touch()

    def recovered() -> bool:
        try:
            return world.recover() is not None
        except LockedError:
            return False

    wait_for(recovered)
    assert side(world) == before


def test_an_update_whose_lock_file_was_removed_is_left_alone_while_it_runs(world, tmp_path):
    marker, release = tmp_path / "started", tmp_path / "release"
    wait = f"touch {marker}; until test -e {release}; do sleep 0.02; done"
    world.configure(f'[commands]\nrunner = ["sh", "-c", "{wait}"]\nallow = ["migrate"]\n')
    child = os.fork()
    if child == 0:
        world.update("2.0.0", V2, commands=["migrate"])
        os._exit(0)
    wait_for(marker.exists)
    world.site.lock_path.unlink()
    with pytest.raises(LockedError, match=f"process {child}. still runs, although its lock file was removed"):
        world.recover()
    with pytest.raises(LockedError):
        world.update("2.0.0", V2)
    release.touch()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert world.recover() is None
    assert world.version == "2.0.0"


def wait_for(condition: object, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_whoever_listens_cannot_break_an_update(world):
    def closed_terminal(event: Event) -> None:
        raise BrokenPipeError

    world.listen = closed_terminal
    assert world.update("2.0.0", V2).result == "done"
    assert (world.tree / "app/a.py").read_bytes() == b"VALUE = 2\n"


@pytest.mark.parametrize("reason", ["its health check fails", "it is killed while that is undone"])
def test_the_history_tells_the_first_reason(world, reason):
    world.configure('[health]\ncommand = ["sh", "-c", "echo no luck; false"]\ntimeout = 0.1\ninterval = 0.05\n')
    child = os.fork()
    if child == 0:
        layout = Slots if world.layout == "slots" else InPlace
        if "killed" in reason:
            layout.undo = lambda self: os._exit(9)  # type: ignore[method-assign]
        try:
            world.update("2.0.0", V2)
        except RolledBackError:
            os._exit(0)
        os._exit(1)
    os.waitpid(child, 0)
    world.recover()
    last = read_history(world.site.history_path)[-1]
    assert last["result"] == "rolled-back"
    assert "no luck" in last["reason"]


def test_a_database_that_cannot_be_saved_stops_the_update_before_it_begins(world):
    world.configure('[database]\nkind = "command"\nbackup = ["false", "{file}"]\nrestore = ["true", "{file}"]\n')
    before = side(world)
    with pytest.raises(InstallError) as caught:
        world.update("2.0.0", V2)
    assert not isinstance(caught.value, RolledBackError)
    assert side(world) == before
    assert pending(world.site) is None
    assert world.leftovers() == []
    assert read_history(world.site.history_path)[-1]["result"] == "discarded"


def test_an_app_that_cannot_be_stopped_again_does_not_stop_the_way_back(world, tmp_path):
    stop = f'["sh", "-c", "test ! -e {tmp_path}/stopped && touch {tmp_path}/stopped"]'
    world.configure(f'[restart]\nstop = {stop}\n[health]\ncommand = ["false"]\ntimeout = 0.1\ninterval = 0.05\n')
    before = side(world)
    with pytest.raises(RolledBackError):
        world.update("2.0.0", V2)
    assert side(world) == before
    assert "could not be stopped" in str(read_history(world.site.history_path)[-1]["warnings"])


def test_every_state_is_on_disk_before_its_first_action(world, monkeypatch):
    """The order of writes that docs/reliability.md promises."""
    seen: list[str] = []
    layout = Slots if world.layout == "slots" else InPlace

    def note(name: str, real: object) -> object:
        def call(*args: object, **options: object) -> object:
            seen.append(name)
            return real(*args, **options)  # type: ignore[operator]

        return call

    real_append = Journal.append

    def append(self: Journal, name: str, state: State, **details: object) -> None:
        seen.append(state.value)
        real_append(self, name, state, **details)

    monkeypatch.setattr(Journal, "append", append)
    monkeypatch.setattr(Journal, "begin", note("prepared", Journal.begin))
    for module in ("engine", "begin", "in_place" if world.layout == "in-place" else "slots"):
        monkeypatch.setattr(f"updater.install.{module}.sync_filesystem", lambda path: seen.append("flush"))
    monkeypatch.setattr(layout, "prepare", note("backup", layout.prepare))
    monkeypatch.setattr("updater.install.restore_points.RestorePoint.write", note("record", lambda self: None))
    monkeypatch.setattr(Engine, "_write_installed", note("installed", Engine._write_installed))
    world.update("2.0.0", V2)
    switched = [name for name in seen if name in ("flush", "prepared", "backup", "record", "installed", *State)]
    assert switched == [
        *("flush", "prepared", "backup", "flush", "stopping", "record", "applying", "flush"),
        *("migrating", "starting", "committed", "installed", "flush", "ended"),
    ]


def test_the_commit_comes_after_the_answer(world, tmp_path):
    """A process that dies while the new version is asked must leave an update that is undone."""
    seen = tmp_path / "seen"
    world.configure(f'[health]\ncommand = ["cp", "{world.site.journal_path}", "{seen}"]\n')
    world.update("2.0.0", V2)
    assert Journal(seen).records()[-1].state is State.STARTING


def test_a_deletion_is_flushed_before_its_record_goes(world, monkeypatch):
    """On btrfs the record's end can reach the disk before that of what it tells to remove."""
    world.update("2.0.0", V2)
    point = find_restore_point(world.site, None)
    seen: list[tuple[bool, bool, bool]] = []

    def flush(path: Path) -> None:
        slot = world.site.releases / (point.slot or "none")
        seen.append(((point.directory / "deleted.json").exists(), point.files.exists(), slot.exists()))

    monkeypatch.setattr("updater.install.restore_points.sync_filesystem", flush)
    delete(world.site, point)
    assert seen[-1] == (True, False, False)
    assert not (point.directory / "deleted.json").exists()


def test_the_lock_is_advice_on_paper_and_a_fact_in_the_kernel(tmp_path):
    path = tmp_path / "lock"
    with mock.patch("os.pwrite", side_effect=OSError(28, "full")), SiteLock(path):
        assert read_holder(path) is None
        with pytest.raises(LockedError), SiteLock(path):
            pass
    with SiteLock(path):
        assert read_holder(path).pid == os.getpid()
    assert path.exists()
    with pytest.raises(StateError), SiteLock(Path("/nonexistent/lock")):
        pass
