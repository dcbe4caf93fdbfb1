"""PostgreSQL's own client programs: psql, pg_dump and pg_restore."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import which
from typing import Any, BinaryIO

from updater.database import pg_rows, pg_sql
from updater.errors import CommandError, DatabaseError
from updater.frozen import frozen
from updater.process.run import Completed, run

__all__ = ["PSQL", "State", "Tools", "scratch"]

PSQL = ("psql", "--no-psqlrc", "--no-password", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")
_MARK = "tagship:"


@frozen
class State:
    """What a database has that a restore must know. ``size`` in bytes; ``others`` are objects of other roles."""

    server: str
    user: str
    size: int
    schemas: tuple[str, ...]
    extensions: tuple[str, ...]
    extension_tables: tuple[tuple[str, str], ...]
    others: tuple[str, ...]


class Tools:
    """Runs the client programs with one connection's environment; timeout in seconds for each.

    Raises DatabaseError, with what the program said, and never with the password.
    """

    def __init__(self, env: Mapping[str, str], timeout: float) -> None:
        self._env = dict(env)
        self._timeout = timeout

    def missing(self) -> list[str]:
        """The programs that are not installed."""
        path = self._env.get("PATH")
        return [name for name in ("psql", "pg_dump", "pg_restore") if which(name, path=path) is None]

    def state(self) -> State:
        """Ask the server what the database consists of."""
        found: list[str] = []
        self._run((*PSQL, "--command", pg_sql.STATE), "cannot ask PostgreSQL", found.append)
        line = next((line for line in found if line.startswith(_MARK)), None)
        if line is None:
            raise DatabaseError("PostgreSQL did not answer what the database consists of")
        value: dict[str, Any] = json.loads(line.removeprefix(_MARK))
        return State(
            server=value["server"],
            user=value["user"],
            size=value["size"],
            schemas=tuple(value["schemas"]),
            extensions=tuple(value["extensions"]),
            extension_tables=tuple((schema, name) for schema, name in value["extension_tables"]),
            others=tuple(value["others"]),
        )

    def dump(self, path: Path) -> None:
        """Write the whole database to ``path`` in the custom format, from one snapshot."""
        argv = ("pg_dump", "--no-password", "--format=custom", "--lock-wait-timeout=60000", f"--file={path}")
        self._run(argv, "cannot back up PostgreSQL")

    def read_whole(self, path: Path) -> None:
        """Read every byte of a dump: only that notices one that was cut short."""
        self._run(("pg_restore", "--file=/dev/null", str(path)), "the PostgreSQL dump cannot be read back")

    def contents(self, path: Path) -> list[str]:
        """The dump's table of contents, one line per entry (``pg_restore --list``)."""
        found: list[str] = []
        self._run(("pg_restore", "--list", str(path)), "cannot list the PostgreSQL dump", found.append)
        return found

    def rows(self, seconds: float) -> dict[str, int]:
        """Rows by table now, all of one moment. Raises DatabaseError also when it takes longer."""
        found: list[str] = []
        limit = f"SET statement_timeout = {max(1, int(seconds * 1000))}"
        what = "cannot count the rows in PostgreSQL"
        self._run((*PSQL, "--command", limit, "--command", pg_rows.COUNTED), what, found.append)
        tables = [line.removeprefix(_MARK) for line in found if line.startswith(_MARK)]
        if not tables:
            return {}
        counts: list[str] = []
        with scratch(pg_rows.count_query(tables).encode()) as query:
            argv = (*PSQL, "--command", limit, "--file", "-")
            done = self._try(argv, on_line=counts.append, stdin=query)
        if done.returncode:
            raise self._error(what, done.output)
        return pg_rows.read_counts(counts)

    def rows_of_dump(self, path: Path, deadline: float) -> dict[str, int]:
        """Rows by table in a dump, read to its end. Raises DatabaseError, also when ``deadline`` (of the monotonic
        clock) passes."""

        def check() -> None:
            if time.monotonic() > deadline:
                raise DatabaseError(f"counting the rows of {path} took too long")

        argv = ("pg_restore", "--data-only", "--no-owner", "--file=-", str(path))
        with scratch(b"") as said:
            process = self._start(argv, said)
            try:
                assert process.stdout is not None  # noqa: S101 - opened as a pipe
                counts = pg_rows.count_rows(process.stdout, check)
                code = process.wait()
            finally:
                process.kill()
                process.communicate()
            said.seek(0)
            if code:
                raise self._error("cannot read the PostgreSQL dump", said.read(4096).decode("utf-8", "replace"))
        return counts

    def schema_digest(self) -> str:
        """Names the database's schema: the same digest, the same tables, columns and so on."""
        digest = hashlib.sha256()

        def add(line: str) -> None:
            if not line.startswith(("--", "\\restrict", "\\unrestrict")):
                digest.update(line.encode() + b"\n")

        self._run(("pg_dump", "--no-password", "--schema-only"), "cannot read the schema from PostgreSQL", add)
        return digest.hexdigest()

    def create_database(self, name: str) -> None:
        """Make an empty database beside this one, with its encoding and locale. The role needs CREATEDB."""
        found: list[str] = []
        self._run((*PSQL, "--command", pg_sql.LIKE_THIS), "cannot ask PostgreSQL", found.append)
        settings = next((line.removeprefix(_MARK) for line in found if line.startswith(_MARK)), "")
        statement = f'CREATE DATABASE "{name}" TEMPLATE template0 {settings}'
        self._run((*PSQL, "--command", statement), "cannot create a database in PostgreSQL")

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is connected to it; one that is not there is fine."""
        statements = (pg_sql.END_ALL_SESSIONS.format(name=name), f'DROP DATABASE IF EXISTS "{name}"')
        words = [word for statement in statements for word in ("--command", statement)]
        self._run((*PSQL, *words), f"cannot drop the PostgreSQL database {name}")

    def end_sessions(self) -> None:
        """End the role's other sessions in this database: one that is left over would hold locks for ever."""
        self._run((*PSQL, "--command", pg_sql.END_SESSIONS), "cannot end the app's database sessions")

    def replace(self, path: Path, entries: Sequence[str], kept: State) -> None:
        """Drop everything but ``kept`` schemas and extensions and restore ``entries``, in one transaction.

        pg_restore writes the COMMIT as its last line, so whatever is killed before leaves the database as it was.
        """
        before = [
            "SET client_min_messages = error",
            "BEGIN",
            "SET LOCAL lock_timeout = '60s'",
            f"SELECT set_config('tagship.schemas', {_literal(kept.schemas)}, true),"
            f" set_config('tagship.extensions', {_literal(kept.extensions)}, true)",
            pg_sql.DROP_ALL,
        ]
        commands = [word for statement in before for word in ("--command", statement)]
        with scratch("\n".join(entries).encode("utf-8") + b"\n") as wanted, scratch(b"") as said:
            producer = self._start_producer(path, wanted, said)
            try:
                done = self._try((*PSQL, *commands, "--file", "-"), stdin=producer.stdout)
            finally:
                if producer.stdout is not None:
                    producer.stdout.close()
                producer.terminate()
                producer.wait()
            said.seek(0)
            complaint = said.read(4096).decode("utf-8", "replace").strip()
        if done.returncode:
            raise self._error("cannot restore PostgreSQL", f"{complaint}\n{done.output}".strip())
        if producer.returncode:
            raise self._error("cannot restore PostgreSQL: the dump was not read to its end", complaint)

    def _start_producer(self, path: Path, wanted: BinaryIO, said: BinaryIO) -> subprocess.Popen[bytes]:
        number = wanted.fileno()
        argv = ("pg_restore", "--single-transaction", "--exit-on-error", f"--use-list=/dev/fd/{number}", "--file=-")
        return self._start((*argv, str(path)), said, number)

    def _start(self, argv: Sequence[str], said: BinaryIO, *handles: int) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                argv,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                pass_fds=handles,
            )
        except OSError as error:
            raise self._error(f"cannot run {argv[0]}", str(error)) from error

    def _run(self, argv: Sequence[str], what: str, on_line: Any = None) -> None:
        done = self._try(argv, on_line=on_line)
        if done.returncode:
            raise self._error(what, done.output)

    def _try(self, argv: Sequence[str], **options: Any) -> Completed:
        try:
            return run(argv, env=self._env, timeout=self._timeout, **options)
        except CommandError as error:
            raise self._error(f"{argv[0]} failed", f"{error}\n{error.output}") from error

    def _error(self, what: str, said: str) -> DatabaseError:
        password = self._env.get("PGPASSWORD", "")
        text = said.replace(password, "***") if password else said
        return DatabaseError(
            f"{what}: {text.strip()[-2000:]}",
            hint="Check the connection, and that the PostgreSQL client programs are not older than the server.",
        )


def _literal(names: Sequence[str]) -> str:
    return "'" + json.dumps(list(names)).replace("'", "''") + "'"


def scratch(data: bytes) -> BinaryIO:
    """A file without a name, in memory where the system can: a way back must work on a full disk."""
    if hasattr(os, "memfd_create"):
        file: BinaryIO = os.fdopen(os.memfd_create("tagship"), "w+b")
    else:
        file = tempfile.TemporaryFile()  # type: ignore[unreachable, unused-ignore]  # noqa: SIM115 - the caller closes it
    file.write(data)
    file.flush()
    file.seek(0)
    return file
