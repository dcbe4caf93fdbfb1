"""Broken updaters that the power cuts must catch: each forgets one kind of flush, in the calling process."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import updater.site.files


def _forget_syncfs(*modules: str) -> None:
    """Whole flushes of the filesystem do nothing, in the modules of that name (without one: everywhere)."""
    real = updater.site.files.sync_filesystem
    for name, module in list(sys.modules.items()):
        if getattr(module, "sync_filesystem", None) is real and (not modules or name in modules):
            module.sync_filesystem = lambda path: None  # type: ignore[attr-defined]


def _forget_fsync(of: Callable[[int], bool]) -> None:
    """fsync does nothing, for the handles that ``of`` says."""
    real = os.fsync
    os.fsync = lambda handle: None if of(handle) else real(handle)  # type: ignore[assignment]


def no_flush() -> None:
    """Neither fsync nor syncfs."""
    _forget_syncfs()
    _forget_fsync(lambda handle: True)


def staged_files() -> None:
    """The staged files are never flushed: a whole flush of the filesystem does nothing."""
    _forget_syncfs()


def before_the_switch() -> None:
    """Staged files and backups are not flushed before the switch, only after it."""
    _forget_syncfs("updater.install.begin", "updater.install.engine")


def the_switch() -> None:
    """The switch and its undoing are not flushed before the journal goes on."""
    _forget_syncfs("updater.install.in_place", "updater.install.slots")


def journal() -> None:
    """The journal is not flushed."""
    _forget_fsync(lambda handle: "journal" in Path(os.readlink(f"/proc/self/fd/{handle}")).name)


def directories() -> None:
    """Renames and deletions are not flushed by their directory."""
    _forget_fsync(lambda handle: stat.S_ISDIR(os.fstat(handle).st_mode))


MUTANTS: dict[str, Callable[[], None]] = {
    "no flush at all": no_flush,
    "staged files not flushed": staged_files,
    "journal not flushed": journal,
    "no flush before the switch": before_the_switch,
    "no flush after the switch": the_switch,
    "directories not flushed": directories,
}
MUST_BE_CAUGHT = ("no flush at all", "staged files not flushed", "journal not flushed")
