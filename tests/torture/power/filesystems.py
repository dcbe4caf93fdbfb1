"""The filesystems that a power cut is tried on, as small as each can be made."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.require import require
from tests.torture.power.mounting import mounted

_BLOCK = 4096


@dataclass(frozen=True)
class Filesystem:
    """``kind`` is what mount(2) calls it, ``size`` is in bytes, ``sector`` is what a disk writes whole.

    ``package`` is what brings ``mkfs``. ``shuts_down``: it knows the ioctl that cuts the power.
    """

    name: str
    kind: str
    size: int
    mkfs: tuple[str, ...]
    package: str
    options: str = ""
    sector: int = 512
    shuts_down: bool = True

    def require(self) -> None:
        """Skip the calling test where the filesystem cannot be made; fail it under CI."""
        require(self.mkfs[0], self.package)

    def make(self, image: Path) -> None:
        """Write a fresh filesystem into the file ``image``."""
        image.unlink(missing_ok=True)
        with image.open("wb") as file:
            file.truncate(self.size)
        path = os.environ["PATH"] + ":/usr/sbin:/sbin"
        program = shutil.which(self.mkfs[0], path=path)
        assert program is not None
        done = subprocess.run([program, *self.mkfs[1:], str(image)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        _make_sparse(image)

    @contextmanager
    def mounted(self, image: Path, target: Path) -> Iterator[Path]:
        """See `mounting.mounted`."""
        with mounted(image, target, self.kind, self.options):
            yield target


def _make_sparse(image: Path) -> None:
    """Take the zeros out (XFS writes 64 MB of them): the file is copied for every image."""
    sparse = image.with_suffix(".sparse")
    with image.open("rb") as source, sparse.open("wb") as out:
        while block := source.read(_BLOCK):
            if block.strip(b"\0"):
                out.write(block)
            else:
                out.seek(len(block), os.SEEK_CUR)
        out.truncate(image.stat().st_size)
    os.replace(sparse, image)


def copy_sparse(source: Path, target: Path) -> None:
    """Copy a file without filling its holes."""
    target.unlink(missing_ok=True)
    with source.open("rb", buffering=0) as old, target.open("wb", buffering=0) as new:
        size = os.fstat(old.fileno()).st_size
        new.truncate(size)
        end = 0
        while True:
            try:
                start = os.lseek(old.fileno(), end, os.SEEK_DATA)
            except OSError:  # nothing but a hole is left
                return
            end = os.lseek(old.fileno(), start, os.SEEK_HOLE)
            os.pwrite(new.fileno(), os.pread(old.fileno(), end - start, start), start)


_MKFS_EXT4 = ("mkfs.ext4", "-q", "-F", "-b", "4096", "-N", "2048", "-J", "size=4")
_MKFS_EXT4 += ("-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard")

EXT4 = Filesystem("ext4", "ext4", 32 << 20, _MKFS_EXT4, "e2fsprogs")
WRITEBACK = Filesystem(
    "ext4 data=writeback,noauto_da_alloc", "ext4", 32 << 20, _MKFS_EXT4, "e2fsprogs", "data=writeback,noauto_da_alloc"
)
XFS = Filesystem("xfs", "xfs", 320 << 20, ("mkfs.xfs", "-q", "-f", "-K"), "xfsprogs", "nouuid")
BTRFS = Filesystem(
    "btrfs",
    "btrfs",
    128 << 20,
    ("mkfs.btrfs", "-q", "-f", "-K"),
    "btrfs-progs",
    "nodiscard",
    sector=4096,
    shuts_down=False,
)
FILESYSTEMS = (EXT4, WRITEBACK, XFS, BTRFS)
