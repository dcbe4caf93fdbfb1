"""Asking the disk what is there, and hearing when it does not answer (standard library only).

``os.path.lexists``, ``os.path.realpath`` and ``Path.rglob`` take a disk that fails, or a directory that may not be
read, for "nothing there"; so do ``Path.exists`` and its like in newer versions of Python. An update that believes that
deletes what it did not see.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

__all__ = ["entries_below", "exists", "is_directory", "is_symlink", "real_path"]


def exists(path: str | Path) -> bool:
    """Whether anything lies at ``path``, a symlink that leads nowhere included. Raises OSError when nobody can say."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def is_directory(path: str | Path, *, follow: bool = False) -> bool:
    """Whether a directory lies at ``path`` itself: not a symlink to one, but with ``follow``. Raises OSError when
    nobody can say."""
    try:
        return stat.S_ISDIR(os.stat(path, follow_symlinks=follow).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def is_symlink(path: str | Path) -> bool:
    """Whether a symlink lies at ``path``. Raises OSError when nobody can say."""
    try:
        return stat.S_ISLNK(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def real_path(path: Path) -> Path:
    """``path`` with every symlink on it resolved; it need not exist. Raises OSError when a part cannot be read."""
    try:
        return Path(os.path.realpath(path, strict=True))
    except FileNotFoundError:
        return Path(os.path.realpath(path))


def entries_below(root: Path) -> Iterator[Path]:
    """Everything below the directory ``root``, parents first; nothing when it is absent. Raises OSError."""
    if not exists(root):
        return
    for entry in sorted(os.scandir(root), key=lambda entry: entry.name):
        yield Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from entries_below(Path(entry.path))
