"""Stale bytecode: CPython trusts a ``.pyc`` whose recorded source time and size match (PEP 552). An update that keeps
both would run the old code. Touched modules get a fresh time, and their compiled files go (standard library only).
"""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["freshen", "purge_bytecode"]


def freshen(path: Path, now: float, previous_mtime: float) -> None:
    """Give ``path`` a modification time (whole seconds since the epoch) that no compiled file can have recorded."""
    moment = max(math.floor(now), math.ceil(previous_mtime) + 2)
    try:
        os.utime(path, (moment, moment))
    except PermissionError:  # somebody else's file that we may write: only "now" is allowed
        os.utime(path)


def purge_bytecode(tree: Path, paths: Iterable[str], *, strict: bool = True) -> None:
    """Remove what Python compiled from the modules at ``paths``, and cache directories that are empty then.

    Not ``strict``: what this user may not remove stays (the way back must not fail for it; fresh times protect too).
    """
    modules: dict[Path, set[str]] = {}
    for path in paths:
        if path.endswith(".py"):
            full = tree / path
            modules.setdefault(full.parent / "__pycache__", set()).add(full.stem)
    for cache, stems in modules.items():
        if cache.is_symlink() or not cache.is_dir():
            continue
        try:
            _purge(cache, stems)
        except PermissionError:
            if strict:
                raise


def _purge(cache: Path, stems: set[str]) -> None:
    left = False
    for entry in list(os.scandir(cache)):
        if entry.name.endswith(".pyc") and entry.name.split(".", 1)[0] in stems:
            Path(entry.path).unlink(missing_ok=True)
        else:
            left = True
    if not left:
        try:
            cache.rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                raise  # otherwise a process has just compiled something there
