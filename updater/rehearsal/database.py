"""The copy of the database on which a rehearsal runs, and how it is made sure that nothing else is touched.

SQLite: the copy lies where the app looks for it in the copied tree, or where ``[database] path_env`` says, and the
commands can write nowhere else (updater/rehearsal/sandbox.py); without that, a rehearsal is refused. PostgreSQL: a
scratch database, to which ``[database] url_env`` leads; sessions of the commands begin as read-only unless they are in
the scratch database. Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from updater.database import open_database
from updater.database.factory import database_url
from updater.database.pg_tools import Tools
from updater.database.pg_url import connection_environment, for_database
from updater.database.postgresql import PostgreSQLDatabase
from updater.database.sqlite import SQLiteDatabase
from updater.errors import BlockedError, DatabaseError
from updater.rehearsal.files import Places
from updater.schema.site_config import DatabaseConfig
from updater.site.files import copy_file, write_atomic
from updater.site.reading import read_json

__all__ = ["SCRATCH_NAME", "DatabaseCopy", "NoCopy", "copy_database", "drop_scratch"]

SCRATCH_NAME = "scratch.json"
"""Names the scratch database, written before it is made: whoever sweeps after a crash drops it."""

_READ_ONLY = "-c default_transaction_read_only=on"
_WRITABLE = "-c default_transaction_read_only=off"


class DatabaseCopy(Protocol):
    """A copy of the app's database. Methods raise DatabaseError."""

    env: Mapping[str, str]
    """What the commands' environment gets."""

    def size(self) -> int:
        """Bytes of the copy."""
        ...

    def state(self) -> str:
        """Names the copy's content, as far as migrations change it."""
        ...

    def live_state(self) -> str:
        """Names the schema of the live database: it must be the same afterwards."""
        ...


class NoCopy:
    """There is no database."""

    env: Mapping[str, str] = {}

    def size(self) -> int:
        """Nothing."""
        return 0

    def state(self) -> str:
        """Nothing changes."""
        return ""

    def live_state(self) -> str:
        """Nothing changes."""
        return ""


def copy_database(
    config: DatabaseConfig, places: Places, environ: Mapping[str, str], *, is_confined: bool
) -> DatabaseCopy:
    """Copy the database of ``config``. Raises BlockedError when it cannot be made sure that the commands use the copy,
    with what to do about it, and DatabaseError when copying fails."""
    match config.kind:
        case "none":
            return NoCopy()
        case "sqlite":
            return _SQLiteCopy(config, places, is_confined=is_confined)
        case "postgresql":
            return _PostgreSQLCopy(config, places, environ)
        case "command":
            raise BlockedError(
                "A rehearsal cannot copy a database of the kind 'command'.",
                reasons=("its commands know the live database only",),
                hint="Rehearse on a copy of the whole site, on another machine.",
            )


class _SQLiteCopy:
    def __init__(self, config: DatabaseConfig, places: Places, *, is_confined: bool) -> None:
        if not is_confined:
            raise BlockedError(
                "A rehearsal with SQLite is refused: nothing would keep the commands from the live database.",
                reasons=("this system cannot confine programs (that needs Linux 5.13 or newer, with Landlock)",),
                hint="Rehearse on a copy of the whole site, on another machine.",
            )
        self._live = Path(os.path.realpath(places.live_tree / config.path))
        self._copy = _place_of_copy(config, places, self._live)
        self.env: Mapping[str, str] = {config.path_env: str(self._copy)} if config.path_env else {}
        if self._live.exists():
            self._fill(places.directory / "database", config)

    def _fill(self, directory: Path, config: DatabaseConfig) -> None:
        record = SQLiteDatabase(self._live, timeout=min(config.timeout, 60.0)).backup(directory)
        try:
            self._copy.parent.mkdir(parents=True, exist_ok=True)
            self._copy.unlink(missing_ok=True)
            copy_file(directory / record.files[0].name, self._copy)
            status = self._live.stat()
            self._copy.chmod(status.st_mode & 0o7777 | 0o600)
            if os.geteuid() == 0:
                os.chown(self._copy, status.st_uid, status.st_gid)
        except OSError as error:
            raise DatabaseError(f"The database cannot be copied for a rehearsal: {error}") from error

    def size(self) -> int:
        return sum(path.stat().st_size for path in (self._copy, Path(f"{self._copy}-wal")) if path.exists())

    def state(self) -> str:
        digest = hashlib.sha256()
        for path in (self._copy, Path(f"{self._copy}-wal")):
            if path.exists():
                with path.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def live_state(self) -> str:
        if not self._live.exists():
            return "absent"
        try:
            options = SQLiteDatabase(self._live).reading()
            with closing(sqlite3.connect(f"file:{quote(str(self._live))}?{options}", uri=True)) as connection:
                rows = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name").fetchall()
        except (sqlite3.Error, OSError) as error:
            raise DatabaseError(f"{self._live} cannot be read: {error}") from error
        return hashlib.sha256(repr(rows).encode()).hexdigest()


def _place_of_copy(config: DatabaseConfig, places: Places, live: Path) -> Path:
    """Where the app will look for it. Raises BlockedError when nobody can tell."""
    home = Path(os.path.realpath(places.live_site))
    tree = Path(os.path.realpath(places.live_tree))
    if live.is_relative_to(tree):
        return places.tree / live.relative_to(tree)
    if live.is_relative_to(home):
        return places.site / live.relative_to(home)
    if config.path_env:
        return places.directory / "data" / live.name
    raise BlockedError(
        f"A rehearsal is refused: the database {live} lies outside of the site.",
        reasons=("the app would have to be told where the copy is",),
        hint="If the app takes the path from an environment variable, name it: [database] path_env in updater.toml.",
    )


class _PostgreSQLCopy:
    def __init__(self, config: DatabaseConfig, places: Places, environ: Mapping[str, str]) -> None:
        if not config.url_env:
            raise BlockedError(
                "A rehearsal is refused: the app has to be told where the copy of the database is.",
                reasons=("[database] url_env does not say from which variable the app takes the URL",),
                hint="If the app takes its URL from an environment variable, name it: [database] url_env.",
            )
        url = database_url(config, environ)
        name = "tagship_rehearsal_" + "".join(char for char in places.directory.name if char.isdigit())
        live = open_database(config, places.live_tree, environ)
        self._live = Tools(connection_environment(url, environ), config.timeout)
        # SQLAlchemy and others want their driver in the scheme: the rest of the URL is what changes
        scratch_url = for_database(url, name, _WRITABLE)
        self.env: Mapping[str, str] = {
            config.url_env: scratch_url,
            "PGOPTIONS": f"{environ.get('PGOPTIONS', '')} {_READ_ONLY}".strip(),
            **({"PGDATABASE": name} if "PGDATABASE" in environ else {}),
        }
        self._copy = Tools(connection_environment(scratch_url, environ), config.timeout)
        record = live.backup(places.directory / "database")
        write_atomic(places.directory / SCRATCH_NAME, json.dumps({"name": name}).encode())
        try:
            self._live.create_database(name)
        except DatabaseError as error:
            if "permission denied" not in str(error):
                raise
            user = self._live.state().user
            raise BlockedError(
                f"A rehearsal is refused: the role {user!r} may not create the scratch database.",
                reasons=(str(error),),
                hint=f'A superuser can allow it: ALTER ROLE "{user}" CREATEDB; '
                f'(and take it back afterwards: ALTER ROLE "{user}" NOCREATEDB;)',
            ) from error
        PostgreSQLDatabase(scratch_url, timeout=config.timeout, environ=environ).restore(
            places.directory / "database", record
        )

    def size(self) -> int:
        return self._copy.state().size

    def state(self) -> str:
        rows = sorted(self._copy.rows(60.0).items())
        return hashlib.sha256(repr((self._copy.schema_digest(), rows)).encode()).hexdigest()

    def live_state(self) -> str:
        return self._live.schema_digest()


def drop_scratch(directory: Path, config: DatabaseConfig, environ: Mapping[str, str]) -> None:
    """Drop the scratch database that a rehearsal in ``directory`` made, if it did. Raises DatabaseError."""
    try:
        name = str(read_json(directory / SCRATCH_NAME)["name"])
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatabaseError(f"{directory / SCRATCH_NAME} cannot be read: {error}") from error
    if not name.replace("_", "").isalnum() or not name.startswith("tagship_rehearsal_"):
        raise DatabaseError(f"{directory / SCRATCH_NAME} does not name a rehearsal's database")
    try:
        url = database_url(config, environ)
        Tools(connection_environment(url, environ), config.timeout).drop_database(name)
    except DatabaseError as error:
        raise DatabaseError(
            f"The scratch database {name} of a rehearsal could not be dropped: {error}",
            hint=f'Drop it by hand: DROP DATABASE "{name}"; then remove {directory}.',
        ) from error
