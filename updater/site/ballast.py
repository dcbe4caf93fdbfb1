"""Space put aside while there is some, and given up first when an update has to be undone (standard library only).

A disk that fills up while an update runs must not keep it from going back: renames need a little room on filesystems
that copy on write, the journal needs some, and SQLite needs as much as the database to write it back.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from updater.site import platform
from updater.site.files import fsync_directory
from updater.site.site import Site

__all__ = ["LEAST", "ballast_size", "drop_ballast", "drop_ballast_at", "make_ballast", "make_ballast_at"]

LEAST = 4 * 2**20
"""Bytes that are always put aside: measured to be enough for renames on full btrfs and xfs."""

_CANNOT = (errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


def ballast_size(database: int) -> int:
    """Bytes to put aside, given what writing the database back may need."""
    return LEAST + database


def make_ballast(site: Site, size: int) -> None:
    """Put ``size`` bytes aside in ``.updater/ballast``, on the disk when this returns. Raises OSError (ENOSPC)."""
    make_ballast_at(site.ballast, size)


def drop_ballast(site: Site) -> None:
    """Give the space up; nothing happens when there is none. Raises OSError."""
    drop_ballast_at(site.ballast)


def make_ballast_at(path: Path, size: int) -> None:
    """`make_ballast` at any place. What is there already is replaced."""
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        if not _reserve(handle, size):
            _write(handle, size)
        platform.flush(handle)
    finally:
        os.close(handle)
    fsync_directory(path.parent)


def drop_ballast_at(path: Path) -> None:
    """`drop_ballast` at any place."""
    path.unlink(missing_ok=True)


def _reserve(handle: int, size: int) -> bool:
    """Whether the filesystem could set real blocks aside without their being written."""
    if not hasattr(os, "posix_fallocate"):
        return False
    try:
        os.posix_fallocate(handle, 0, size)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        return False
    return True


def _write(handle: int, size: int) -> None:
    """Random bytes: a filesystem that compresses would keep no room for zeros."""
    while size > 0:
        size -= os.write(handle, os.urandom(min(size, 2**20)))
