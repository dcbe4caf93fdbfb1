"""What a database backup is, and what every kind of database can do."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from updater.errors import DatabaseError
from updater.frozen import frozen
from updater.schema.document import Reader
from updater.schema.text import check_digest
from updater.site import platform

__all__ = [
    "Backup",
    "BackupFile",
    "Database",
    "NoDatabase",
    "TableRows",
    "check_files",
    "check_sizes",
    "compare_rows",
    "prepare",
    "seal",
    "sync_directory",
]


@frozen
class BackupFile:
    """One file of a backup: its name in the backup's directory, its size in bytes and its SHA-256."""

    name: str
    size: int
    sha256: str


@frozen
class Backup:
    """The record of a backup, to be kept beside it and given back to `Database.restore`.

    ``created_by`` is the tool and its version, for people. ``absent``: there was no database, and restoring means
    that there is none again.
    """

    kind: str
    files: tuple[BackupFile, ...] = ()
    created_by: str = ""
    absent: bool = False

    def to_json(self) -> dict[str, Any]:
        """The record as a JSON object."""
        files = [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in self.files]
        return {"kind": self.kind, "files": files, "created_by": self.created_by, "absent": self.absent}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], document: str = "the database backup's record") -> Backup:
        """Read the record back. Raises SchemaError."""
        reader = Reader(value, document)
        backup = cls.read(reader)
        reader.finish()
        return backup

    @classmethod
    def read(cls, reader: Reader) -> Backup:
        """Read it as a part of another document; what is wrong is noted in ``reader``."""
        return cls(
            kind=reader.text("kind"),
            files=tuple(
                BackupFile(
                    child.text("name", check=_check_name),
                    child.integer("size"),
                    child.text("sha256", check=check_digest),
                )
                for child in reader.children("files", required=True)
            ),
            created_by=reader.text("created_by", default="", empty=True),
            absent=reader.flag("absent", default=False),
        )


@frozen
class TableRows:
    """How many rows a table had when the backup was made, and has now; None: there was, or is, no such table."""

    table: str
    then: int | None
    now: int | None


def compare_rows(then: Mapping[str, int], now: Mapping[str, int]) -> tuple[TableRows, ...]:
    """The tables whose number of rows differs, sorted: pure."""
    tables = sorted({*then, *now})
    return tuple(TableRows(name, then.get(name), now.get(name)) for name in tables if then.get(name) != now.get(name))


def _check_name(name: str) -> None:
    if "/" in name or "\\" in name or name in ("", ".", "..") or not name.isprintable():
        raise ValueError("must be the name of a file in the backup's directory")


class Database(Protocol):
    """The app's database. Every method but `available` and `estimate` raises DatabaseError when it fails."""

    @property
    def kind(self) -> str:
        """``none``, ``sqlite``, ``postgresql`` or ``command``."""
        ...

    def available(self) -> str | None:
        """Why a backup cannot be made now (a tool is missing, the server does not answer), or None."""
        ...

    def estimate(self) -> int | None:
        """The most bytes that a backup will need, or None when that cannot be told."""
        ...

    def backup(self, directory: Path) -> Backup:
        """Write a backup into ``directory``, read it back whole, and flush it to the disk.

        The app may run meanwhile. Repeating it replaces what an earlier attempt left there.
        """
        ...

    def restore(self, directory: Path, record: Backup) -> None:
        """Make the database what it was when ``record`` was made; nothing is touched when the backup is damaged.

        Killed at any point, the database is the old or the new one as a whole, and restoring again finishes.
        The app should be stopped.
        """
        ...

    def verify(self, directory: Path, record: Backup) -> None:
        """Read a backup again, to its last byte and as what it is; the database itself is not asked."""
        ...

    def changed_rows(self, directory: Path, record: Backup, seconds: float) -> tuple[TableRows, ...] | None:
        """The tables that have another number of rows now than in the backup, within ``seconds``; nothing is written.

        None when this kind cannot tell. Rows that were changed in place do not show. Raises DatabaseError when it
        takes longer.
        """
        ...


class NoDatabase:
    """The app has none, or the owner backs it up in another way."""

    kind = "none"

    def available(self) -> str | None:
        """Always."""
        return None

    def estimate(self) -> int | None:
        """Nothing is written."""
        return 0

    def backup(self, directory: Path) -> Backup:  # noqa: ARG002
        """An empty record."""
        return Backup(self.kind)

    def restore(self, directory: Path, record: Backup) -> None:
        """Nothing to do, unless the record says otherwise."""
        check_files(self.kind, directory, record)

    def verify(self, directory: Path, record: Backup) -> None:
        """As for any other kind."""
        check_files(self.kind, directory, record)

    def changed_rows(self, directory: Path, record: Backup, seconds: float) -> None:  # noqa: ARG002
        """Not known."""
        return


def prepare(directory: Path, name: str) -> Path:
    """Where the file ``name`` of a backup is written until it is complete. Raises DatabaseError."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = directory / f"{name}.part"
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise DatabaseError(f"cannot write a database backup to {directory}: {error}") from error
    return part


def seal(part: Path) -> BackupFile:
    """Flush a complete ``.part`` file to the disk, give it its name, and read it back. Raises DatabaseError."""
    final = part.with_suffix("")
    try:
        with part.open("rb") as file:
            platform.flush(file.fileno())
        os.replace(part, final)
        sync_directory(final.parent)
        return _describe(final)
    except OSError as error:
        raise DatabaseError(f"cannot write the database backup {final}: {error}") from error


def check_sizes(directory: Path, record: Backup) -> None:
    """Raise DatabaseError unless the record's files are there in their sizes."""
    for expected in record.files:
        path = directory / expected.name
        if not path.is_file() or path.stat().st_size != expected.size:
            raise DatabaseError(f"the database backup {path} is missing, or not what was written")


def check_files(kind: str, directory: Path, record: Backup) -> None:
    """Raise DatabaseError unless the record is of ``kind`` and its files are what they were."""
    if record.kind != kind:
        raise DatabaseError(
            f"the backup is of a database of the kind {record.kind!r}, and updater.toml says {kind!r}",
            hint="Set [database] kind back to what it was when the backup was made.",
        )
    for expected in record.files:
        path = directory / expected.name
        try:
            found = _describe(path)
        except OSError as error:
            raise DatabaseError(f"cannot read the database backup {path}: {error}") from error
        if found != expected:
            raise DatabaseError(
                f"the database backup {path} is damaged: it is not what was written",
                hint="The database was not touched. Choose an older restore point.",
            )


def sync_directory(directory: Path) -> None:
    """Make renames in ``directory`` durable. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        platform.flush(descriptor)
    finally:
        os.close(descriptor)


def _describe(path: Path) -> BackupFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return BackupFile(path.name, file.tell(), digest)
