"""The few things that operating systems do differently (standard library only).

Linux is what the tests run on. What is written for macOS and Windows is marked "untested": its decisions have tests
with a made-up system, but it has never met the real one. Sources: Apple's fcntl(2) on F_FULLFSYNC; Microsoft's
documentation of MoveFileEx and of system error codes 5, 32 and 33.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import secrets
import shlex
import struct
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = [
    "MACOS",
    "TRIES",
    "WINDOWS",
    "command_to_unlock",
    "flags_of",
    "flush",
    "flush_filesystem",
    "give_memory_back",
    "is_root",
    "is_sharing_violation",
    "lock",
    "remove",
    "replace",
]

WINDOWS = sys.platform == "win32"
MACOS = sys.platform == "darwin"

TRIES = 10
"""How often Windows is asked again for a file that somebody has open: about five seconds in all."""

_SHARING_VIOLATIONS = (5, 32, 33)
"""Windows: access denied (also said of a file that is being deleted), sharing violation, lock violation."""

_F_FULLFSYNC = 51
_NO_FULL_FLUSH = (errno.ENOTSUP, errno.ENOTTY, errno.EINVAL, errno.ENOSYS)
_LOCKED_BYTE = 1 << 30
"""Windows locks bytes, and nobody may read a locked one: this one lies behind everything that is written."""

_IMMUTABLE, _APPEND_ONLY = 0x10, 0x20
_READS = 0x40000000 if os.name == "posix" and os.uname().machine.startswith(("ppc", "mips", "sparc")) else 0x80000000
_GET_FLAGS = _READS | struct.calcsize("l") << 16 | 0x6601
"""FS_IOC_GETFLAGS, `_IOR('f', 1, long)` of linux/fs.h."""


_M_MMAP_THRESHOLD = -3
_LARGE_BLOCK = 1 << 20


def give_memory_back(*, linux: bool = sys.platform.startswith("linux")) -> None:
    """Let large blocks return to the system as soon as they are freed; for a process of our own, such as a command.

    glibc raises the size from which on they do to the largest block that was ever freed, so that what an update needs
    one after the other is never here together, and yet adds up. mallopt(3); nothing happens with other C libraries.
    """
    if linux and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)


def is_root() -> bool:
    """Whether this process may give files away."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def flush(handle: int, *, macos: bool = MACOS, control: Callable[[int, int], Any] | None = None) -> None:
    """Bring what was written through ``handle`` to the disk itself. Raises OSError.

    macOS (untested): fsync leaves it in the drive's cache; where F_FULLFSYNC is not known (a network filesystem), fsync
    has to do.
    """
    if macos:
        try:
            (control or import_module("fcntl").fcntl)(handle, _F_FULLFSYNC)
        except OSError as error:
            if error.errno not in _NO_FULL_FLUSH:
                raise
        else:
            return
    os.fsync(handle)


def flush_filesystem(path: Path) -> None:
    """Flush everything written to the filesystem that holds the directory ``path``: one call, not one for each file.

    macOS (untested): ``sync`` only starts the writing, the full flush behind it waits. Windows (untested) has no such
    call: each file below ``path`` is flushed.
    """
    if WINDOWS:
        _flush_each(path)
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
        if syncfs is None:
            os.sync()
            if MACOS:
                flush(handle)
        elif syncfs(handle) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(handle)


def _flush_each(path: Path) -> None:
    for entry in path.rglob("*"):
        if entry.is_symlink() or not entry.is_file():
            continue
        with contextlib.suppress(PermissionError):  # read-only: whoever wrote it has flushed it
            handle = os.open(entry, os.O_RDWR)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def lock(handle: int, *, windows: bool = WINDOWS) -> None:
    """Lock an open file for this process alone, until it is closed. Raises OSError at once when somebody else has."""
    if windows:  # untested
        msvcrt = import_module("msvcrt")
        os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        fcntl = import_module("fcntl")
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_sharing_violation(error: OSError) -> bool:
    """Whether Windows refused because somebody has the file open."""
    return getattr(error, "winerror", None) in _SHARING_VIOLATIONS


def replace(
    source: str | Path,
    target: str | Path,
    *,
    aside: Path | None = None,
    windows: bool = WINDOWS,
    system: Any = os,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """`os.replace`, one atomic rename. Raises OSError.

    Windows (untested): tried again while ``target`` is in use, `TRIES` times with growing pauses. A program that runs
    can be renamed but not replaced: it goes into the directory ``aside`` then, which is swept with the staged files.
    """
    if not windows:
        system.replace(source, target)
        return
    try:
        _patiently(lambda: system.replace(source, target), sleep)
    except OSError as error:
        if aside is None or not is_sharing_violation(error):
            raise
        away = _move_aside(Path(target), aside, system)
        try:
            system.replace(source, target)
        except OSError:
            system.replace(away, target)
            raise


def remove(
    path: Path,
    *,
    aside: Path | None = None,
    windows: bool = WINDOWS,
    system: Any = os,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """`os.unlink`; on Windows (untested) as patient as `replace`. Raises OSError."""
    if not windows:
        system.unlink(path)
        return
    try:
        _patiently(lambda: system.unlink(path), sleep)
    except OSError as error:
        if aside is None or not is_sharing_violation(error):
            raise
        _move_aside(path, aside, system)


def _patiently(call: Callable[[], None], sleep: Callable[[float], None]) -> None:
    for attempt in range(TRIES):
        try:
            call()
        except OSError as error:
            if attempt == TRIES - 1 or not is_sharing_violation(error):
                raise
            sleep(0.01 * 2**attempt)
        else:
            return


def _move_aside(path: Path, aside: Path, system: Any) -> Path:
    system.makedirs(aside, exist_ok=True)
    away = aside / secrets.token_hex(8)
    system.replace(path, away)
    return away


def flags_of(path: Path) -> frozenset[str]:
    """Which of "immutable" and "append-only" a file or directory is: not even root may replace it then.

    Linux: the flags of chattr(1). BSD and macOS (untested): those of chflags(1). Empty for a symlink, and where
    nobody can tell.
    """
    if hasattr(os.stat_result, "st_flags"):
        return _of_bits(getattr(path.lstat(), "st_flags", 0), (0x2 | 0x20000, 0x4 | 0x40000))
    if not sys.platform.startswith("linux"):
        return frozenset()
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return frozenset()  # a symlink has none; what cannot be opened is judged by its permissions
    try:
        found = bytearray(8)
        import_module("fcntl").ioctl(handle, _GET_FLAGS, found)
    except OSError:
        return frozenset()  # this filesystem does not know such flags
    finally:
        os.close(handle)
    return _of_bits(struct.unpack_from("=I", found)[0], (_IMMUTABLE, _APPEND_ONLY))


def _of_bits(bits: int, known: tuple[int, int]) -> frozenset[str]:
    return frozenset(name for name, mask in zip(("immutable", "append-only"), known, strict=True) if bits & mask)


def command_to_unlock(path: Path, flags: frozenset[str], *, chattr: bool = sys.platform.startswith("linux")) -> str:
    """What the owner has to run so that ``path`` can be replaced."""
    shown = shlex.quote(str(path))
    if chattr:
        return f"chattr -{'i' * ('immutable' in flags)}{'a' * ('append-only' in flags)} {shown}"
    return f"chflags no{'uchg,noschg' if 'immutable' in flags else 'uappnd,nosappnd'} {shown}"
