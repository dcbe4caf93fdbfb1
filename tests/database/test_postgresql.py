"""PostgreSQL for real: a server of the test's own, an app role without rights beyond its own database."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.postgres import Server, running_server
from updater.database import Backup, open_database
from updater.database.pg_url import connection_environment
from updater.database.postgresql import PostgreSQLDatabase
from updater.errors import DatabaseError
from updater.schema.site_config import DatabaseConfig

ROOT = Path(__file__).parents[2]
NUMBERS = itertools.count(1)

SHOP = (
    "CREATE TYPE mood AS ENUM ('glad', 'sad')",
    "CREATE DOMAIN positive AS integer CHECK (value > 0)",
    "CREATE TABLE product (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, mood mood, n positive)",
    "CREATE TABLE line (id serial PRIMARY KEY, product integer REFERENCES product ON DELETE CASCADE)",
    "INSERT INTO product (name, mood, n) SELECT 'p' || i, 'glad', i FROM generate_series(1, 500) AS i",
    "INSERT INTO line (product) SELECT id FROM product",
    "CREATE FUNCTION total(integer) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM line WHERE product = $1'",
    "CREATE VIEW totals AS SELECT id, total(id) FROM product",
    "CREATE AGGREGATE summed (integer) (sfunc = int4pl, stype = integer)",
    "CREATE TABLE log (id integer, k integer) PARTITION BY RANGE (k)",
    "CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM (0) TO (100)",
    "INSERT INTO log VALUES (1, 5)",
    "CREATE STATISTICS both_columns ON name, mood FROM product",
    "CREATE COLLATION plain (locale = 'C')",
    "CREATE SCHEMA stock",
    'CREATE TABLE stock."Odd ""name""; --" (x text DEFAULT $$it\'s$$)',
    "SELECT lo_from_bytea(0, 'a large object')",
    "GRANT SELECT ON product TO PUBLIC",
    "COMMENT ON TABLE product IS 'What is sold'",
)

MIGRATION = (
    "CREATE TABLE coupon (id integer PRIMARY KEY, product integer REFERENCES product)",
    "DROP VIEW totals",
    "ALTER TABLE product DROP COLUMN name",
    "ALTER TABLE product ADD COLUMN price integer DEFAULT 3",
    "DELETE FROM line WHERE id % 2 = 0",
    "CREATE SCHEMA coupons",
    "CREATE TYPE coupons.kind AS (a integer, b text)",
    "CREATE FUNCTION coupons.f(coupons.kind) RETURNS mood LANGUAGE sql AS $$ SELECT 'sad'::mood $$",
    "CREATE MATERIALIZED VIEW busy AS SELECT product, count(*) FROM line GROUP BY 1",
    "DROP SCHEMA stock CASCADE",
    "ALTER TYPE mood ADD VALUE 'new'",
    "CREATE EXTENSION citext",
    "CREATE TABLE mail (address citext)",
    "SELECT lo_from_bytea(0, 'another')",
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as found:
        yield found


@pytest.fixture
def name(server: Server) -> str:
    """A database of its own that the role app owns."""
    found = f"shop{next(NUMBERS)}"
    server.sql("postgres", f"CREATE DATABASE {found} OWNER app", user="postgres")
    return found


def connect(server: Server, name: str, timeout: float = 60.0) -> PostgreSQLDatabase:
    return PostgreSQLDatabase(server.url(name), timeout=timeout, environ=os.environ)


def test_the_way_back_is_exact(server: Server, name: str, tmp_path: Path) -> None:
    server.sql(name, *SHOP)
    before = server.schema_and_data(name)
    database = connect(server, name)
    assert database.available() is None
    assert (database.estimate() or 0) > 1_000_000
    record = database.backup(tmp_path)
    server.sql(name, *MIGRATION)
    assert server.schema_and_data(name) != before
    database.restore(tmp_path, record)
    assert server.schema_and_data(name) == before
    database.restore(tmp_path, record)
    assert server.schema_and_data(name) == before


def test_a_role_that_owns_neither_database_nor_schema(server: Server, tmp_path: Path) -> None:
    """The usual set-up since PostgreSQL 15: somebody else made the database and granted the use of public."""
    name = f"shop{next(NUMBERS)}"
    server.sql("postgres", f"CREATE DATABASE {name}", user="postgres")
    server.sql(
        name,
        *("GRANT ALL ON SCHEMA public TO app", "CREATE EXTENSION hstore", "CREATE SCHEMA given AUTHORIZATION app"),
        user="postgres",
    )
    server.sql(
        name, "CREATE TABLE t (x hstore)", "INSERT INTO t VALUES ('a=>1')", "CREATE TABLE given.u AS SELECT 1 AS one"
    )
    before = server.schema_and_data(name)
    database = connect(server, name)
    record = database.backup(tmp_path)
    server.sql(name, "ALTER TABLE t ADD y hstore", "DROP TABLE given.u", "CREATE TABLE given.v (t hstore)")
    database.restore(tmp_path, record)
    assert server.schema_and_data(name) == before


def test_an_empty_database(server: Server, name: str, tmp_path: Path) -> None:
    before = server.schema_and_data(name)
    database = connect(server, name)
    record = database.backup(tmp_path)
    server.sql(name, *SHOP)
    database.restore(tmp_path, record)
    assert server.schema_and_data(name) == before


def test_a_superuser_connects(server: Server, name: str, tmp_path: Path) -> None:
    server.sql(name, *SHOP)
    before = server.schema_and_data(name)
    database = PostgreSQLDatabase(server.url(name, user="postgres"), timeout=60, environ=os.environ)
    record = database.backup(tmp_path)
    server.sql(name, *MIGRATION)
    database.restore(tmp_path, record)
    assert server.schema_and_data(name) == before


def test_what_another_role_owns_is_refused_before_anything_happens(server: Server, name: str, tmp_path: Path) -> None:
    server.sql(name, "CREATE TABLE public.theirs (x int)", user="postgres")
    database = connect(server, name)
    with pytest.raises(DatabaseError, match=r"'app' does not own.*table public\.theirs") as caught:
        database.backup(tmp_path)
    assert "OWNER TO" in caught.value.hint
    assert "theirs" in (database.available() or "")
    assert list(tmp_path.iterdir()) == []


def test_a_restore_that_fails_leaves_the_database_as_it_was(server: Server, name: str, tmp_path: Path) -> None:
    """The role may no longer create a schema that the dump has: then not even the dropping may stay."""
    server.sql(name, *SHOP)
    database = connect(server, name)
    record = database.backup(tmp_path)
    server.sql(name, "CREATE TABLE after (x int)")
    server.sql("postgres", f"REVOKE CREATE ON DATABASE {name} FROM app", user="postgres")
    server.sql("postgres", f"ALTER DATABASE {name} OWNER TO postgres", user="postgres")
    server.sql(name, "DROP SCHEMA stock CASCADE")
    migrated = server.schema_and_data(name)
    with pytest.raises(DatabaseError, match="permission denied"):
        database.restore(tmp_path, record)
    assert server.schema_and_data(name) == migrated


def test_a_session_that_holds_locks_does_not_stop_the_way_back(server: Server, name: str, tmp_path: Path) -> None:
    server.sql(name, *SHOP)
    before = server.schema_and_data(name)
    database = connect(server, name)
    record = database.backup(tmp_path)
    argv = [str(server.programs / "psql"), "-Xq", "-d", name, "-c", "BEGIN", "-c", "LOCK product", "-f", "-"]
    with subprocess.Popen(
        argv, env=server.environment(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as session:
        deadline = time.monotonic() + 10
        while "t" not in server.sql(
            name, "SELECT count(*) > 0 FROM pg_locks WHERE relation = 'product'::regclass AND mode LIKE 'AccessEx%'"
        ):
            assert time.monotonic() < deadline
        database.restore(tmp_path, record)
        session.kill()
    assert server.schema_and_data(name) == before


@pytest.mark.slow
def test_killed_while_restoring_it_is_the_old_or_the_new(server: Server, name: str, tmp_path: Path) -> None:
    server.sql(name, *SHOP, "INSERT INTO log SELECT i, i % 100 FROM generate_series(1, 100000) AS i")
    old = server.schema_and_data(name)
    database = connect(server, name)
    record = database.backup(tmp_path)
    server.sql(name, *MIGRATION)
    new = server.schema_and_data(name)
    code = (
        "import json, os, sys; from pathlib import Path; from updater.database import Backup\n"
        "from updater.database.postgresql import PostgreSQLDatabase\n"
        "database = PostgreSQLDatabase(sys.argv[1], timeout=60, environ=os.environ)\n"
        "database.restore(Path(sys.argv[2]), Backup.from_json(json.loads(sys.argv[3])))"
    )
    words = [server.url(name), str(tmp_path), json.dumps(record.to_json())]
    for delay in (0.25, 0.35, 0.5, 0.7):
        with subprocess.Popen([sys.executable, "-c", code, *words], cwd=ROOT) as process:
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        assert server.schema_and_data(name) in (old, new)
    database.restore(tmp_path, record)
    assert server.schema_and_data(name) == old


# damage


@pytest.mark.parametrize("length", [100, -1])
def test_a_dump_that_is_cut_short_is_noticed_at_once(
    server: Server, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    from updater.database import pg_tools

    dump = pg_tools.Tools.dump

    def cut(self: pg_tools.Tools, path: Path) -> None:
        dump(self, path)
        path.write_bytes(path.read_bytes()[:length])

    server.sql(name, *SHOP)
    monkeypatch.setattr(pg_tools.Tools, "dump", cut)
    with pytest.raises(DatabaseError, match="cannot be read back"):
        connect(server, name).backup(tmp_path)


def test_a_damaged_backup_touches_nothing(server: Server, name: str, tmp_path: Path) -> None:
    server.sql(name, *SHOP)
    database = connect(server, name)
    record = database.backup(tmp_path)
    server.sql(name, "CREATE TABLE after (x int)")
    dump = tmp_path / record.files[0].name
    dump.write_bytes(dump.read_bytes()[:-10])
    with pytest.raises(DatabaseError, match="damaged"):
        database.restore(tmp_path, record)
    assert server.sql(name, "SELECT count(*) FROM product, after") == "0"


def test_the_record_survives_as_json(server: Server, name: str, tmp_path: Path) -> None:
    record = connect(server, name).backup(tmp_path)
    assert Backup.from_json(record.to_json()) == record
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(file.name for file in record.files)
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in tmp_path.iterdir())


# connections and secrets


def test_the_password_is_in_no_message_and_on_no_command_line(server: Server, tmp_path: Path) -> None:
    database = connect(server, "no_such_database")
    with pytest.raises(DatabaseError, match="no_such_database") as caught:
        database.backup(tmp_path)
    assert server.password not in f"{caught.value}{caught.value.__cause__}{caught.value.hint}"
    assert "no_such_database" in (database.available() or "")
    assert database.estimate() is None


def test_nobody_answers(tmp_path: Path) -> None:
    database = PostgreSQLDatabase("postgresql://app:hush@127.0.0.1:9/shop", timeout=20, environ=os.environ)
    with pytest.raises(DatabaseError, match="refused") as caught:
        database.backup(tmp_path)
    assert "hush" not in str(caught.value)


def test_missing_programs(tmp_path: Path) -> None:
    database = PostgreSQLDatabase("postgresql:///shop", timeout=5, environ={"PATH": str(tmp_path)})
    assert database.available() == "PostgreSQL client programs are not installed: psql, pg_dump, pg_restore"
    with pytest.raises(DatabaseError, match="not found"):
        database.backup(tmp_path / "b")


def test_the_url_comes_from_the_environment(server: Server, name: str, tmp_path: Path) -> None:
    config = DatabaseConfig(kind="postgresql", url_env="DATABASE_URL")
    database = open_database(config, tmp_path, {**os.environ, "DATABASE_URL": server.url(name)})
    assert database.available() is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://u:p%40%2F@h:1/d",
            {"PGUSER": "u", "PGPASSWORD": "p@/", "PGHOST": "h", "PGPORT": "1", "PGDATABASE": "d"},
        ),
        ("postgres:///d", {"PGDATABASE": "d"}),
        ("postgresql+psycopg://u@h/d?sslmode=require", {"PGUSER": "u", "PGHOST": "h", "PGSSLMODE": "require"}),
        ("postgresql://%2Frun%2Fpg/d", {"PGHOST": "/run/pg"}),
        ("postgresql:///d?host=/run/pg&port=6", {"PGHOST": "/run/pg", "PGPORT": "6"}),
        ("postgresql://u:p:q@[::1]:5/d", {"PGHOST": "::1", "PGPORT": "5", "PGPASSWORD": "p:q"}),
        ("postgresql://a:1,b:2/d", {"PGHOST": "a,b", "PGPORT": "1,2"}),
        ("postgis://h/d?conn_max_age=60", {"PGHOST": "h"}),
    ],
)
def test_urls(url: str, expected: dict[str, str]) -> None:
    env = connection_environment(url, {"PGSSLROOTCERT": "kept"})
    assert {key: env.get(key) for key in expected} == expected
    assert env["PGSSLROOTCERT"] == "kept"


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:hush@h/d",
        "hush",
        "",
        "postgresql://u:hush@h/d?nope=1",
        "postgresql://[u:hush@h/d",
        "postgresql://h/%00hush",
    ],
)
def test_urls_that_cannot_be_used(url: str) -> None:
    with pytest.raises(DatabaseError) as caught:
        connection_environment(url, {})
    assert "hush" not in str(caught.value)
