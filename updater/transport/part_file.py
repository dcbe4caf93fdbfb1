"""The part of a file that is here already, on disk (standard library only)."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from updater.errors import LockedError

__all__ = ["PartFile", "alone_in", "useful_size"]


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold ``folder``, so that nobody else downloads into it: ``LockedError`` when somebody does, ``OSError``."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LockedError(
                f"Another process is downloading into {folder}.", hint="Wait until it has ended, then try again."
            ) from error
        yield
    finally:
        os.close(handle)


def useful_size(path: Path, most: int) -> int:
    """Bytes of the part at ``path`` that are of use; what cannot be a beginning of ``most`` bytes is removed."""
    try:
        info = path.lstat()
    except FileNotFoundError:
        return 0
    if stat.S_ISREG(info.st_mode) and info.st_size <= most:
        return info.st_size
    path.unlink()
    return 0


class PartFile:
    """An open part: ``with PartFile(path, start) as part``, then ``add`` what arrives from offset ``start`` on.

    ``size`` is how many bytes are there. What is sent again is compared instead of written: a server that ignores
    ranges, and fails before it comes to anything new, takes nothing away. From the first difference on, what was
    here is dropped.
    """

    def __init__(self, path: Path, start: int = 0) -> None:
        self._file = _open(path)
        self.size = os.fstat(self._file.fileno()).st_size
        self.position = start
        self._file.seek(start)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, data: bytes) -> None:
        """Take the next bytes. ``OSError`` when the disk does not."""
        known = max(0, min(len(data), self.size - self.position))
        if known and self._file.read(known) != data[:known]:
            self._file.seek(self.position)
            self._file.truncate()
            self.size, known = self.position, 0
        self._file.write(data[known:])
        self.position += len(data)
        self.size = max(self.size, self.position)

    def flush(self) -> None:
        """Make sure that it is on disk."""
        self._file.flush()
        os.fsync(self._file.fileno())


def _open(path: Path) -> BinaryIO:
    """Open for writing without truncating; never through a symbolic link someone put there."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    return os.fdopen(os.open(path, flags, 0o600), "r+b")
