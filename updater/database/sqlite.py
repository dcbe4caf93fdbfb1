"""SQLite, through its own backup API in both directions.

Copying files would miss what is still in ``-wal``; putting a copy in place beside a ``-wal`` file brings the newer
state back without a word. The backup API does neither, and writes the live file in one transaction.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from updater.database.base import (
    Backup,
    TableRows,
    check_files,
    compare_rows,
    prepare,
    seal,
    sync_directory,
)
from updater.errors import DatabaseError
from updater.site.looking import exists, real_path

__all__ = ["SQLiteDatabase"]

_DUMP = "database.sqlite3"
_SIDECARS = ("-wal", "-shm", "-journal")
_ASIDE = ".before-rollback"
_TABLES = """
SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name
"""
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class SQLiteDatabase:
    """One database file. ``timeout`` is how many seconds to wait for whoever holds a lock on it."""

    kind = "sqlite"

    def __init__(self, path: Path, *, timeout: float = 60.0) -> None:
        # SQLite keeps -wal beside the file that a symlink points to, and a rename must not move the link.
        with _translated(f"cannot find {path}"):
            self._path = real_path(path)
        self._timeout = timeout
        self._patience = min(5.0, timeout)

    def available(self) -> str | None:
        """Why it cannot be backed up, or None. A database that does not exist yet is fine."""
        if not self._path.parent.is_dir():
            return f"the folder of the SQLite database {self._path} does not exist"
        if self._path.exists() and not os.access(self._path, os.R_OK | os.W_OK):
            return f"this user cannot read and write the SQLite database {self._path}"
        return None

    def estimate(self) -> int | None:
        """The size of the file and of what is not yet merged into it."""
        total = 0
        for path in (self._path, Path(f"{self._path}-wal")):
            try:
                total += path.stat().st_size
            except FileNotFoundError:
                continue
            except OSError:
                return None
        return total

    def backup(self, directory: Path) -> Backup:
        """One consistent copy, whoever writes meanwhile, checked by SQLite. See `Database.backup`."""
        made_by = f"SQLite {sqlite3.sqlite_version}"
        if not exists(self._path):
            return Backup(self.kind, (), made_by, absent=True)
        part = prepare(directory, _DUMP)
        with _translated(f"cannot back up {self._path}"):
            with (
                closing(_connect(self._path, "mode=rw", self._patience)) as live,
                closing(_connect(part, "mode=rw")) as dump,
            ):
                self._copy(live, dump)
            _check_integrity(part, "mode=ro&immutable=1")
        return Backup(self.kind, (seal(part),), made_by)

    def restore(self, directory: Path, record: Backup) -> None:
        """Write the backup into the live file, in one transaction. See `Database.restore`.

        What must give way whole (a database that the update created, or one that is damaged) is not deleted but
        renamed to ``<name>.before-rollback``, replacing an earlier one of that name.
        """
        check_files(self.kind, directory, record)
        if record.absent:
            self._move_aside()
            return
        with _translated(f"cannot restore {self._path}"):
            try:
                self._copy_back(directory / _DUMP)
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
                    raise
                self._move_aside()
                self._copy_back(directory / _DUMP)

    def verify(self, directory: Path, record: Backup) -> None:
        """Size, digest, and what SQLite itself says of it. See `Database.verify`."""
        check_files(self.kind, directory, record)
        for file in record.files:
            with _translated(f"cannot read {directory / file.name}"):
                _check_integrity(directory / file.name, "mode=ro&immutable=1")

    def changed_rows(self, directory: Path, record: Backup, seconds: float) -> tuple[TableRows, ...]:
        """See `Database.changed_rows`. The live file is opened for reading only."""
        deadline = time.monotonic() + seconds
        with _translated(f"cannot count the rows of {self._path}"):
            then = {} if record.absent else _count(directory / _DUMP, "mode=ro&immutable=1", deadline)
            now = _count(self._path, self.reading(), deadline) if self._path.exists() else {}
        return compare_rows(then, now)

    def reading(self) -> str:
        """How to open the live file so that nothing appears beside it. In WAL mode even a reader makes ``-wal`` and
        ``-shm``; without a ``-wal`` nobody has it open, and the file alone is the whole database."""
        with self._path.open("rb") as file:
            in_wal_mode = file.read(20)[18:20] == b"\2\2"
        return "mode=ro&immutable=1" if in_wal_mode and not Path(f"{self._path}-wal").exists() else "mode=ro"

    def _copy_back(self, dump_path: Path) -> None:
        with (
            closing(_connect(dump_path, "mode=ro&immutable=1")) as dump,
            closing(_connect(self._path, "mode=rwc", self._patience)) as live,
        ):
            live.execute("PRAGMA synchronous = FULL")
            if _pragma(live, "page_size") != _pragma(dump, "page_size") and _pragma(live, "journal_mode") == "wal":
                # A database in WAL mode cannot change its page size.
                self._wait(live, "PRAGMA journal_mode = DELETE")
            self._copy(dump, live)
            live.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        _check_integrity(self._path, "mode=rw")
        sync_directory(self._path.parent)

    def _copy(self, source: sqlite3.Connection, target: sqlite3.Connection) -> None:
        """All pages in one step: in several it would start over with every commit of somebody else."""
        deadline = time.monotonic() + self._timeout

        def give_up(status: int, remaining: int, total: int) -> None:  # noqa: ARG001
            if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > deadline:
                raise DatabaseError(
                    f"{self._path} stayed locked for {self._timeout:g} seconds",
                    hint="Stop the app and whatever else uses the database, then try again.",
                )

        source.backup(target, pages=-1, progress=give_up, sleep=0.05)

    def _wait(self, live: sqlite3.Connection, statement: str) -> None:
        live.execute(f"PRAGMA busy_timeout = {int(self._timeout * 1000)}")
        live.execute(statement).fetchall()

    def _move_aside(self) -> None:
        """Rename the database and what belongs to it, the file itself first: alone it is what a reader looks for."""
        aside = Path(f"{self._path}{_ASIDE}")
        try:
            if exists(self._path):
                for suffix in _SIDECARS:
                    Path(f"{aside}{suffix}").unlink(missing_ok=True)
            for suffix in ("", *_SIDECARS):
                source = Path(f"{self._path}{suffix}")
                if exists(source):
                    os.replace(source, f"{aside}{suffix}")
            sync_directory(self._path.parent)
        except OSError as error:
            raise DatabaseError(f"cannot move {self._path} aside: {error}") from error


def _connect(path: Path, options: str, timeout: float = 5.0) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?{options}", uri=True, timeout=timeout, isolation_level=None)


def _count(path: Path, options: str, deadline: float) -> dict[str, int]:
    """Rows by table, of one moment. Raises DatabaseError when the deadline (of the monotonic clock) passes."""
    found: dict[str, int] = {}
    with closing(_connect(path, options)) as connection:
        # counting is one step of SQLite's machine: a progress handler would not be asked, an interrupt is heeded
        alarm = threading.Timer(max(0.0, deadline - time.monotonic()), connection.interrupt)
        alarm.start()
        try:
            connection.execute("BEGIN")
            for table in [str(row[0]) for row in connection.execute(_TABLES)]:
                if time.monotonic() > deadline:
                    raise DatabaseError(f"counting the rows of {path} took too long")
                quoted = '"' + table.replace('"', '""') + '"'
                found[table] = int(connection.execute(f"SELECT count(*) FROM {quoted}").fetchone()[0])  # noqa: S608
        except sqlite3.OperationalError as error:
            if time.monotonic() > deadline:
                raise DatabaseError(f"counting the rows of {path} took too long") from error
            raise
        finally:
            alarm.cancel()
            alarm.join()
    return found


def _pragma(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def _check_integrity(path: Path, options: str) -> None:
    with closing(_connect(path, options)) as connection:
        found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(5)")]
    if found != ["ok"]:
        raise DatabaseError(
            f"{path} is damaged: {'; '.join(found)}",
            hint="Repair the database (sqlite3 .recover), or restore an older copy of it, before updating.",
        )


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise DatabaseError(
            f"{what}: {error}", hint="Check [database] path in updater.toml, the disk, and who else uses the file."
        ) from error
