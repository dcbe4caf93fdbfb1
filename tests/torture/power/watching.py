"""Watching the updater in a process of its own: where it stands, and every change that it is about to make."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from updater.errors import UpdaterError
from updater.install.journal import Journal, State

Mark = Callable[[str], object]

_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.chown"}
_CHANGES |= {"os.utime", "os.truncate", "sqlite3.connect", "subprocess.Popen"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def watch(mark: Mark, point: Callable[[], object]) -> None:
    """From now on, in this process: tell ``mark`` before and after every record of the journal, and call ``point``
    before every change to the disk and every flush."""
    begin, append, fsync = Journal.begin, Journal.append, os.fsync
    busy = False

    def reached() -> None:
        nonlocal busy
        if not busy:
            busy = True
            point()
            busy = False

    def hook(event: str, words: tuple[Any, ...]) -> None:
        changes = event in _CHANGES or (event == "open" and isinstance(words[2], int) and words[2] & _WRITES)
        if changes or (event == "ctypes.dlsym" and words[1] == "syncfs"):
            reached()

    def beginning(self: Journal, name: str, **details: Any) -> None:
        mark(f"before {State.PREPARED}")
        begin(self, name, **details)
        mark(f"after {State.PREPARED}")

    def appending(self: Journal, name: str, state: State, **details: Any) -> None:
        mark(f"before {state}")
        append(self, name, state, **details)
        mark(f"after {state}")

    def flushing(handle: int) -> None:
        reached()
        fsync(handle)

    Journal.begin, Journal.append = beginning, appending  # type: ignore[method-assign]
    os.fsync = flushing  # type: ignore[assignment]
    sys.addaudithook(hook)


def marker(path: Path) -> Mark:
    """Marks go to that file, one write each."""
    handle = os.open(path, os.O_WRONLY)
    return lambda text: os.pwrite(handle, text.encode(), 0)


def bystander(path: Path, every: int) -> Callable[[], None]:
    """Somebody else on the same filesystem who flushes a file of their own at every so manieth point: it makes a
    filesystem write down whatever it happens to hold, half of an update included."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    fsync, count = os.fsync, 0

    def point() -> None:
        nonlocal count
        count += 1
        if count % every == 0:
            os.write(handle, b"somebody else was here\n")
            fsync(handle)

    return point


def ended(run: Callable[[], object]) -> str:
    """How a run ended: "done", or the name of its error."""
    try:
        run()
    except (UpdaterError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    return "done"
