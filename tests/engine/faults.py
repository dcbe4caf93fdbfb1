"""Striking at the N-th change to the disk: the process dies, or the call fails."""

from __future__ import annotations

import builtins
import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal
from unittest import mock

import updater.install.engine

Kind = Literal["count", "kill", "error", "full", "interrupt"]
KILLED = 9

_NEEDS_SPACE = {"open", "os.open", "mkdir", "symlink", "link", "ftruncate", "pwrite", "write", "sql"}
_NEEDS_SPACE |= {"setxattr", "posix_fallocate"}
_CALLS = ("replace", "rename", "link", "symlink", "unlink", "remove", "rmdir", "mkdir", "chmod", "chown", "utime")
_CALLS += ("fsync", "ftruncate", "pwrite", "write", "setxattr", "removexattr", "posix_fallocate", "mknod")


class Faults:
    """Counts changes; ``kind`` says what happens from the ``at``-th on: count: nothing; kill: the process ends there;
    error: that one call fails; full: every call that needs space fails from there on; interrupt: Ctrl-C just then."""

    def __init__(self, kind: Kind = "count", at: int = 0) -> None:
        self.kind = kind
        self.at = at
        self.count = 0
        self.log: list[str] = []
        self.quiet = False

    def point(self, name: str) -> None:
        """One change is about to happen."""
        if self.quiet:
            return
        self.count += 1
        self.log.append(name)
        if self.kind == "kill" and self.count == self.at:
            os._exit(KILLED)
        if self.kind == "error" and self.count == self.at:
            raise OSError(errno.EIO, f"injected into {name}")
        if self.kind == "interrupt" and self.count == self.at:
            raise KeyboardInterrupt
        if self.kind == "full" and self.count >= self.at and name in _NEEDS_SPACE:
            raise OSError(errno.ENOSPC, f"injected into {name}")


@contextmanager
def injected(faults: Faults) -> Iterator[None]:
    """Let every change to the disk pass through ``faults``. Flushing itself is skipped: nothing here cuts the power."""
    with mock.patch.multiple(os, **{name: _wrap(faults, name) for name in _CALLS}):
        real_os_open, real_open = os.open, io.open
        sync = updater.install.engine.sync_filesystem

        def os_open(path: Any, flags: int, *args: Any, **options: Any) -> int:
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                faults.point("os.open")
            return real_os_open(path, flags, *args, **options)

        def any_open(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
            if set(mode) & set("wax+") and not isinstance(file, int):
                faults.point("open")
            return real_open(file, mode, *args, **options)

        def syncfs(path: Any) -> None:
            faults.point("syncfs")

        users = [m for m in list(sys.modules.values()) if getattr(m, "sync_filesystem", None) is sync]
        with ExitStack() as patches:
            patches.enter_context(mock.patch.object(os, "open", os_open))
            patches.enter_context(mock.patch.object(io, "open", any_open))
            patches.enter_context(mock.patch.object(builtins, "open", any_open))
            for module in users:
                patches.enter_context(mock.patch.object(module, "sync_filesystem", syncfs))
            yield


def _wrap(faults: Faults, name: str) -> Callable[..., Any]:
    real = getattr(os, name)

    def call(*args: Any, **options: Any) -> Any:
        faults.point(name)
        return None if name == "fsync" else real(*args, **options)

    return call
