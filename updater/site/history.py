"""``history.jsonl``: one line for everything that happened to a site (standard library only)."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from updater.schema.document import format_time
from updater.site import platform
from updater.site.reading import load_json, read_file

__all__ = ["append_history", "read_history"]


def append_history(path: Path, at: datetime, event: str, **details: Any) -> None:
    """Add one line: ``at``, ``event`` (check, install, update, rollback, recover) and what belongs to it.

    Raises OSError when the line could not be written whole; it is not there then.
    """
    line = json.dumps({"at": format_time(at), "event": event, **details}, ensure_ascii=False, sort_keys=False)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = os.fstat(handle).st_size
        torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"  # a crash cut the last line: do not join it
        # half a character (of a file name that is not UTF-8) becomes a JSON escape, and is read back as what it was
        data = (b"\n" if torn else b"") + line.encode("utf-8", "backslashreplace") + b"\n"
        if os.write(handle, data) != len(data):  # the disk is full: half a line would be passed over for ever
            os.ftruncate(handle, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        platform.flush(handle)
    finally:
        os.close(handle)


def read_history(path: Path) -> list[Mapping[str, Any]]:
    """All whole lines, oldest first. A torn line is passed over; a missing file is an empty history."""
    try:
        lines = read_file(path).decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return []
    entries: list[Mapping[str, Any]] = []
    for line in lines:
        try:
            entry = load_json(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            entries.append(entry)
    return entries
