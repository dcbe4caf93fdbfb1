"""The journal: where a running update stands, so that any later start can finish or undo it (standard library only).

An append-only file of lines ``crc32 json``; each is flushed to disk before the state it names begins. A torn last line
(a crash while writing) is ignored: the state it would have named had not begun.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from enum import StrEnum
from pathlib import Path
from typing import Any

from updater.errors import StateError
from updater.frozen import frozen
from updater.site import platform
from updater.site.files import fsync_directory, write_atomic
from updater.site.reading import load_json, read_file

__all__ = ["Journal", "Record", "State"]

_FORMAT = 1
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,63}")
"""Directories are named like it, so it must not lead anywhere else."""


class State(StrEnum):
    """The states of an update, in order; docs/reliability.md has the recovery rule for each."""

    PREPARED = "prepared"
    STOPPING = "stopping"
    APPLYING = "applying"
    MIGRATING = "migrating"
    STARTING = "starting"
    COMMITTED = "committed"
    UNDOING = "undoing"
    UNDONE = "undone"
    ENDED = "ended"


@frozen
class Record:
    """One line: the transaction, the state that begins, and what else is to be known about it."""

    id: str
    state: State
    details: dict[str, Any]


class Journal:
    """Reads and appends records. One process at a time, under the site's lock."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, id: str, **details: Any) -> None:  # noqa: A002 - the field's name in the file
        """Start a new journal, replacing that of an ended update."""
        write_atomic(self.path, _encode(id, State.PREPARED, {"format": _FORMAT, **details}))

    def append(self, id: str, state: State, **details: Any) -> None:  # noqa: A002
        """Record, durably, that ``state`` begins."""
        handle = os.open(self.path, os.O_RDWR)
        try:
            size = os.fstat(handle).st_size
            whole = self._parse(os.pread(handle, size, 0))[1]
            os.ftruncate(handle, whole)
            data = _encode(id, state, details)
            if os.pwrite(handle, data, whole) != len(data):
                raise OSError(f"short write to {self.path}")
            platform.flush(handle)
        finally:
            os.close(handle)

    def end(self, id: str) -> None:  # noqa: A002
        """Nothing is left to recover."""
        self.append(id, State.ENDED)
        fsync_directory(self.path.parent)

    def records(self) -> list[Record]:
        """All whole records, oldest first; empty without a journal. Raises StateError for one that is not ours."""
        try:
            data = read_file(self.path)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StateError(
                f"The journal {self.path} cannot be read: {error.strerror}",
                hint="Run the command as the user who owns the site's .updater directory.",
            ) from error
        found = self._parse(data)[0]
        if data and not found:
            raise self._damaged("not one whole record is left")
        if found and found[0].details.get("format") != _FORMAT:
            raise StateError(
                f"The journal {self.path} was written in format {found[0].details.get('format')}.",
                hint="Run .updater/bin/<id>/recover.py: it belongs to the updater that began the update.",
            )
        return found

    def _parse(self, data: bytes) -> tuple[list[Record], int]:
        """The whole records, and how many bytes they take. A torn tail is passed over; damage before a whole record
        is not a torn tail, and nobody can say any more where the update stands."""
        found: list[Record] = []
        length = 0
        torn = False
        try:
            for line in data.splitlines(keepends=True):
                record = _decode(line)
                if record is None:
                    torn = True
                elif torn:
                    raise self._damaged("a record in the middle is not what was written")
                else:
                    found.append(record)
                    length += len(line)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StateError(
                f"The journal {self.path} holds something that this updater does not know: {error}",
                hint="Run .updater/bin/<id>/recover.py: it belongs to the updater that began the update.",
            ) from error
        return found, length

    def _damaged(self, what: str) -> StateError:
        return StateError(
            f"The journal {self.path} is damaged: {what}.",
            hint="Compare the site with `updater verify`; when it is whole, remove the journal.",
        )

    def last(self) -> Record | None:
        """The state that the last update is in, or None when nothing is to recover."""
        records = self.records()
        return None if not records or records[-1].state is State.ENDED else records[-1]


def _encode(id: str, state: State, details: dict[str, Any]) -> bytes:  # noqa: A002
    body = json.dumps({"id": id, "state": state.value, **details}, ensure_ascii=True).encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _decode(line: bytes) -> Record | None:
    """The record that ``line`` (with its line end) holds, or None when it is torn or damaged.

    Raises ValueError, KeyError for a whole record that this version does not understand.
    """
    checksum, _, body = line[:-1].partition(b" ")
    if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(body):
        return None
    value = load_json(body)
    id, state = value.pop("id"), State(value.pop("state"))  # noqa: A001
    if not _NAME.fullmatch(id):
        raise ValueError(f"{id!r} cannot be the name of an update")
    return Record(id, state, value)
