"""The progress answers without login and database: also while SQLite is locked, and while nothing runs."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test import Client

from tests.contrib.django.site import ROOT, TestSite
from tests.support.postgres import running_server
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


@contextmanager
def serving(site: TestSite, **environ: str) -> Iterator[str]:
    """The project in a process of its own, its tables made. Its address."""
    environment = os.environ | {
        "TEST_SITE": str(site.path),
        "DJANGO_SETTINGS_MODULE": "tests.contrib.django.project.settings",
        "PYTHONPATH": str(ROOT),
        **environ,
    }
    subprocess.run([sys.executable, "-m", "django", "migrate", "-v0"], env=environment, check=True)
    server = subprocess.Popen([sys.executable, "-c", SERVER], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.terminate()
        server.communicate()


def answers_at_once(base: str, record: RunRecord) -> None:
    urllib.request.urlopen(f"{base}{PROGRESS}/{token_for(record.id)}/").close()  # the first one loads the code
    started = time.monotonic()
    with urllib.request.urlopen(f"{base}{PROGRESS}/{token_for(record.id)}/") as answer:
        assert json.load(answer)["message"] == "Migrating."
    assert time.monotonic() - started < 2


def with_a_login(base: str) -> urllib.request.Request:
    return urllib.request.Request(f"{base}/admin/updates/availableupdate/", headers={"Cookie": "sessionid=" + "a" * 32})


def test_it_answers_while_sqlite_is_exclusively_locked(shared_site, tmp_path):
    """Over HTTP; a page with a login waits for the lock and fails."""
    database = tmp_path / "db.sqlite3"
    record = running(shared_site, phase="migrate", message="Migrating.")
    with (
        serving(shared_site, TEST_DATABASE=str(database)) as base,
        closing(sqlite3.connect(database, isolation_level=None)) as lock,
    ):
        lock.execute("BEGIN EXCLUSIVE")
        answers_at_once(base, record)
        with pytest.raises(urllib.error.HTTPError, match="500"):
            urllib.request.urlopen(with_a_login(base))


@pytest.mark.slow
def test_it_answers_while_migrations_hold_locks_on_postgresql(shared_site):
    """Every table is locked as ALTER TABLE locks it; a page with a login waits."""
    psycopg = pytest.importorskip("psycopg")
    record = running(shared_site, phase="migrate", message="Migrating.")
    with running_server() as server:
        server.sql("postgres", "CREATE DATABASE shop OWNER app", user="postgres")
        environ = {"TEST_PG_PORT": str(server.port), "TEST_PG_PASSWORD": server.password}
        with serving(shared_site, **environ) as base, psycopg.connect(server.url("shop")) as migration:
            tables = migration.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            assert {"updates_updatelog", "django_session", "auth_user"} <= {name for (name,) in tables}
            migration.execute(f"LOCK TABLE {', '.join(name for (name,) in tables)} IN ACCESS EXCLUSIVE MODE")
            answers_at_once(base, record)
            with pytest.raises(TimeoutError):
                urllib.request.urlopen(with_a_login(base), timeout=2)
            migration.rollback()
