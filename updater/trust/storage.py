"""The files of a trust directory: lock, atomic writes, and the record of the last good feed (standard library).

<trust>/lock             held during every fetch
<trust>/metadata/        python-tuf's
<trust>/feeds/           verified feeds, by digest
<trust>/last_good.json   which feed was accepted last, and how new the metadata was; mode 0600
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from updater.errors import LockedError, StateError
from updater.frozen import frozen
from updater.site.reading import MOST, load_json, read_file

__all__ = [
    "LastGood",
    "clear_leftovers",
    "locked",
    "prepare",
    "read_record",
    "read_verified",
    "write_file",
    "write_record",
]

RECORD = "last_good.json"
_SCHEMA = 1


@frozen
class LastGood:
    """What was accepted last.

    ``sha256`` of the feed; ``at`` when it was verified; ``versions`` per role that were seen; ``online_keys`` the
    key ids of snapshot and timestamp then, whose exchange lets their versions start anew (TUF 5.3.11).
    """

    channel: str
    sha256: str
    at: datetime
    versions: Mapping[str, int]
    online_keys: tuple[str, ...]


def prepare(directory: Path) -> None:
    """Create the trust directory and what is in it, for this user only. ``StateError``."""
    try:
        for folder in (directory, directory / "metadata", directory / "feeds"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
            _refuse_strange_files(folder)
    except OSError as error:
        raise _state_error(directory, error) from error


def _refuse_strange_files(folder: Path) -> None:
    """python-tuf opens what it finds: it must not wait for a pipe, or load a file without end."""
    for path in folder.iterdir():
        try:
            status = path.stat()
        except FileNotFoundError:
            continue  # a symlink to nothing, or gone meanwhile
        if not stat.S_ISDIR(status.st_mode) and not (stat.S_ISREG(status.st_mode) and status.st_size <= MOST):
            raise StateError(
                f"{path} is not a file of the kind the updater writes.",
                hint=f"Remove it; when it stays so, remove {folder}: the next check starts from the embedded root.",
            )


@contextmanager
def locked(directory: Path, *, wait: float) -> Iterator[None]:
    """Hold the directory's lock, waiting up to ``wait`` seconds for another process: ``LockedError``."""
    import fcntl

    try:
        handle = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _state_error(directory, error) from error
    try:
        until = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= until:
                    raise LockedError(
                        f"Another process is using {directory}", hint="Wait until its check has ended."
                    ) from error
                time.sleep(0.05)
            except OSError as error:
                raise _state_error(directory, error) from error
        yield
    finally:
        os.close(handle)


def clear_leftovers(directory: Path) -> None:
    """Remove temporary files of a process that was killed (ours, and python-tuf's). Needs the lock."""
    for folder, prefix in (("", ".new-"), ("feeds", ".new-"), ("metadata", "tmp")):
        for path in (directory / folder).glob(f"{prefix}*"):
            with suppress(OSError):
                path.unlink()


def write_file(path: Path, data: bytes) -> None:
    """Replace ``path`` (mode 0600) in one step, flushed to disk. ``StateError``."""
    try:
        handle, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise _state_error(path, error) from error


def read_verified(path: Path, sha256: str) -> bytes | None:
    """Contents of ``path`` if they have this digest; None when missing, unreadable or different."""
    try:
        data = read_file(path)
    except OSError:
        return None
    return data if hashlib.sha256(data).hexdigest() == sha256 else None


def write_record(directory: Path, record: LastGood) -> None:
    """Store the record. ``StateError``."""
    document = {"schema": _SCHEMA, **asdict(record), "at": record.at.astimezone(UTC).isoformat()}
    write_file(directory / RECORD, json.dumps(document, indent=1, sort_keys=True).encode() + b"\n")


def read_record(directory: Path) -> LastGood | None:
    """The record; None when there is none yet. ``StateError`` when it is there but cannot be understood."""
    path = directory / RECORD
    try:
        data = read_file(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _state_error(path, error) from error
    try:
        return _parse(load_json(data))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise StateError(f"{path} is damaged", hint=f"Remove {path}; the next check writes it anew.") from error


def _parse(document: dict[str, Any]) -> LastGood:
    at = datetime.fromisoformat(document["at"])
    versions = {str(role): int(version) for role, version in document["versions"].items()}
    sha256 = str(document["sha256"])
    if document["schema"] != _SCHEMA or at.tzinfo is None or not re.fullmatch("[0-9a-f]{64}", sha256):
        raise ValueError("not a record of the last good feed")
    at = at.astimezone(UTC)
    return LastGood(str(document["channel"]), sha256, at, versions, tuple(str(key) for key in document["online_keys"]))


def _state_error(path: Path, error: OSError) -> StateError:
    return StateError(
        f"{path} cannot be used: {error.strerror or error}",
        hint="Check free space, owner and permissions of this folder.",
    )
