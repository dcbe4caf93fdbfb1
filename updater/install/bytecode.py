"""Stale bytecode: CPython trusts a ``.pyc`` whose recorded source time and size match (PEP 552). An update that keeps
both would run the old code. Touched modules get a fresh time, and their compiled files go (standard library only).
"""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["compiled", "freshen", "purge_bytecode"]


def freshen(path: str | Path, now: float, previous_mtime: float) -> None:
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
    for cache, stems in _modules(tree, paths).items():
        if cache.is_symlink() or not cache.is_dir():
            continue
        try:
            _purge(cache, stems)
        except PermissionError:
            if strict:
                raise


def compiled(tree: Path, paths: Iterable[str]) -> list[Path]:
    """What `purge_bytecode` would remove: the compiled files that exist, sorted."""
    found = []
    for cache, stems in _modules(tree, paths).items():
        if not cache.is_symlink() and cache.is_dir() and os.access(cache, os.R_OK | os.X_OK):
            found += [Path(entry.path) for entry in os.scandir(cache) if _is_compiled(entry.name, stems)]
    return sorted(found)


def _modules(tree: Path, paths: Iterable[str]) -> dict[Path, set[str]]:
    """The names of the modules among ``paths``, by the directory that holds what was compiled from them."""
    modules: dict[Path, set[str]] = {}
    for path in paths:
        if path.endswith(".py"):
            full = tree / path
            modules.setdefault(full.parent / "__pycache__", set()).add(full.stem)
    return modules


def _is_compiled(name: str, stems: set[str]) -> bool:
    return name.endswith(".pyc") and name.split(".", 1)[0] in stems


def _purge(cache: Path, stems: set[str]) -> None:
    left = False
    for entry in list(os.scandir(cache)):
        if _is_compiled(entry.name, stems):
            Path(entry.path).unlink(missing_ok=True)
        else:
            left = True
    if not left:
        try:
            cache.rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                raise  # otherwise a process has just compiled something there
