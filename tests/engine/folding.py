"""A filesystem that takes names for one another: a FUSE process that passes everything on to a directory below.

``python folding.py BELOW PLACE`` finds ``Readme.md`` under ``README.md``, and ``é`` in whatever normal form it is asked
for; ``--decompose`` also stores names in normal form D, as HFS+ does. Like others of its kind, it keeps the name that a
file was made with, and renaming onto a name that exists keeps the old spelling.
"""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.require import strict


@contextmanager
def folding(below: Path, place: Path, *, decompose: bool = False) -> Iterator[Path]:
    """Mount it; skips loudly where there is no FUSE."""
    for folder in (below, place):
        folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.engine.folding", str(below), str(place)]
    with subprocess.Popen(
        [*command, *(["--decompose"] if decompose else [])],
        cwd=Path(__file__).parents[2],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            deadline = time.monotonic() + 20
            while process.poll() is None and not place.is_mount():
                assert time.monotonic() < deadline, "the filesystem did not appear"
                time.sleep(0.02)
            if process.poll() is not None:
                assert process.stderr is not None
                _missing(process.stderr.read().strip().rpartition("\n")[2])
            yield place
        finally:
            subprocess.run(["umount", "--lazy", str(place)], check=False, capture_output=True)
            process.terminate()


def _missing(why: str) -> None:
    message = f"REQUIRED PROGRAM MISSING: FUSE (install the package 'fuse3', run as root): {why}"
    if strict():
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def _operations(below: str, *, decompose: bool) -> Any:
    from mfusepy import FuseOSError, Operations

    class Folding(Operations):  # type: ignore[misc, unused-ignore]
        use_ns = True

        def real(self, path: str) -> str:
            """Where ``path`` lies below: by its name as listed, else as it is given."""
            full = below
            for part in filter(None, path.split("/")):
                full = os.path.join(full, self.listed(full, part))
            return full

        def listed(self, folder: str, name: str) -> str:
            with contextlib.suppress(OSError):
                for entry in os.listdir(folder):
                    if _key(entry) == _key(name):
                        return entry
            return unicodedata.normalize("NFD", name) if decompose else name

        def getattr(self, path: str, fh: Any = None) -> dict[str, Any]:
            status = os.lstat(self.real(path))
            names = ("st_mode", "st_ino", "st_nlink", "st_uid", "st_gid", "st_size", "st_blocks")
            times = {f"st_{kind}time": getattr(status, f"st_{kind}time_ns") for kind in "amc"}
            return {name: getattr(status, name) for name in names} | times

        def readdir(self, path: str, fh: Any) -> list[tuple[str, dict[str, int], int]]:
            real = self.real(path)
            statuses = {name: os.lstat(os.path.join(real, name)) for name in (".", "..", *os.listdir(real))}
            # without an inode number, the C library takes an entry for a removed one
            return [(name, {"st_ino": s.st_ino, "st_mode": s.st_mode}, 0) for name, s in statuses.items()]

        def rename(self, old: str, new: str) -> None:
            source, target = self.real(old), self.real(new)
            if source == target:  # the spelling changes
                name = os.path.basename(new)
                target = os.path.join(os.path.dirname(source), name)
            os.rename(source, target)

        def access(self, path: str, amode: int) -> int:
            if not os.access(self.real(path), amode):
                raise FuseOSError(errno.EACCES)
            return 0

        def chmod(self, path: str, mode: int) -> int:
            os.chmod(self.real(path), mode)
            return 0

        def chown(self, path: str, uid: int, gid: int) -> int:
            os.chown(self.real(path), uid if uid < 2**31 else -1, gid if gid < 2**31 else -1, follow_symlinks=False)
            return 0

        def create(self, path: str, mode: int, fi: Any = None) -> int:
            return os.open(self.real(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

        def open(self, path: str, flags: int) -> int:
            return os.open(self.real(path), flags & ~os.O_CREAT)

        def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
            return os.pread(fh, size, offset)

        def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
            return os.pwrite(fh, data, offset)

        def truncate(self, path: str, length: int, fh: int | None = None) -> int:
            os.truncate(self.real(path), length)
            return 0

        def release(self, path: str, fh: int) -> int:
            os.close(fh)
            return 0

        def link(self, target: str, source: str) -> int:
            os.link(self.real(source), self.real(target), follow_symlinks=False)
            return 0

        def symlink(self, target: str, source: str) -> int:
            os.symlink(source, self.real(target))
            return 0

        def readlink(self, path: str) -> str:
            return os.readlink(self.real(path))

        def mkdir(self, path: str, mode: int) -> int:
            os.mkdir(self.real(path), mode)
            return 0

        def rmdir(self, path: str) -> int:
            os.rmdir(self.real(path))
            return 0

        def unlink(self, path: str) -> int:
            os.unlink(self.real(path))
            return 0

        def utimens(self, path: str, times: Any = None) -> int:
            os.utime(self.real(path), ns=times)
            return 0

        def statfs(self, path: str) -> dict[str, int]:
            found = os.statvfs(below)
            return {name: getattr(found, name) for name in dir(found) if name.startswith("f_") and name != "f_fsid"}

    return Folding()


def main() -> None:
    from mfusepy import FUSE

    below, place, *rest = sys.argv[1:]
    operations = _operations(below, decompose=rest == ["--decompose"])
    FUSE(
        operations,
        place,
        foreground=True,
        nothreads=True,
        use_ino=True,
        attr_timeout=0,
        entry_timeout=0,
        negative_timeout=0,
    )


if __name__ == "__main__":
    main()
