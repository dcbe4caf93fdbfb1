"""What a rollback would take away, counted: now against the backup, without writing anything."""

from __future__ import annotations

import itertools
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.database.test_sqlite import make
from tests.support.postgres import Server, running_server
from updater.database import TableRows
from updater.database.base import compare_rows
from updater.database.pg_rows import count_rows
from updater.database.postgresql import PostgreSQLDatabase
from updater.database.sqlite import SQLiteDatabase
from updater.errors import DatabaseError

NUMBERS = itertools.count(1)
counts = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 3))


@given(then=counts, now=counts)
def test_only_differences_are_told(then, now):
    found = {row.table: (row.then, row.now) for row in compare_rows(then, now)}
    for table in "abcd":
        pair = (then.get(table), now.get(table))
        assert found.get(table) == (None if pair[0] == pair[1] else pair)


# SQLite


@pytest.mark.parametrize("wal", [True, False])
@pytest.mark.parametrize("open_meanwhile", [True, False])
def test_sqlite(tmp_path: Path, wal: bool, open_meanwhile: bool) -> None:
    path, backups = tmp_path / "site" / "db.sqlite3", tmp_path / "backup"
    path.parent.mkdir()
    make(path, wal=wal)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute('CREATE TABLE "odd ""name"" (x)" (x)')
        connection.execute("CREATE TABLE gone (x)")
        connection.execute("CREATE VIRTUAL TABLE found USING fts5(x)")
        connection.execute("CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT)")
        connection.commit()
    database = SQLiteDatabase(path)
    record = database.backup(backups)
    assert database.changed_rows(backups, record, 10) == ()
    app = sqlite3.connect(path)
    app.execute("INSERT INTO t (x) VALUES ('new'), ('new'), ('new')")
    app.execute('INSERT INTO "odd ""name"" (x)" VALUES (1)')
    app.execute("DROP TABLE gone")
    app.execute("CREATE TABLE coupon AS SELECT 1 AS x")
    app.execute("UPDATE t SET x = 'changed in place' WHERE id = 1")
    app.commit()
    if not open_meanwhile:
        app.close()
    before = sorted((file.name, file.read_bytes()) for file in path.parent.iterdir())
    assert database.changed_rows(backups, record, 10) == (
        TableRows("coupon", None, 1),
        TableRows("gone", 0, None),
        TableRows('odd "name" (x)', 0, 1),
        TableRows("t", 100, 103),
    )
    after = sorted((file.name, file.read_bytes()) for file in path.parent.iterdir())
    if not open_meanwhile:
        assert after == before  # nothing appears beside the file, and nothing in it changes
    app.close()


def test_sqlite_that_did_not_exist_then(tmp_path: Path) -> None:
    path, backups = tmp_path / "db.sqlite3", tmp_path / "backup"
    database = SQLiteDatabase(path)
    record = database.backup(backups)
    assert database.changed_rows(backups, record, 10) == ()
    make(path)
    assert database.changed_rows(backups, record, 10) == (TableRows("t", None, 100),)


def test_sqlite_takes_no_longer_than_allowed(tmp_path: Path) -> None:
    path, backups = tmp_path / "db.sqlite3", tmp_path / "backup"
    make(path, rows=100_000)
    database = SQLiteDatabase(path)
    record = database.backup(backups)
    for seconds in (0.0, 0.001):  # before the first table, and amid one
        with pytest.raises(DatabaseError, match="took too long"):
            database.changed_rows(backups, record, seconds)
    assert database.changed_rows(backups, record, 30) == ()


# SQLite at work, and full disks


def test_sqlite_is_restored_while_others_read_and_write(tmp_path: Path) -> None:
    """A reader in WAL mode keeps its moment; a writer waits, and finds the restored database afterwards."""
    path, backups = tmp_path / "db.sqlite3", tmp_path / "backup"
    make(path)
    database = SQLiteDatabase(path, timeout=20)
    record = database.backup(backups)
    with closing(sqlite3.connect(path)) as migrated:
        migrated.execute("ALTER TABLE t ADD COLUMN y")
        migrated.execute("DELETE FROM t WHERE id > 10")
        migrated.commit()
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM t").fetchone() == (10,)
    stop, wrong = threading.Event(), []

    def write() -> None:
        with closing(sqlite3.connect(path, timeout=20)) as connection:
            while not stop.is_set():
                try:
                    connection.execute("INSERT INTO t (x) VALUES ('meanwhile')")
                    connection.commit()
                except sqlite3.OperationalError as error:
                    connection.rollback()
                    if "locked" not in str(error) and "schema" not in str(error):
                        wrong.append(str(error))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        database.restore(backups, record)
    finally:
        assert reader.execute("SELECT count(*) FROM t").fetchone()[0] >= 10  # whatever it sees, it is no error
        reader.close()
        stop.set()
        writer.join()
    assert wrong == []
    with closing(sqlite3.connect(path)) as connection:
        assert [row[1] for row in connection.execute("PRAGMA table_info(t)")] == ["id", "x"]
        assert connection.execute("SELECT count(*) FROM t WHERE id <= 100 AND x LIKE 'old%'").fetchone() == (100,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("wal", [True, False])
def test_a_full_volume_leaves_sqlite_as_it_was(tmp_path: Path, wal: bool) -> None:
    """A real one: a memory filesystem of 4 MB, filled to the last byte."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small filesystem")
    import subprocess

    volume = tmp_path / "volume"
    volume.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(volume)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no filesystem can be mounted here: {mounted.stderr.decode()}")
    try:
        path, backups = volume / "db.sqlite3", tmp_path / "backup"
        make(path, rows=5000, wal=wal)
        database = SQLiteDatabase(path, timeout=5)
        record = database.backup(backups)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("DELETE FROM t WHERE id > 10")
            connection.commit()
            connection.execute("VACUUM")
        with closing(sqlite3.connect(path)) as connection:
            before = list(connection.iterdump())
        ballast = volume / "ballast"
        with ballast.open("wb", buffering=0) as file:
            try:
                while file.write(b"\0" * 4096):
                    pass
            except OSError:
                pass
        with pytest.raises(DatabaseError, match="full"):
            database.restore(backups, record)
        ballast.unlink()
        with closing(sqlite3.connect(path)) as connection:
            assert list(connection.iterdump()) == before
        database.restore(backups, record)  # with room again it succeeds
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT count(*) FROM t").fetchone() == (5000,)
    finally:
        subprocess.run(["umount", str(volume)], check=True)


# PostgreSQL


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as found:
        yield found


@pytest.fixture
def name(server: Server) -> str:
    found = f"rows{next(NUMBERS)}"
    server.sql("postgres", f"CREATE DATABASE {found} OWNER app", user="postgres")
    return found


def test_postgresql(server: Server, name: str, tmp_path: Path) -> None:
    server.sql(
        name,
        "CREATE TABLE product (id integer, name text)",
        r"INSERT INTO product SELECT i, E'COPY public.x (y) FROM stdin;\n\\.\n' || i FROM generate_series(1, 50) AS i",
        "CREATE TABLE gone (x integer)",
        "CREATE SCHEMA stock",
        'CREATE TABLE stock."Odd ""name"" (x) FROM stdin;" (x text)',
        "CREATE TABLE no_columns ()",
        "CREATE TABLE log (id integer, k integer) PARTITION BY RANGE (k)",
        "CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM (0) TO (100)",
        "CREATE VIEW few AS SELECT * FROM product LIMIT 3",
        "CREATE MATERIALIZED VIEW kept AS SELECT * FROM product",
    )
    database = PostgreSQLDatabase(server.url(name), timeout=60, environ=os.environ)
    record = database.backup(tmp_path)
    assert database.changed_rows(tmp_path, record, 20) == ()
    server.sql(
        name,
        "INSERT INTO product VALUES (51, 'x'), (52, NULL), (53, '')",
        "DROP TABLE gone",
        """INSERT INTO stock."Odd ""name"" (x) FROM stdin;" VALUES ('a')""",
        "INSERT INTO log VALUES (1, 5)",
        "CREATE TABLE coupon AS SELECT 1 AS x",
        "UPDATE product SET name = 'changed in place' WHERE id = 1",
    )
    before = server.schema_and_data(name)
    assert database.changed_rows(tmp_path, record, 20) == (
        TableRows("public.coupon", None, 1),
        TableRows("public.gone", 0, None),
        TableRows("public.log_1", 0, 1),
        TableRows("public.product", 50, 53),
        TableRows('stock."Odd ""name"" (x) FROM stdin;"', 0, 1),
    )
    assert server.schema_and_data(name) == before


def test_postgresql_takes_no_longer_than_allowed(server: Server, name: str, tmp_path: Path) -> None:
    server.sql(name, "CREATE TABLE t AS SELECT i FROM generate_series(1, 100000) AS i")
    database = PostgreSQLDatabase(server.url(name), timeout=60, environ=os.environ)
    record = database.backup(tmp_path)
    with pytest.raises(DatabaseError, match="took too long"):
        database.changed_rows(tmp_path, record, 0.0)


def test_a_dump_is_verified_to_its_last_byte(server: Server, name: str, tmp_path: Path) -> None:
    """`pg_restore --list` is content with a dump that was cut short."""
    server.sql(name, "CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 20000) AS i")
    database = PostgreSQLDatabase(server.url(name), timeout=60, environ=os.environ)
    record = database.backup(tmp_path)
    database.verify(tmp_path, record)
    dump = tmp_path / "database.pgdump"
    data = dump.read_bytes()
    dump.write_bytes(data[:-2000])
    with pytest.raises(DatabaseError, match="damaged"):
        database.verify(tmp_path, record)
    with pytest.raises(DatabaseError, match="missing, or not what was written"):
        database.changed_rows(tmp_path, record, 10)
    from hashlib import sha256

    cut = record.to_json()
    for file in cut["files"]:
        if file["name"] == dump.name:
            file |= {"size": dump.stat().st_size, "sha256": sha256(dump.read_bytes()).hexdigest()}
    with pytest.raises(DatabaseError, match="cannot be read back"):  # even when the record says so
        database.verify(tmp_path, type(record).from_json(cut))


@given(st.lists(st.sampled_from([b"COPY public.a (x) FROM stdin;\n", b"\\.\n", b"1\n", b"SELECT 1;\n"]), max_size=30))
def test_any_script_is_counted(lines):
    found = count_rows(lines, lambda: None)
    assert sum(found.values()) <= len(lines)
    assert set(found) <= {"public.a"}
