"""Stale bytecode: CPython trusts a ``.pyc`` whose recorded source time and size match (PEP 552). An update that keeps
both would run the old code. Touched modules get a fresh time, and their compiled files go (standard library only).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["freshen", "purge_bytecode"]


def freshen(path: Path, now: float, previous_mtime: float) -> None:
    """Give ``path`` a modification time (whole seconds since the epoch) that no compiled file can have recorded."""
    moment = max(math.floor(now), math.ceil(previous_mtime) + 2)
    os.utime(path, (moment, moment))


def purge_bytecode(tree: Path, paths: Iterable[str]) -> None:
    """Remove what Python compiled from the modules at ``paths``, and cache directories that are empty then."""
    modules: dict[Path, set[str]] = {}
    for path in paths:
        if path.endswith(".py"):
            full = tree / path
            modules.setdefault(full.parent / "__pycache__", set()).add(full.stem)
    for cache, stems in modules.items():
        if cache.is_symlink() or not cache.is_dir():
            continue
        left = False
        for entry in list(os.scandir(cache)):
            if entry.name.endswith(".pyc") and entry.name.split(".", 1)[0] in stems:
                Path(entry.path).unlink(missing_ok=True)
            else:
                left = True
        if not left:
            cache.rmdir()
