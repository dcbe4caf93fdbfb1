"""A disk that remembers: a FUSE program whose one file, ``disk``, logs every write and every flush.

    python -m tests.torture.power.log_disk MOUNT DISK LOG

``MOUNT/disk`` is the file DISK, for a loop device to sit on. Whatever is written to ``MOUNT/marks`` is logged between
the writes: where the program that is watched stands. One request is served at a time, in the order of their arrival.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.torture.power.mounting import die_with_parent, leave_mount, own_mounts, unmount

Kind = Literal["write", "flush", "mark"]
ROOT = Path(__file__).resolve().parents[3]
_HEADER = struct.Struct("=cQI")
_KINDS: dict[bytes, Kind] = {b"W": "write", b"F": "flush", b"M": "mark"}


@dataclass(frozen=True)
class Entry:
    """One request: a write of ``data`` at ``offset``, a flush of all that was before, a mark (``data``: its text)."""

    kind: Kind
    offset: int = 0
    data: bytes = b""

    @property
    def text(self) -> str:
        return self.data.decode()


def read_log(path: Path) -> list[Entry]:
    """The requests, in order."""
    data = path.read_bytes()
    found, at = [], 0
    while at < len(data):
        kind, offset, length = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        found.append(Entry(_KINDS[kind], offset, data[at : at + length]))
        at += length
    return found


@contextmanager
def log_disk(mount: Path, disk: Path, log: Path) -> Iterator[Path]:
    """Run the program over the file ``disk``; the path of the file to use. The log is whole when it has ended."""
    mount.mkdir(exist_ok=True)
    command = [sys.executable, "-m", __name__, str(mount), str(disk), str(log), str(os.getpid())]
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        deadline = time.monotonic() + 20
        while not (mount / "disk").exists():
            if running.poll() is not None or time.monotonic() > deadline:
                running.kill()
                raise OSError(errno.EIO, f"the logging disk did not start: {running.communicate()[0][-2000:]}")
            time.sleep(0.01)
        try:
            yield mount / "disk"
        finally:
            unmount(mount)
            running.wait(20)
    finally:
        if running.poll() is None:
            running.kill()
        running.communicate()


def main(mount: str, disk: str, log: str, parent: str) -> None:
    """Serve until it is unmounted."""
    import mfusepy  # finds libfuse when it is imported

    die_with_parent(int(parent))

    class LogDisk(mfusepy.Operations):  # type: ignore[misc]
        use_ns = True

        def __init__(self) -> None:
            self.disk = os.open(disk, os.O_RDWR)
            self.size = os.fstat(self.disk).st_size
            self.log = open(log, "wb")  # noqa: SIM115 - closed in destroy

        def init(self, path: str) -> None:
            """Keep no hold on the filesystem above: were this process the last one to die, that filesystem would be
            flushed in its exit, to a disk that serves no one any more, and both would wait for each other for ever."""
            own_mounts()
            leave_mount(Path(mount))

        def note(self, kind: bytes, offset: int = 0, data: bytes = b"") -> None:
            self.log.write(_HEADER.pack(kind, offset, len(data)) + data)

        def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
            if path == "/":
                return {"st_mode": stat.S_IFDIR | 0o700, "st_nlink": 2}
            if path not in ("/disk", "/marks"):
                raise mfusepy.FuseOSError(errno.ENOENT)
            return {"st_mode": stat.S_IFREG | 0o600, "st_nlink": 1, "st_size": self.size if path == "/disk" else 0}

        def open(self, path: str, flags: int) -> int:
            return 0

        def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
            return os.pread(self.disk, size, offset) if path == "/disk" else b""

        def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
            if path == "/disk":
                self.note(b"W", offset, data)
                return os.pwrite(self.disk, data, offset)
            self.note(b"M", 0, data)
            return len(data)

        def fsync(self, path: str, datasync: int, fh: int) -> int:
            self.note(b"F")
            return 0

        def destroy(self, path: str) -> None:
            self.log.close()

    mfusepy.FUSE(LogDisk(), mount, foreground=True, nothreads=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
