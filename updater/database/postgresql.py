"""PostgreSQL, through its own programs, with no more rights than the app has.

A restore ends exactly where the backup was, including what a migration created since: in one transaction, everything
the app's role owns is dropped and the dump is restored. Neither superuser nor CREATEDB is needed, and schemas and
extensions, which a role often may not create again, stay where they are. What another role owns could not be brought
back, so a database that holds such objects is refused when the backup is made, before anything has changed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from updater.database.base import Backup, TableRows, check_files, check_sizes, compare_rows, prepare, seal
from updater.database.pg_tools import State, Tools
from updater.database.pg_url import connection_environment
from updater.errors import DatabaseError
from updater.schema.document import Reader, dump_json, parse_json

__all__ = ["PostgreSQLDatabase"]

_DUMP = "database.pgdump"
_STATE = "database.json"


class PostgreSQLDatabase:
    """The database of ``url``. ``environ`` is the environment of the client programs; timeout in seconds for each.

    Not covered, because a dump does not hold it: settings of the role and the database themselves, grants on kept
    schemas, and the version of an extension that a migration upgraded.
    """

    kind = "postgresql"

    def __init__(self, url: str, *, timeout: float, environ: Mapping[str, str]) -> None:
        self._tools = Tools(connection_environment(url, environ), timeout)

    def available(self) -> str | None:
        """Why it cannot be backed up and restored, or None."""
        missing = self._tools.missing()
        if missing:
            return f"PostgreSQL client programs are not installed: {', '.join(missing)}"
        try:
            self._checked_state()
        except DatabaseError as error:
            return str(error)
        return None

    def estimate(self) -> int | None:
        """The size of the database on the server; a dump is compressed, and so smaller."""
        try:
            return self._tools.state().size
        except DatabaseError:
            return None

    def backup(self, directory: Path) -> Backup:
        """A dump, read back to its last byte. See `Database.backup`."""
        state = self._checked_state()
        dump, about = prepare(directory, _DUMP), prepare(directory, _STATE)
        self._tools.dump(dump)
        self._tools.read_whole(dump)
        about.write_bytes(dump_json({"schemas": list(state.schemas), "extensions": list(state.extensions)}))
        return Backup(self.kind, (seal(dump), seal(about)), f"pg_dump, PostgreSQL {state.server}")

    def restore(self, directory: Path, record: Backup) -> None:
        """Replace everything the role owns by the dump. See `Database.restore`.

        Other sessions of the role in this database are ended first.
        """
        check_files(self.kind, directory, record)
        then = _read_state(directory / _STATE)
        now = self._checked_state()
        kept = replace(
            now,
            schemas=tuple(name for name in now.schemas if name in then["schemas"] or name == "public"),
            extensions=tuple(name for name in now.extensions if name in then["extensions"]),
        )
        entries = _select(self._tools.contents(directory / _DUMP), kept)
        self._tools.end_sessions()
        self._tools.replace(directory / _DUMP, entries, kept)

    def verify(self, directory: Path, record: Backup) -> None:
        """Size and digest, and the dump read to its end by pg_restore where that is installed (listing a dump that was
        cut short succeeds). See `Database.verify`."""
        check_files(self.kind, directory, record)
        if "pg_restore" not in self._tools.missing():
            self._tools.read_whole(directory / _DUMP)

    def changed_rows(self, directory: Path, record: Backup, seconds: float) -> tuple[TableRows, ...]:
        """See `Database.changed_rows`. Then: lines of the dump's COPY sections. Now: counted in one snapshot."""
        deadline = time.monotonic() + seconds
        check_sizes(directory, record)
        then = self._tools.rows_of_dump(directory / _DUMP, deadline)
        return compare_rows(then, self._tools.rows(max(1.0, deadline - time.monotonic())))

    def _checked_state(self) -> State:
        state = self._tools.state()
        if state.others:
            raise DatabaseError(
                f"the PostgreSQL database holds what the role {state.user!r} does not own, and so cannot restore: "
                + ", ".join(state.others),
                hint="Let the app's role own all of it (ALTER … OWNER TO), or set [database] kind to command.",
            )
        return state


def _read_state(path: Path) -> dict[str, tuple[str, ...]]:
    reader = Reader(parse_json(path.read_bytes(), path.name), path.name)
    found = {name: reader.texts(name) for name in ("schemas", "extensions")}
    reader.finish()
    return found


def _select(contents: Sequence[str], kept: State) -> list[str]:
    """The entries of a dump to restore: not those that make or describe what is kept.

    A line reads ``id; catalog oid KIND schema name owner``, ``-`` standing for no schema.
    """
    names = [("SCHEMA", name) for name in kept.schemas] + [("EXTENSION", name) for name in kept.extensions]
    skipped = [f"{kind} - {name} " for kind, name in names]
    skipped += [f"{about} - {kind} {name} " for about in ("ACL", "COMMENT", "SECURITY LABEL") for kind, name in names]
    for schema, name in kept.extension_tables:
        skipped += [f"TABLE DATA {schema} {name} ", f"SEQUENCE SET {schema} {name} "]
    skipped.append("SUBSCRIPTION ")
    prefixes = tuple(skipped)
    entries = []
    for line in contents:
        number, _, rest = line.partition("; ")
        if not number.isdigit():
            continue
        entry = rest.split(" ", 2)[-1]
        if not f"{entry} ".startswith(prefixes):
            entries.append(line)
    return entries
