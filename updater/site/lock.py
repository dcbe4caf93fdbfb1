"""One update at a time: a file lock that vanishes with its process (standard library only).

The kernel decides who holds the lock; what the file says (process, boot, since when, last sign of life) is for people.
"""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from updater.errors import LockedError, StateError
from updater.frozen import frozen
from updater.site import platform
from updater.site.reading import read_json

__all__ = [
    "HEARTBEAT",
    "Holder",
    "SiteLock",
    "boot_id",
    "explain_holder",
    "lock_handles",
    "process_identity",
    "process_runs",
    "read_holder",
    "still_runs",
]

HEARTBEAT = 5.0
"""Seconds between two signs of life of whoever holds the lock."""

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
_NO_PROCESS = 2**31
_NEVER = 1e11
"""Seconds since the epoch that no clock shows, and that the calendar's functions may refuse."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Names the machine's present run: a process id from an earlier one means nothing. Empty where unknown."""
    return _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""


@frozen
class Holder:
    """What the lock file says. Times in seconds since the epoch; ``alive`` is the file's modification time."""

    pid: int
    boot_id: str
    since: float
    alive: float


def read_holder(path: Path) -> Holder | None:
    """Who wrote the lock file last and did not leave it; None when nobody did, or it cannot be read."""
    try:
        found = read_json(path)
        pid, boot, since = int(found["pid"]), str(found["boot_id"]), float(found["since"])
        if not (0 < pid < _NO_PROCESS and 0 <= since < _NEVER):
            return None
        return Holder(pid, boot, since, path.stat().st_mtime)
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None


def process_runs(pid: int, boot: str) -> bool:
    """Whether the process that had ``pid`` in the machine's run ``boot`` exists; another may have its number by now."""
    if boot != boot_id() or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # another user's
    return True


def process_identity() -> dict[str, object]:
    """What names this process for good: its id, the machine's run, and when it started (empty where unknown)."""
    return {"pid": os.getpid(), "boot_id": boot_id(), "started": _started(os.getpid())}


def still_runs(identity: Mapping[str, object]) -> bool:
    """Whether the very process of `process_identity` runs, and is not this one."""
    pid = identity.get("pid")
    if not isinstance(pid, int) or pid == os.getpid() or not process_runs(pid, str(identity.get("boot_id"))):
        return False
    return _started(pid) == identity.get("started")


def _started(pid: int) -> str:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
        return after_name.split()[19]  # proc(5): in clock ticks since the machine started
    except (OSError, IndexError):
        return ""


def explain_holder(holder: Holder | None, *, now: float, runs: bool) -> str:
    """Who holds a lock that is held, in a sentence. ``runs``: whether the holder's process still exists."""
    if holder is None:
        return "Another updater is at work on this site."
    if not runs:
        return (
            f"The updater that was at work on this site (process {holder.pid}) is gone, "
            "but a command that it started still runs and must end first."
        )
    since = time.strftime("%H:%M:%S", time.localtime(holder.since))
    quiet = max(0.0, now - holder.alive)
    sign = "" if quiet < 4 * HEARTBEAT else f"; it has given no sign of life for {quiet:.0f} seconds"
    return f"Another updater is at work on this site (process {holder.pid}, since {since}{sign})."


_held: dict[Path, int] = {}
"""The locks of this process: a lock is its open file, which a child process can be given (`lock_handles`)."""


def lock_handles(path: Path) -> tuple[int, ...]:
    """The descriptor to pass to a program that must not outlive the lock: it is held until that program ends too.
    Windows cannot pass one on."""
    return (_held[path],) if path in _held and not platform.WINDOWS else ()


class SiteLock:
    """A context manager that holds the site's lock, or raises LockedError at once.

    ``died``, once entered, is what the file said of an earlier holder that ended without a last word.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = -1
        self._left = threading.Event()
        self.died: Holder | None = None

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
        self.died = read_holder(self._path)
        _held[self._path] = self._handle
        try:
            self._tell(os.getpid())
            threading.Thread(target=self._beat, name="updater-heartbeat", daemon=True).start()
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._tell(None)
        finally:  # Ctrl-C just now, in a process that lives on, must not hold it for ever
            self._release()

    def _release(self) -> None:
        """Closing releases; the file stays, or two processes could lock two files."""
        self._left.set()
        _held.pop(self._path, None)
        os.close(self._handle)

    def _beat(self) -> None:
        while not self._left.wait(HEARTBEAT):
            try:
                os.utime(self._path)
            except OSError:
                return  # advice for people, like what the file says

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
    runs = holder is not None and process_runs(holder.pid, holder.boot_id)
    return LockedError(
        explain_holder(holder, now=time.time(), runs=runs),
        hint="Wait until it has ended; `updater status` shows how far it is.",
    )
