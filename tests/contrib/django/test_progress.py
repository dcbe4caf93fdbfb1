"""The progress answers without login and database: also while SQLite is locked, and while nothing runs."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test import Client

from tests.contrib.django.site import ROOT, TestSite
from updater.contrib.django.pages.progress import ENGINE, token_for
from updater.contrib.django.runs.record import RunRecord
from updater.contrib.django.runs.request import Request

PROGRESS = "/admin/updates/availableupdate/progress"
FIELDS = {
    *("run_id", "action", "target", "state", "phase", "step", "steps", "percent", "bytes_done", "bytes_total"),
    *("message", "why", "hint", "log", "log_tail_offset", "started_at", "heartbeat_at", "can_cancel"),
}


def running(site: TestSite, **status) -> RunRecord:
    """A run that goes on in this very process."""
    from updater.site.lock import boot_id

    now = datetime.now(UTC)
    record = RunRecord.of(Request.new("update", "1.1.0", actor="ada", now=now))
    values = {"state": "running", "pid": os.getpid(), "boot_id": boot_id(), "status": status}
    record = RunRecord.from_json(record.to_json() | values)
    site.folder.prepare()
    site.folder.write_record(record)
    return record


def ask(record: RunRecord, query: str = "") -> dict:
    answer = Client().get(f"{PROGRESS}/{token_for(record.id)}/{query}")
    assert answer["Cache-Control"] == "no-store"
    return answer.json()


def test_every_field_is_there(shared_site):
    status = {
        "phase": "download",
        "step": 3,
        "percent": 42,
        "done": 420,
        "total": 1000,
        "unit": "bytes",
        "message": "m",
    }
    found = ask(running(shared_site, **status))
    assert set(found) == FIELDS
    assert (found["phase"], found["percent"], found["bytes_done"], found["bytes_total"]) == ("download", 42, 420, 1000)
    assert (found["message"], found["can_cancel"], found["steps"]) == ("m", True, 10)


@pytest.mark.parametrize(
    ("phase", "can"), [("backup", True), ("migrate", True), ("commit", False), ("rollback", False)]
)
def test_what_is_committed_or_being_undone_cannot_be_cancelled(shared_site, phase, can):
    assert ask(running(shared_site, phase=phase))["can_cancel"] is can


def test_the_log_is_read_piece_by_piece(shared_site):
    record = running(shared_site)
    shared_site.folder.log_path(record.id).write_text("one\n")
    first = ask(record)
    assert (first["log"], first["log_tail_offset"]) == ("one\n", 4)
    with shared_site.folder.log_path(record.id).open("a") as file:
        file.write("two\n")
    assert ask(record, "?offset=4")["log"] == "two\n"
    for nonsense in ("-1", "x", "9" * 30, "99999"):
        assert ask(record, f"?offset={nonsense}")["log"] == "one\ntwo\n"
    shared_site.folder.log_path(record.id).write_text("x" * 100_000)
    assert len(ask(record)["log"]) == 16 * 1024


def test_what_runs_on_the_command_line_can_be_followed(shared_site):
    shared_site.site.status_path.write_text(json.dumps({"state": "done", "phase": "cleanup", "message": "Finished."}))
    found = Client().get(f"{PROGRESS}/{token_for(ENGINE)}/").json()
    assert (found["state"], found["message"]) == ("done", "Finished.")
    assert set(found) == FIELDS


def test_no_query_is_made(shared_site, django_queries):
    record = running(shared_site)
    with django_queries() as queries:
        ask(record)
    assert queries == []


@pytest.fixture
def django_queries():
    from contextlib import contextmanager

    @contextmanager
    def count():
        seen: list[str] = []

        def note(execute, sql, params, many, context):
            seen.append(sql)
            return execute(sql, params, many, context)

        with connection.execute_wrapper(note):
            yield seen

    return count


SERVER = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.contrib.django.project.settings"
from wsgiref.simple_server import make_server, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application
class Quiet(WSGIRequestHandler):
    def log_message(self, *args): pass
server = make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Quiet)
print(server.server_port, flush=True)
server.serve_forever()
"""


def test_it_answers_while_sqlite_is_exclusively_locked(shared_site, tmp_path):
    """Measured in another process, over HTTP; a page with a login waits for the lock and fails."""
    import urllib.error
    import urllib.request

    database = tmp_path / "db.sqlite3"
    environ = os.environ | {
        "TEST_SITE": str(shared_site.path),
        "TEST_DATABASE": str(database),
        "DJANGO_SETTINGS_MODULE": "tests.contrib.django.project.settings",
        "PYTHONPATH": str(ROOT),
    }
    subprocess.run([sys.executable, "-m", "django", "migrate", "-v0"], env=environ, check=True)
    record = running(shared_site, phase="migrate", message="Migrating.")
    server = subprocess.Popen([sys.executable, "-c", SERVER], env=environ, stdout=subprocess.PIPE, text=True)
    lock = sqlite3.connect(database, isolation_level=None)
    try:
        assert server.stdout is not None
        base = f"http://127.0.0.1:{int(server.stdout.readline())}"
        lock.execute("BEGIN EXCLUSIVE")
        urllib.request.urlopen(f"{base}{PROGRESS}/{token_for(record.id)}/").close()  # the first one loads the code
        started = time.monotonic()
        with urllib.request.urlopen(f"{base}{PROGRESS}/{token_for(record.id)}/") as answer:
            assert json.load(answer)["message"] == "Migrating."
        assert time.monotonic() - started < 2
        request = urllib.request.Request(
            f"{base}/admin/updates/availableupdate/", headers={"Cookie": "sessionid=" + "a" * 32}
        )
        with pytest.raises(urllib.error.HTTPError, match="500"):
            urllib.request.urlopen(request)
    finally:
        lock.close()
        server.terminate()
        server.communicate()
