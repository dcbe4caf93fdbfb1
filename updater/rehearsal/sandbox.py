"""Running a program that can write nowhere but below a few folders: Linux's Landlock (standard library only).

Run as a program, this file confines itself and becomes the program that stands after ``--``:

    python -I -S sandbox.py FOLDER… -- PROGRAM ARGUMENT…

Everything it starts is confined as well, and nothing can lift it. Reading is not confined. Source: the kernel's
Documentation/userspace-api/landlock.rst; the numbers are those of include/uapi/linux/landlock.h.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["available", "confined"]

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446  # the same on every architecture
_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
_PATH_BENEATH = 1
_PARENT_DEATH_SIGNAL, _NO_NEW_PRIVILEGES = 1, 38  # prctl(2)
_WRITE_FILE = 1 << 1
_CHANGE_FOLDERS = sum(1 << bit for bit in (4, 5, 6, 7, 8, 9, 10, 11, 12))  # remove and make anything
_REFER, _TRUNCATE = 1 << 13, 1 << 14  # since versions 2 and 3
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/tty", "/dev/ptmx", "/dev/pts")


def available() -> bool:
    """Whether this kernel can confine a program."""
    return _version() > 0


def confined(argv: Sequence[str], *folders: Path) -> tuple[str, ...]:
    """The command that runs ``argv`` so that it can write below ``folders`` only."""
    return (sys.executable, "-I", "-S", __file__, *map(str, folders), "--", *argv)


def _version() -> int:
    if not sys.platform.startswith("linux"):
        return 0
    return max(0, int(_libc().syscall(_CREATE, None, ctypes.c_size_t(0), _VERSION)))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _confine(folders: Sequence[str]) -> None:
    """Confine this process. Raises OSError."""
    version = _version()
    rights = _WRITE_FILE | _CHANGE_FOLDERS
    rights |= _REFER if version >= 2 else 0
    rights |= _TRUNCATE if version >= 3 else 0
    libc = _libc()
    attributes = ctypes.create_string_buffer(struct.pack("=Q", rights), 8)
    ruleset = _checked(libc.syscall(_CREATE, attributes, ctypes.c_size_t(8), 0))
    for path in (*folders, *_DEVICES):
        if path in _DEVICES and not os.path.lexists(path):
            continue
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        allowed = rights if os.path.isdir(path) else rights & (_WRITE_FILE | _TRUNCATE)  # noqa: PTH112 - as cheap
        rule = ctypes.create_string_buffer(struct.pack("=Qi", allowed, handle), 12)
        _checked(libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0))
        os.close(handle)
    if libc.syscall(_RESTRICT, ruleset, 0) != 0:  # only root may without giving up set-id programs
        _checked(libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
        _checked(libc.syscall(_RESTRICT, ruleset, 0))
    os.close(ruleset)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _main(words: Sequence[str]) -> None:
    split = words.index("--")
    folders, argv = words[:split], words[split + 1 :]
    try:
        _libc().prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)  # an updater that is killed leaves nobody behind
        _confine(folders)
        os.execvp(argv[0], list(argv))  # noqa: S606 - that is what this is for
    except OSError as error:
        sys.stderr.write(f"{argv[0]}: {error.strerror}\n")
        sys.exit(127)


if __name__ == "__main__":
    _main(sys.argv[1:])
