"""Striking at the N-th call to the operating system: the process dies there, or the call fails, reads included."""

from __future__ import annotations

import builtins
import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple
from unittest import mock

import updater.install.engine

Kind = Literal["count", "kill", "torn", "short", "error", "denied", "full", "read-only", "handles", "interrupt"]
KINDS: tuple[Kind, ...] = ("kill", "torn", "short", "error", "denied", "full", "read-only", "handles", "interrupt")
DEADLY = ("kill", "torn")
KILLED = 9

_CHANGING = ("replace", "rename", "link", "symlink", "unlink", "remove", "rmdir", "mkdir", "chmod", "chown", "utime")
_CHANGING += ("setxattr", "removexattr", "truncate", "ftruncate", "fsync", "write", "pwrite", "sendfile", "fallocate")
_CHANGING += ("posix_fallocate", "mknod")
_READING = ("stat", "lstat", "fstat", "listdir", "scandir", "readlink", "read", "pread", "listxattr", "getxattr")
_STEPS = {"sql", "health", "syncfs"}
"""Points between two calls, named by whoever stands in for a migration, a health check or a flush."""

_ATTRIBUTES = {"listxattr", "getxattr", "setxattr", "removexattr"}
"""Those that a user may not carry are left out by design (updater/site/metadata.py)."""

CHANGES = {*_CHANGING, "open", "os.open", *_STEPS}
READS = {*_READING, "open to read", "os.open to read"}
WRITES = {"write", "pwrite", "sendfile"}
_NEEDS_SPACE = {
    "open",
    "os.open",
    "mkdir",
    "mknod",
    "symlink",
    "link",
    "setxattr",
    "ftruncate",
    "fallocate",
    "posix_fallocate",
}
_NEEDS_SPACE |= {*WRITES, "sql", "syncfs"}
_OPENS = {"open", "os.open", "open to read", "os.open to read", "scandir", "listdir"}

_STRUCK: dict[Kind, set[str]] = {
    "count": set(),
    "kill": CHANGES,
    "torn": WRITES,
    "short": WRITES,
    "error": CHANGES | READS,
    "denied": (CHANGES | READS) - {"fstat", "read", "pread", *_STEPS, "fsync", *WRITES, *_ATTRIBUTES},
    "full": _NEEDS_SPACE,
    "read-only": CHANGES - {*_STEPS, "fsync", *WRITES},
    "handles": _OPENS,
    "interrupt": CHANGES,
}
_ERRORS: dict[Kind, int] = {
    "error": errno.EIO,
    "denied": errno.EACCES,
    "full": errno.ENOSPC,
    "short": errno.ENOSPC,
    "read-only": errno.EROFS,
    "handles": errno.EMFILE,
}
_STICKY = {"full", "short", "read-only"}


def applies(kind: Kind, name: str) -> bool:
    """Whether the call of that name can meet that fate: only opening takes a handle, only writing can be torn."""
    return name in _STRUCK[kind]


class Strike(NamedTuple):
    """What happens, and at which call: the first is 1.

    kill: the process ends just before it. torn: it writes half, then the process ends. short: it writes half and says
    so; then the disk is full. error, denied, handles: that one call fails with EIO, EACCES, EMFILE. full, read-only:
    every call from there on that needs space, or changes anything, fails. interrupt: Ctrl-C just then.
    """

    kind: Kind
    at: int


class Faults:
    """Counts the calls and strikes at the chosen ones. ``log`` names them all; ``home`` is where they count."""

    def __init__(self, *strikes: Strike, home: Path | None = None, quiet: bool = False) -> None:
        self.home = None if home is None else f"{home}/"
        self.quiet = quiet
        self.arm(*strikes)

    def arm(self, *strikes: Strike) -> None:
        """Begin to count anew, with these strikes."""
        self.strikes = strikes
        self.log: list[str] = []
        self.struck = 0
        self._lasting: list[Kind] = []

    def points(self, kind: Kind) -> list[int]:
        """The calls so far that this kind of fault can strike, by number; the first is 1."""
        return [at for at, name in enumerate(self.log, 1) if applies(kind, name)]

    def point(self, name: str) -> Kind | None:
        """One call is about to happen. Returns "torn" or "short" when it shall write half, raises what it fails
        with."""
        if self.quiet:
            return None
        self.log.append(name)
        for kind, at in self.strikes:
            if at == len(self.log) and applies(kind, name):
                self.struck += 1
                if kind in _STICKY:
                    self._lasting.append(kind)
                if kind == "kill":
                    os._exit(KILLED)
                if kind == "interrupt":
                    raise KeyboardInterrupt
                if kind in ("torn", "short"):
                    return kind
                raise OSError(_ERRORS[kind], f"injected into {name}")
        for kind in self._lasting:
            if applies(kind, name):
                raise OSError(_ERRORS[kind], f"injected into {name}")
        return None

    def ours(self, path: Any) -> bool:
        """Whether a call on this path counts. One on a handle, or below one, does: there are no others
        than those of the site."""
        if self.quiet:
            return False
        if self.home is None or isinstance(path, int):
            return True
        text = os.fsdecode(path)
        return not text.startswith("/") or text.startswith(self.home)

    def write(self, name: str, data: Any, write: Callable[[Any], int]) -> int:
        """Write ``data``, or only half of it."""
        fate = self.point(name)
        if fate is None:
            return write(data)
        view = memoryview(data).cast("B")
        written = write(view[: len(view) // 2]) if len(view) > 1 else 0
        if fate == "torn":
            os._exit(KILLED)
        if not written:
            raise OSError(errno.ENOSPC, f"injected into {name}")
        return written


@contextmanager
def injected(faults: Faults) -> Iterator[None]:
    """Let every call to the operating system pass through ``faults``. Flushing itself is skipped: nothing here cuts
    the power."""
    real_os_open, real_open, opened = os.open, io.open, _opener(faults)
    sync = updater.install.engine.sync_filesystem

    def os_open(path: Any, flags: int, *args: Any, **options: Any) -> int:
        if options.get("dir_fd") is not None or faults.ours(path):
            faults.point("os.open" if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) else "os.open to read")
        return real_os_open(path, flags, *args, **options)

    def any_open(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
        if not faults.ours(file):
            return real_open(file, mode, *args, **options)
        return opened(file, mode, *args, **options)

    def syncfs(path: Any) -> None:
        faults.point("syncfs")

    wrapped = {name: _wrap(faults, name) for name in (*_CHANGING, *_READING) if hasattr(os, name)}
    wrapped["open"] = os_open
    users = [m for m in list(sys.modules.values()) if getattr(m, "sync_filesystem", None) is sync]
    known_sets = (getattr(os, name) for name in dir(os) if name.startswith("supports_"))
    supports = [known for known in known_sets if isinstance(known, set)]
    with ExitStack() as patches:
        for known in supports:  # what shutil looks a function up in
            added = {call for name, call in wrapped.items() if getattr(os, name) in known}
            known.update(added)
            patches.callback(known.difference_update, added)
        patches.enter_context(mock.patch.multiple(os, **wrapped))
        patches.enter_context(mock.patch.object(io, "open", any_open))
        patches.enter_context(mock.patch.object(builtins, "open", any_open))
        for module in users:
            patches.enter_context(mock.patch.object(module, "sync_filesystem", syncfs))
        yield


def _wrap(faults: Faults, name: str) -> Callable[..., Any]:
    real = getattr(os, name)

    def call(path: Any = ".", *args: Any, **options: Any) -> Any:
        if options.get("dir_fd") is not None or faults.ours(path):
            faults.point(name)
        return real(path, *args, **options)

    def flush(handle: int) -> None:
        faults.point(name)

    def write(handle: int, data: Any, *args: Any) -> int:
        return faults.write(name, data, lambda part: real(handle, part, *args))

    def send(target: int, source: int, offset: int, count: int) -> int:
        fate = faults.point(name)
        sent = real(target, source, offset, count if fate is None else 1)
        if fate == "torn":
            os._exit(KILLED)
        return int(sent)

    return {"fsync": flush, "write": write, "pwrite": write, "sendfile": send}.get(name, call)


def _opener(faults: Faults) -> Callable[..., Any]:
    """`open`, whose files pass what they really read and write through ``faults``, with buffers above as always."""

    class Raw(io.FileIO):
        def write(self, data: Any) -> int:
            return faults.write("write", data, super().write)

        def readinto(self, buffer: Any) -> int:
            faults.point("read")
            return super().readinto(buffer)

        def readall(self) -> bytes:
            faults.point("read")
            return super().readall()

        def read(self, size: int | None = -1) -> bytes | None:
            faults.point("read")
            return super().read(-1 if size is None else size)

        def truncate(self, size: int | None = None) -> int:
            faults.point("ftruncate")
            return super().truncate(size)

    def opened(
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Any = None,
    ) -> Any:
        writing = bool(set(mode) & set("wax+"))
        if not isinstance(file, int):
            faults.point("open" if writing else "open to read")
        raw = Raw(file, mode.replace("t", "").replace("b", ""), closefd, opener)
        if buffering == 0:
            return raw
        buffered = io.BufferedRandom if "+" in mode else io.BufferedWriter if writing else io.BufferedReader
        binary = buffered(raw)
        return binary if "b" in mode else io.TextIOWrapper(binary, encoding, errors, newline)

    return opened
