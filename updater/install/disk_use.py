"""What restore points really take of the disk: a hard link to a live file costs nothing (standard library only)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from updater.frozen import frozen
from updater.install.restore_points import RestorePoint
from updater.site.site import Site

__all__ = ["DiskUse", "disk_use"]

_BLOCK = 512  # bytes of st_blocks, whatever the filesystem's own block size is


@frozen
class DiskUse:
    """Of one restore point, in bytes. ``size``: of its files, each name counted. ``used``: what it adds to the disk,
    without what is the same file as a live one; what several restore points share is counted once, in the newest."""

    size: int
    used: int


def disk_use(site: Site, points: Sequence[RestorePoint]) -> dict[str, DiskUse]:
    """The disk use of each point, by id. ``points`` are all of the site. Raises OSError."""
    current = Path(os.path.realpath(site.current))
    newest_first = sorted(points, key=lambda point: point.id, reverse=True)
    slots: dict[str, Path] = {}
    for point in newest_first:
        slot = site.releases / str(point.slot)
        if point.slot is not None and slot != current and slot not in slots.values():
            slots[point.id] = slot
    files = {
        point.id: [
            status
            for root in (point.directory, *([slots[point.id]] if point.id in slots else []))
            for status in _files(root)
        ]
        for point in newest_first
    }
    links: dict[tuple[int, int], int] = {}
    for status in (status for found in files.values() for status in found):
        key = (status.st_dev, status.st_ino)
        links[key] = links.get(key, 0) + 1
    counted: set[tuple[int, int]] = set()
    result = {}
    for point in newest_first:
        used = 0
        for status in files[point.id]:
            key = (status.st_dev, status.st_ino)
            if key not in counted and links[key] >= status.st_nlink:
                counted.add(key)
                used += min(status.st_size, status.st_blocks * _BLOCK)  # a sparse file takes less than it shows
        result[point.id] = DiskUse(sum(status.st_size for status in files[point.id]), used)
    return result


def _files(root: Path) -> Iterator[os.stat_result]:
    """Every regular file below ``root``; symlinks are not followed."""
    if not root.is_dir() or root.is_symlink():
        return
    for entry in os.scandir(root):
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        elif stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
            yield entry.stat(follow_symlinks=False)
