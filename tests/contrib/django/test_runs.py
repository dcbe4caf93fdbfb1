"""Requests that another user may have written, runs, and who carries them out."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contrib.django.site import TestSite, package
from updater.contrib.django.runs.commands import command_for
from updater.contrib.django.runs.folder import KEPT_RUNS, RunFolder
from updater.contrib.django.runs.record import RunRecord, state_for
from updater.contrib.django.runs.request import ACTIONS, Request
from updater.contrib.django.runs.supervisor import Supervisor
from updater.errors import LockedError, SchemaError

NOW = datetime.now(UTC).replace(microsecond=0)


def request(action: str = "update", target: str | None = "1.1.0", **more) -> Request:
    return Request.new(action, target, actor="ada", address="192.0.2.7", now=more.get("now", datetime.now(UTC)))


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path / "web")
    made.prepare()
    return made


def supervise(site: TestSite) -> RunRecord:
    """Carry out what waits, in this process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    Supervisor(site.site, site.folder).run()
    assert before == {number: signal.getsignal(number) for number in before}
    record = site.folder.current(datetime.now(UTC))
    assert record is not None
    return record


# requests


@pytest.mark.parametrize("action", ACTIONS)
def test_a_request_is_read_as_it_was_written(action):
    made = request(action)
    assert Request.parse(made.to_bytes()) == made


@pytest.mark.parametrize(
    "change",
    [
        {"action": "shell"},
        {"target": "--config=/etc"},
        {"target": "-rf"},
        {"target": "../../backup.zip"},
        {"target": "https://evil.example/x.zip"},
        {"target": "1.1.0 --allow-stale"},
        {"target": "x" * 129},
        {"target": ["1.1.0"]},
        {"id": "../../../etc/passwd"},
        {"at": "yesterday"},
        {"schema": "2.0"},
        {"action": "rollback", "target": None},
    ],
)
def test_what_a_request_must_not_say_is_refused(change):
    document = json.loads(request().to_bytes()) | change
    with pytest.raises(SchemaError):
        Request.parse(json.dumps(document).encode())


def test_nothing_of_a_request_but_action_and_target_reaches_a_command_line(site):
    document = json.loads(request().to_bytes()) | {"feed_url": "https://evil.example/", "argv": ["rm"], "actor": "--x"}
    found = Request.parse(json.dumps(document).encode())
    argv = command_for(found, site.site, sys.executable, {}).argv
    assert argv == (
        *(sys.executable, "-m", "updater", "update", "--yes", "--to", "1.1.0"),
        *("--json", "--site", str(site.path)),
    )


@given(st.binary(max_size=300) | st.dictionaries(st.text(), st.text()).map(lambda d: json.dumps(d).encode()))
def test_a_request_of_any_bytes_is_read_or_refused(data):
    try:
        Request.parse(data)
    except SchemaError:
        pass


def test_a_second_request_does_not_replace_the_first(folder):
    first = request(now=NOW)
    folder.ask(first, NOW)
    with pytest.raises(LockedError):
        folder.ask(request(now=NOW), NOW)
    assert folder.waiting() == first
    folder.ask(later := request(now=NOW), NOW + timedelta(minutes=11))  # nobody took the first
    assert folder.waiting() == later


@pytest.mark.parametrize("kind", ["symlink", "fifo", "directory", "huge", "garbage"])
def test_a_request_that_is_no_file_of_ours_harms_nobody(folder, tmp_path, kind):
    secret = tmp_path / "secret"
    secret.write_bytes(request().to_bytes())
    path = folder.request_path
    if kind == "symlink":
        path.symlink_to(secret)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.write_bytes(b" " * 10_000_000 if kind == "huge" else b"\xff{")
    if kind in ("huge", "garbage"):
        assert folder.next_request() is None
        assert not path.exists()
    else:
        with pytest.raises(Exception, match="cannot be read"):
            folder.next_request()
    assert secret.exists()


def test_damaged_records_are_no_runs(folder):
    made = RunRecord.of(request())
    folder.write_record(made)
    assert folder.record(made.id, NOW) == made
    for damage in (b"", b"[]", b"{}", b'{"id": 5}', b"\xff"):
        folder.record_path(made.id).write_bytes(damage)
        assert folder.record(made.id, NOW) is None
        assert folder.records(NOW) == []


def test_only_the_newest_runs_are_kept(folder):
    for number in range(KEPT_RUNS + 5):
        folder.write_record(RunRecord.of(request(now=NOW + timedelta(seconds=number))))
    folder.forget_old()
    assert len(folder.records(NOW)) == KEPT_RUNS


def test_a_run_whose_process_is_gone_is_interrupted_after_half_a_minute(folder):
    running = RunRecord.from_json(RunRecord.of(request(now=NOW)).to_json() | {"state": "running", "pid": 2**22 + 1})
    assert running.seen_at(NOW + timedelta(seconds=5)).state == "running"
    assert running.seen_at(NOW + timedelta(seconds=60)).state == "interrupted"


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (0, "done"),
        (1, "failed"),
        (3, "rolled_back"),
        (4, "needs_human"),
        (6, "blocked"),
        (7, "failed"),
        (130, "cancelled"),
    ],
)
def test_every_exit_code_becomes_a_state(code, state):
    assert state_for(code) == state


# carrying out


def test_an_update_that_fails_is_told_with_its_reason(site):
    site.publisher.publish(package("1.1.0", files={"fail": b""}))
    site.folder.ask(request(), NOW)
    record = supervise(site)
    assert (record.state, record.exit_code) == ("rolled_back", 3)
    assert "1.1.0" in record.message
    assert record.status["state"] == "rolled_back"
    assert record.outcome
    assert site.version == "1.0.0"


def test_what_fails_before_anything_begins_is_told_as_well(site):
    site.folder.ask(request(target="9.9.9"), NOW)
    record = supervise(site)
    assert (record.state, record.exit_code, record.status) == ("blocked", 6, {})
    assert "9.9.9 is not in the stable feed" in record.why


def test_an_old_request_is_not_carried_out(site):
    site.folder.ask(request(now=NOW - timedelta(minutes=11)), NOW - timedelta(minutes=11))
    record = supervise(site)
    assert record.state == "blocked"
    assert "too old" in record.message
    assert site.version == "1.0.0"


def test_a_rehearsal_and_a_plan_to_go_back_change_nothing(site):
    sqlite3.connect(site.path / "db.sqlite3").close()
    site.config('[database]\nkind = "sqlite"\npath = "db.sqlite3"\n')
    site.updater.install(site.updater.plan("1.0.1"))
    point = site.updater.restore_points()[0]
    site.folder.ask(request("rehearse"), NOW)
    record = supervise(site)
    found = site.folder.result(record.id)
    assert record.state == "done", (record, found)
    assert found["rehearsal"]["ok"]
    site.folder.ask(request("plan-rollback", point.id), datetime.now(UTC))
    record = supervise(site)
    assert record.state == "done"
    assert site.folder.result(record.id)["plan"]["to"] == "1.0.0"
    assert site.version == "1.0.1"


def test_a_run_can_be_cancelled_and_is_undone(site):
    slow = "import sys, time\nprint('migrating', flush=True)\ntime.sleep(60)\n"
    site.publisher.publish(package("1.1.0", files={"manage.py": slow.encode()}))
    asked = request()
    site.folder.ask(asked, NOW)
    thread = threading.Thread(target=_cancel_when_migrating, args=(site, asked.id))
    thread.start()
    record = supervise(site)
    thread.join()
    assert record.state == "cancelled", record
    assert site.version == "1.0.0"
    assert (site.path / "app.txt").read_text() == "this is 1.0.0\n"


def _cancel_when_migrating(site: TestSite, run_id: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        record = site.folder.record(run_id, datetime.now(UTC))
        if record is not None and record.status.get("phase") == "migrate":
            site.folder.ask_to_cancel(run_id)
            return
        time.sleep(0.1)


def test_two_supervisors_carry_a_request_out_once(site):
    site.folder.ask(request(), NOW)
    words = [sys.executable, "-m", "updater.contrib.django.runs", "--site", str(site.path)]
    both = [subprocess.Popen(words, stderr=subprocess.PIPE) for _ in range(2)]
    assert [process.communicate(timeout=120)[1] for process in both] == [b"", b""]
    assert [process.returncode for process in both] == [0, 0]
    assert len(site.folder.records(datetime.now(UTC))) == 1
    assert site.version == "1.1.0"


def test_whoever_follows_a_request_always_finds_its_run(site, monkeypatch):
    site.folder.ask(asked := request("rehearse"), NOW)
    seen = []

    def look_before(does):
        def changed(*words):
            seen.append(site.folder.record(asked.id, datetime.now(UTC)))
            return does(*words)

        return changed

    monkeypatch.setattr(os, "unlink", look_before(os.unlink))
    monkeypatch.setattr(os, "replace", look_before(os.replace))
    supervise(site)
    assert len(seen) > 2
    assert None not in seen


def test_a_request_that_is_taken_while_a_reader_looks_is_found(folder, monkeypatch):
    asked = request()

    def taken_meanwhile():
        folder.write_record(RunRecord.of(asked))

    monkeypatch.setattr(folder, "waiting", taken_meanwhile)
    assert folder.record(asked.id, NOW) == RunRecord.of(asked)


def test_a_request_that_is_taken_back_while_it_is_being_taken_is_not_carried_out(site, monkeypatch):
    site.folder.ask(request(), NOW)
    tell = RunFolder.write_record

    def take_back(self, record):
        tell(self, record)
        self.withdraw()

    monkeypatch.setattr(RunFolder, "write_record", take_back)
    record = supervise(site)
    assert (record.state, site.version) == ("cancelled", "1.0.0")
    assert "taken back" in record.message


def test_the_folder_of_two_users_is_open_to_the_group_and_the_default_to_nobody_else(tmp_path, site):
    shared = RunFolder(tmp_path / "shared")
    shared.path.mkdir()
    shared.path.chmod(0o2770)
    shared.ask(request(), NOW)
    assert shared.runs.stat().st_mode & 0o7777 == 0o2770
    assert shared.request_path.stat().st_mode & 0o777 == 0o640
    site.folder.ask(request(), NOW)
    assert site.folder.path.stat().st_mode & 0o777 == 0o700
    assert site.folder.request_path.stat().st_mode & 0o777 == 0o600
