"""SQLite databases that are restored by a process of their own, so that SQLite's own calls can be struck."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Literal

from tests.torture.syscalls.strace import Call, Done, Fault, counting, parse_calls, run, strace_words
from updater.database.sqlite import SQLiteDatabase

Mode = Literal["delete", "wal", "damaged", "absent"]
MODES: tuple[Mode, ...] = ("delete", "wal", "damaged", "absent")
"""What the restore meets: a database with a rollback journal; one in WAL mode with commits still in ``-wal``; one that
is no database any more; and one that the update created, which has to go."""

RESTORE = """
import json, sys
from pathlib import Path
from updater.database import Backup
from updater.database.sqlite import SQLiteDatabase
from updater.errors import DatabaseError
database, dump, record = map(Path, sys.argv[1:])
record = Backup.from_json(json.loads(record.read_text()))
try:
    SQLiteDatabase(database).restore(dump, record)
except DatabaseError as error:
    print(error)
    sys.exit(4)
"""
FAILED = 4
PAGE = 4096
_ROW = "x" * 900


class Restore:
    """A database, a backup of what it was, and the restore. ``home`` holds them."""

    def __init__(self, home: Path, mode: Mode) -> None:
        self.home, self.mode = home, mode
        self.folder = home / "case"
        self.database, self.dump = self.folder / "app.db", self.folder / "dump"
        self.log = home / "strace.log"
        self.folder.mkdir(parents=True)
        if mode != "absent":
            _write(self.database, "before", 60)
        if mode == "wal":
            with closing(sqlite3.connect(self.database)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
        self.then = self.rows()
        record = SQLiteDatabase(self.database).backup(self.dump)
        (home / "record.json").write_text(json.dumps(record.to_json()))
        self._migrate()
        if mode == "wal":
            assert Path(f"{self.database}-wal").stat().st_size > 20 * PAGE
        self.folder.rename(home / "start")
        self.begin()
        self.now = self.rows()
        assert self.now != self.then
        self.begin()
        done = run([*strace_words(counting()), "-o", str(self.log), *self.argv])
        assert done.code == 0, done
        self.calls: list[Call] = parse_calls(self.log, self.folder)
        assert self.rows() == self.then

    def _migrate(self) -> None:
        if self.mode == "damaged":
            data = self.database.read_bytes()
            self.database.write_bytes(b"\0" * PAGE + data[PAGE:])
            return
        with closing(sqlite3.connect(self.database)) as connection:
            if self.mode == "wal":
                connection.execute("PRAGMA wal_autocheckpoint = 0")
            with connection:
                connection.execute("CREATE TABLE IF NOT EXISTS log (line TEXT)")
                connection.execute("UPDATE log SET line = 'migrated ' || line")
                connection.executemany("INSERT INTO log VALUES (?)", [(f"after {n} {_ROW}",) for n in range(90)])
            if self.mode == "wal":  # as a killed app leaves it: the last close would merge -wal
                for suffix in ("", "-wal", "-shm"):
                    shutil.copyfile(f"{self.database}{suffix}", f"{self.database}{suffix}.kept")
        if self.mode == "wal":
            for suffix in ("", "-wal", "-shm"):
                os.replace(f"{self.database}{suffix}.kept", f"{self.database}{suffix}")

    @property
    def argv(self) -> list[str]:
        return [sys.executable, "-c", RESTORE, str(self.database), str(self.dump), str(self.home / "record.json")]

    def begin(self) -> None:
        """Everything as before the restore."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.home / "start", self.folder)

    def rows(self) -> object:
        """What the app would read: its rows, "damaged", or None without a database."""
        if not self.database.exists():
            return None
        try:
            with closing(sqlite3.connect(self.database)) as connection:
                if connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
                    return "damaged"
                if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'log'").fetchone():
                    return "empty"
                return [str(row[0]) for row in connection.execute("SELECT line FROM log ORDER BY rowid")]
        except sqlite3.DatabaseError:
            return "damaged"

    @property
    def largest(self) -> int:
        """Bytes of the largest file."""
        return max(path.stat().st_size for path in (self.home / "start").rglob("*") if path.is_file())

    def case(self, fault: Fault) -> bool:
        """One fault; then the restore again. Whether it was met. Raises AssertionError."""
        self.begin()
        done = run([*strace_words(fault.options), "-o", str(self.log), *self.argv])
        hit = fault.hit(self.log, self.folder)
        self.judge(done, f"{self.mode}, {fault}")
        return hit

    def limited(self, most: int) -> None:
        """The restore while no file may grow beyond ``most`` bytes, and then again."""
        self.begin()
        self.judge(run(self.argv, most=most), f"{self.mode}, at most {most} bytes")

    def judge(self, done: Done, label: str) -> None:
        """The database is the old or the new one, the exit code says which, and the restore can be repeated."""
        label = f"{label}: {done.code} {done.said[-300:]}"
        assert done.code in (0, FAILED, -9), label
        found = self.rows()
        if done.code == 0:
            assert found == self.then, label
        # a damaged database gives way before the good one is written: killed between, there is none, or none yet
        between = (None, "empty", "damaged") if self.mode == "damaged" else ()
        assert found in (self.then, self.now, *between), (label, str(found)[:200])
        again = run(self.argv)
        assert again.code == 0, (label, again)
        assert self.rows() == self.then, label


def plan(found: list[Call]) -> list[Fault]:
    """A kill at every call that changes something and every error it may meet; an error at every second that looks."""
    faults = []
    for index, call in enumerate(found):
        if call.changes:
            faults += [Fault(call, what) for what in ("KILL", *call.errors)]
        elif index % 2:
            faults.append(Fault(call, call.errors[index // 2 % len(call.errors)]))
    return faults


def _write(database: Path, line: str, rows: int) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE log (line TEXT)")
        connection.executemany("INSERT INTO log VALUES (?)", [(f"{line} {n} {_ROW}",) for n in range(rows)])
