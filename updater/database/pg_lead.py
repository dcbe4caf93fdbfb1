"""Leading an update of several servers on one PostgreSQL database: an advisory lock of a session (docs/fleet.md).

Source: https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS. The session is a psql that reads
from this process: when that ends, however it ends, psql reads its end of file, and the server lets the lock go.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from updater.database.pg_sql import LEAD_NAME
from updater.database.pg_tools import PSQL, scratch
from updater.errors import DatabaseError

__all__ = ["leading"]

_SAID = "tagship:leads"
_CONNECT = "30"
"""Seconds to connect, unless PGCONNECT_TIMEOUT says otherwise."""

_PATIENCE = 5.0


@contextmanager
def leading(env: Mapping[str, str], app: str, seconds: float) -> Iterator[None]:
    """Hold the lock of ``app`` in the database that ``env`` connects to; wait for it so many seconds.

    Raises DatabaseError when another server has it for longer, or the database cannot be asked.
    """
    statements = (
        f"SET lock_timeout = {max(1, int(seconds * 1000))};\n"
        f"SELECT pg_advisory_lock(hashtextextended('tagship:{app}', 0));\n"
        f"SELECT '{_SAID}';\n"
    )
    told = {"PGCONNECT_TIMEOUT": _CONNECT, **env, "PGAPPNAME": LEAD_NAME}
    with scratch(b"") as errors:
        try:
            process = subprocess.Popen(PSQL, env=told, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
        except OSError as error:
            raise DatabaseError(f"cannot run {PSQL[0]}: {error}") from error
        try:
            assert process.stdin is not None and process.stdout is not None  # noqa: S101 - opened as pipes
            with _broken_is_told():
                process.stdin.write(statements.encode())
                process.stdin.flush()
            if not any(line.strip() == _SAID.encode() for line in iter(process.stdout.readline, b"")):
                process.wait()
                errors.seek(0)
                raise _refused(errors.read(4096).decode("utf-8", "replace").strip(), env)
            yield
        finally:
            _end(process)


@contextmanager
def _broken_is_told() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        pass  # psql ended: what it wrote says why


def _refused(said: str, env: Mapping[str, str]) -> DatabaseError:
    if "lock timeout" in said:
        return DatabaseError(
            "another server leads an update on this database",
            hint="Wait for it. One server leads; the others have [fleet] role = 'follow'.",
        )
    password = env.get("PGPASSWORD", "")
    return DatabaseError(
        f"cannot take the lead in PostgreSQL: {said.replace(password, '***') if password else said}",
        hint="Check the connection to the database.",
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    with _broken_is_told():
        if process.stdin is not None:
            process.stdin.close()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
