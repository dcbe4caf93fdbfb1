"""Copying one small tree thousands of times: it is read once and kept in memory."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Frozen:
    """A tree as it was: directories, files with their contents, symlinks, and which names are one file."""

    folders: list[tuple[str, os.stat_result]] = field(default_factory=list)
    files: list[tuple[str, os.stat_result, bytes]] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)
    symlinks: list[tuple[str, os.stat_result, str]] = field(default_factory=list)
    attributes: list[tuple[str, str, bytes]] = field(default_factory=list)

    @classmethod
    def of(cls, root: Path) -> Frozen:
        """Read everything below ``root``, and its own status."""
        frozen, seen = cls(), dict[int, str]()
        frozen.folders.append(("", root.lstat()))
        frozen._read_attributes(str(root), "")
        frozen._read(str(root), "", seen)
        return frozen

    def _read(self, root: str, folder: str, seen: dict[int, str]) -> None:
        for entry in sorted(os.scandir(f"{root}/{folder}"), key=lambda entry: entry.name):
            name = f"{folder}/{entry.name}".lstrip("/")
            status = entry.stat(follow_symlinks=False)
            self._read_attributes(root, name)
            if stat.S_ISDIR(status.st_mode):
                self.folders.append((name, status))
                self._read(root, name, seen)
            elif stat.S_ISLNK(status.st_mode):
                self.symlinks.append((name, status, os.readlink(f"{root}/{name}")))
            elif status.st_nlink > 1 and status.st_ino in seen:
                self.links.append((name, seen[status.st_ino]))
            else:
                seen[status.st_ino] = name
                self.files.append((name, status, Path(root, name).read_bytes()))

    def _read_attributes(self, root: str, name: str) -> None:
        path = f"{root}/{name}"
        for attribute in os.listxattr(path, follow_symlinks=False):
            self.attributes.append((name, attribute, os.getxattr(path, attribute, follow_symlinks=False)))

    def thaw(self, root: Path) -> None:
        """Write it all to ``root``, which must not exist: modes, times, owners, attributes and hard links
        included."""
        here = str(root)
        for name, status in self.folders:
            os.mkdir(f"{here}/{name}")
            _own(f"{here}/{name}", status)
        for name, status, data in self.files:
            handle = os.open(f"{here}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IMODE(status.st_mode))
            if data:
                os.write(handle, data)
            _own(handle, status)
            os.close(handle)
        for name, other in self.links:
            os.link(f"{here}/{other}", f"{here}/{name}")
        for name, status, target in self.symlinks:
            os.symlink(target, f"{here}/{name}")
            if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                os.chown(f"{here}/{name}", status.st_uid, status.st_gid, follow_symlinks=False)
            os.utime(f"{here}/{name}", ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)
        for name, attribute, value in self.attributes:
            os.setxattr(f"{here}/{name}", attribute, value, follow_symlinks=False)
        for name, status in reversed(self.folders):
            os.utime(f"{here}/{name}", ns=(status.st_atime_ns, status.st_mtime_ns))


def _own(target: str | int, status: os.stat_result) -> None:
    if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
        os.chown(target, status.st_uid, status.st_gid)
    os.chmod(target, stat.S_IMODE(status.st_mode))
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def erase(root: Path) -> None:
    """Remove a tree, quickly; absent is fine."""
    try:
        _erase(str(root))
    except FileNotFoundError:
        return


def _erase(folder: str) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _erase(entry.path)
            else:
                os.unlink(entry.path)
    os.rmdir(folder)
