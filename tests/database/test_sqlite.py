"""SQLite for real: writers at work, processes killed, files that lie around."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from updater.database import Backup, open_database
from updater.database.sqlite import SQLiteDatabase
from updater.errors import DatabaseError
from updater.schema.site_config import DatabaseConfig

ROOT = Path(__file__).parents[2]


def make(path: Path, rows: int = 100, *, wal: bool = True, page_size: int = 4096) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA page_size = {page_size}")
        connection.execute(f"PRAGMA journal_mode = {'wal' if wal else 'delete'}")
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)")
        connection.executemany("INSERT INTO t (x) VALUES (?)", [("old" * 50,)] * rows)
        connection.commit()


def content(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def migrate(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE t ADD COLUMN y INTEGER DEFAULT 7")
        connection.execute("CREATE TABLE new (id)")
        connection.execute("DELETE FROM t WHERE id % 2")
        connection.commit()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "site" / "db.sqlite3"
    found.parent.mkdir()
    make(found)
    return found


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    return tmp_path / "backups" / "1" / "database"


def test_the_way_back(path: Path, backups: Path) -> None:
    before = content(path)
    database = SQLiteDatabase(path)
    record = database.backup(backups)
    migrate(path)
    assert content(path) != before
    database.restore(backups, record)
    assert content(path) == before


@pytest.mark.parametrize("wal", [True, False])
@pytest.mark.parametrize("page_size", [1024, 4096])
def test_whatever_the_mode_and_the_page_size_became(tmp_path: Path, wal: bool, page_size: int) -> None:
    path, backups = tmp_path / "db", tmp_path / "b"
    make(path, page_size=2048)
    before = content(path)
    database = SQLiteDatabase(path)
    record = database.backup(backups)
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    make(path, 5, wal=wal, page_size=page_size)
    database.restore(backups, record)
    assert content(path) == before


def test_the_record_survives_as_json(path: Path, backups: Path) -> None:
    record = SQLiteDatabase(path).backup(backups)
    assert Backup.from_json(record.to_json()) == record
    assert record.created_by.startswith("SQLite 3.")
    (dump,) = record.files
    assert (backups / dump.name).stat().st_size == dump.size
    assert [entry.name for entry in backups.iterdir()] == [dump.name]
    assert (backups / dump.name).stat().st_mode & 0o777 == 0o600


def test_what_is_only_in_the_wal_is_in_the_backup(path: Path, backups: Path) -> None:
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        writer.execute("INSERT INTO t (x) VALUES ('latest')")
        writer.commit()
        record = SQLiteDatabase(path).backup(backups)
    with closing(sqlite3.connect(backups / record.files[0].name)) as dump:
        assert dump.execute("SELECT count(*) FROM t WHERE x = 'latest'").fetchone() == (1,)


def test_a_wal_that_lies_beside_does_not_undo_the_restore(path: Path, backups: Path) -> None:
    """A copy put in place beside the migrated -wal would be the migrated state again."""
    before = content(path)
    database = SQLiteDatabase(path)
    record = database.backup(backups)
    code = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('PRAGMA wal_autocheckpoint = 0')\n"
        "c.execute('CREATE TABLE new (id)'); c.commit(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert Path(f"{path}-wal").stat().st_size > 0
    database.restore(backups, record)
    assert content(path) == before


def test_a_backup_while_others_write_is_one_moment(path: Path, backups: Path) -> None:
    """Each transaction writes two rows; a backup that saw one of them only is none."""
    stop = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(path, timeout=20, isolation_level=None)) as writer:
            while not stop.is_set():
                writer.execute("BEGIN IMMEDIATE")
                writer.execute("INSERT INTO t (x) VALUES ('left')")
                writer.execute("INSERT INTO t (x) VALUES ('right')")
                writer.execute("COMMIT")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for number in range(5):
            record = SQLiteDatabase(path).backup(backups / str(number))
            with closing(sqlite3.connect(backups / str(number) / record.files[0].name)) as dump:
                counts = dump.execute("SELECT x, count(*) FROM t WHERE x IN ('left', 'right') GROUP BY x").fetchall()
            assert len({count for _, count in counts}) <= 1
    finally:
        stop.set()
        thread.join()


def test_somebody_who_keeps_it_locked(path: Path, backups: Path) -> None:
    database = SQLiteDatabase(path, timeout=0.3)
    record = database.backup(backups)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = delete")
        other.execute("BEGIN EXCLUSIVE")
        for action in (lambda: database.backup(backups / "2"), lambda: database.restore(backups, record)):
            started = time.monotonic()
            with pytest.raises(DatabaseError, match="locked") as caught:
                action()
            assert time.monotonic() - started < 8
            assert caught.value.hint


@pytest.mark.slow
@pytest.mark.parametrize("wal", [True, False])
def test_killed_while_restoring_it_is_the_old_or_the_new(tmp_path: Path, wal: bool) -> None:
    path, backups = tmp_path / "db", tmp_path / "b"
    make(path, 20_000, wal=wal)
    old = content(path)
    database = SQLiteDatabase(path)
    record = database.backup(backups)
    migrate(path)
    new = content(path)
    code = (
        "import json, sys; from pathlib import Path; from updater.database import Backup\n"
        "from updater.database.sqlite import SQLiteDatabase\n"
        "record = Backup.from_json(json.loads(sys.argv[3])); print('go', flush=True)\n"
        "SQLiteDatabase(Path(sys.argv[1])).restore(Path(sys.argv[2]), record)"
    )
    words = [str(path), str(backups), json.dumps(record.to_json())]
    for number in range(8):
        with subprocess.Popen([sys.executable, "-c", code, *words], cwd=ROOT, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.008 * number)
            process.send_signal(signal.SIGKILL)
        assert content(path) in (old, new)
        database.restore(backups, record)
        assert content(path) == old
        migrate(path)


# no database yet


def test_a_database_that_did_not_exist_is_gone_again_but_not_deleted(tmp_path: Path) -> None:
    path, backups = tmp_path / "db.sqlite3", tmp_path / "b"
    database = SQLiteDatabase(path)
    assert database.available() is None
    record = database.backup(backups)
    assert record.absent
    assert record.files == ()
    make(path)
    created = content(path)
    keeper = sqlite3.connect(path)
    keeper.execute("SELECT * FROM t").fetchone()
    assert Path(f"{path}-wal").exists()
    database.restore(backups, record)
    keeper.close()
    assert not any(Path(f"{path}{suffix}").exists() for suffix in ("", "-wal", "-shm", "-journal"))
    assert content(tmp_path / "db.sqlite3.before-rollback") == created
    database.restore(backups, record)


def test_half_moved_aside_is_finished(tmp_path: Path) -> None:
    path = tmp_path / "db"
    make(path)
    os.replace(path, f"{path}.before-rollback")
    Path(f"{path}-wal").write_bytes(b"left")
    SQLiteDatabase(path).restore(tmp_path, Backup("sqlite", absent=True))
    assert not Path(f"{path}-wal").exists()
    assert Path(f"{path}.before-rollback-wal").read_bytes() == b"left"


def test_a_database_that_the_update_removed_comes_back(path: Path, backups: Path) -> None:
    before = content(path)
    database = SQLiteDatabase(path)
    record = database.backup(backups)
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    database.restore(backups, record)
    assert content(path) == before


def test_a_database_that_the_update_ruined_is_put_aside(path: Path, backups: Path) -> None:
    before = content(path)
    database = SQLiteDatabase(path)
    record = database.backup(backups)
    path.write_bytes(b"this is no database at all" * 500)
    database.restore(backups, record)
    assert content(path) == before
    assert Path(f"{path}.before-rollback").read_bytes().startswith(b"this is no")


# damage


def test_a_damaged_database_is_not_backed_up(tmp_path: Path) -> None:
    path = tmp_path / "db"
    make(path, 2000, wal=False)
    data = bytearray(path.read_bytes())
    data[8192:16384] = os.urandom(8192)
    path.write_bytes(data)
    with pytest.raises(DatabaseError, match=r"damaged|malformed"):
        SQLiteDatabase(path).backup(tmp_path / "b")


def test_what_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "db"
    path.write_bytes(b"<html>" * 1000)
    with pytest.raises(DatabaseError, match="not a database"):
        SQLiteDatabase(path).backup(tmp_path / "b")


@pytest.mark.parametrize("damage", ["flip", "cut", "missing"])
def test_a_damaged_backup_touches_nothing(path: Path, backups: Path, damage: str) -> None:
    database = SQLiteDatabase(path)
    record = database.backup(backups)
    migrate(path)
    migrated = content(path)
    dump = backups / record.files[0].name
    data = bytearray(dump.read_bytes())
    data[5000] ^= 1
    if damage == "missing":
        dump.unlink()
    else:
        dump.write_bytes(data if damage == "flip" else data[:-4096])
    with pytest.raises(DatabaseError, match=r"damaged|cannot read"):
        database.restore(backups, record)
    assert content(path) == migrated


def test_the_backup_of_another_kind(path: Path, backups: Path) -> None:
    with pytest.raises(DatabaseError, match="kind 'postgresql'"):
        SQLiteDatabase(path).restore(backups, Backup("postgresql"))


def test_a_second_attempt_replaces_the_first(path: Path, backups: Path) -> None:
    backups.mkdir(parents=True)
    (backups / "database.sqlite3.part").write_bytes(b"half")
    database = SQLiteDatabase(path)
    first = database.backup(backups)
    migrate(path)
    second = database.backup(backups)
    assert first != second
    database.restore(backups, second)


def test_a_folder_that_cannot_be_written(path: Path, tmp_path: Path) -> None:
    (tmp_path / "b").write_text("a file")
    with pytest.raises(DatabaseError, match="cannot write"):
        SQLiteDatabase(path).backup(tmp_path / "b")


# what is said beforehand


def test_available_and_estimate(path: Path, tmp_path: Path) -> None:
    database = SQLiteDatabase(path)
    assert database.available() is None
    estimate = database.estimate()
    assert estimate is not None
    assert estimate >= path.stat().st_size
    assert "does not exist" in (SQLiteDatabase(tmp_path / "nope" / "db").available() or "")
    assert SQLiteDatabase(tmp_path / "nope").estimate() == 0


def test_a_symlink_to_the_database_stays_one(path: Path, tmp_path: Path, backups: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(path)
    database = SQLiteDatabase(link)
    before = content(path)
    record = database.backup(backups)
    migrate(path)
    database.restore(backups, record)
    assert link.is_symlink()
    assert content(path) == before


@pytest.mark.parametrize("name", ["a b?c#d%41.sqlite3", "ü.db"])
def test_names_that_mean_something_in_a_uri(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    make(path)
    before = content(path)
    database = SQLiteDatabase(path)
    record = database.backup(tmp_path / "b")
    migrate(path)
    database.restore(tmp_path / "b", record)
    assert content(path) == before


def test_the_factory(tmp_path: Path) -> None:
    make(tmp_path / "db.sqlite3")
    database = open_database(DatabaseConfig(kind="sqlite", path="db.sqlite3"), tmp_path, {})
    assert database.kind == "sqlite"
    assert (database.estimate() or 0) > 0
