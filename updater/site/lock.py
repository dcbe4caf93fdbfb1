"""One update at a time: a file lock that vanishes with its process (standard library only)."""

from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path
from types import TracebackType

from updater.errors import LockedError, StateError
from updater.site import platform
from updater.site.reading import read_json

__all__ = ["SiteLock", "boot_id", "lock_handles", "read_holder"]

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Names the machine's present run: a process id from an earlier one means nothing. Empty where unknown."""
    return _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""


def read_holder(path: Path) -> dict[str, object]:
    """Who wrote the lock file last: ``pid``, ``boot_id``, ``since`` (seconds since the epoch); empty when unknown."""
    try:
        found = read_json(path)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


_held: dict[Path, int] = {}
"""The locks of this process: a lock is its open file, which a child process can be given (`lock_handles`)."""


def lock_handles(path: Path) -> tuple[int, ...]:
    """The descriptor to pass to a program that must not outlive the lock: it is held until that program ends too.
    Windows cannot pass one on."""
    return (_held[path],) if path in _held and not platform.WINDOWS else ()


class SiteLock:
    """A context manager that holds the site's lock, or raises LockedError at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = -1

    def __enter__(self) -> SiteLock:
        try:
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StateError(
                f"Cannot open the lock file {self._path}: {error.strerror}",
                hint="Run the command as the user who owns the site's .updater directory.",
            ) from error
        try:
            platform.lock(self._handle)
        except OSError as error:
            os.close(self._handle)
            if error.errno in _NO_LOCKS:
                raise StateError(
                    f"The filesystem of {self._path} cannot lock files: {error.strerror}",
                    hint="Keep the site on a local disk; two updates at once could not be told apart here.",
                ) from error
            raise _locked(self._path) from error
        _held[self._path] = self._handle
        self._tell(os.getpid())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _held.pop(self._path, None)
        self._tell(None)
        os.close(self._handle)  # closing releases; the file stays, or two processes could lock two files

    def _tell(self, pid: int | None) -> None:
        """Write down who holds the lock: advice for people, so that a full disk must not keep anyone from it."""
        holder = {"pid": pid, "boot_id": boot_id(), "since": int(time.time())}
        try:
            os.ftruncate(self._handle, 0)
            if pid is not None:
                _write_at_start(self._handle, json.dumps(holder).encode())
        except OSError:
            pass


def _write_at_start(handle: int, data: bytes) -> None:
    if hasattr(os, "pwrite"):
        os.pwrite(handle, data, 0)
    else:  # Windows, untested
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, data)


def _locked(path: Path) -> LockedError:
    holder = read_holder(path)
    who = f" (process {holder['pid']})" if "pid" in holder else ""
    return LockedError(
        f"Another updater is at work on this site{who}.",
        hint="Wait until it has finished; `updater status` shows how far it is.",
    )
