"""A copy of a site's files on which a release can be tried (standard library only).

Nothing in the copy is the same file as a live one: a command may write anything in place. What is copied is shared by
the filesystem where it can (reflinks). Three things are not copied:

- Python environments (folders with a ``pyvenv.cfg``) and ``node_modules`` become links: programs, not data;
- folders of the owner's with more than `MOST_DATA` bytes (uploads, say) become empty folders;
- symlinks that lead out of the site are left out: what is behind them would be the live one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from updater.frozen import frozen
from updater.site.files import make_directories

__all__ = ["MOST_DATA", "Source", "TreeCopy", "copy_tree", "link_programs", "list_tree"]

MOST_DATA = 256 * 2**20
"""Bytes of one folder that is not part of the release, above which it is left out."""

_REFLINK = 0x40049409  # FICLONE of linux/fs.h
_PROGRAMS = ("node_modules",)
_SKIPPED = ("__pycache__",)


@dataclass
class TreeCopy:
    """What was copied; ``linked`` and ``left_out`` are paths, the latter with a reason."""

    files: int = 0
    size: int = 0
    linked: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


@frozen
class Source:
    """A folder to copy. ``home`` is the site: links may lead anywhere in it. ``skip`` says which paths are not wanted;
    ``managed`` are folders that are never left out as a whole: those that hold files of the release."""

    path: Path
    home: Path
    skip: Callable[[str], bool]
    managed: frozenset[str]


def list_tree(source: Source, made: TreeCopy) -> tuple[list[str], int]:
    """The paths to copy, folders before what they hold, and the bytes of the files among them. Raises OSError."""
    paths = list(_walk(source, made))
    statuses = (os.lstat(source.path / path) for path in paths)
    return paths, sum(status.st_size for status in statuses if stat.S_ISREG(status.st_mode))


def copy_tree(source: Source, paths: Iterable[str], target: Path, made: TreeCopy) -> None:
    """Copy ``paths`` of ``source`` into ``target``, a folder that exists. Raises OSError."""
    home = Path(os.path.realpath(source.home))
    for path in paths:
        full, copy = source.path / path, target / path
        status = full.lstat()
        if stat.S_ISDIR(status.st_mode):
            make_directories(target, path, source.path)
        elif stat.S_ISLNK(status.st_mode):
            _copy_link(full, copy, path, home, made)
        elif stat.S_ISREG(status.st_mode):
            try:
                _copy_file(full, copy, status)
            except PermissionError:
                made.left_out[path] = "this user may not read it"
                continue
            made.files += 1
            made.size += status.st_size
        else:
            made.left_out[path] = "a device, socket or pipe"


def link_programs(source: Source, target: Path, made: TreeCopy) -> None:
    """Make the links to the folders of programs that `list_tree` found."""
    for path in made.linked:
        if os.path.lexists(source.path / path) and not os.path.lexists(target / path):
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            (target / path).symlink_to(source.path / path)


def _walk(source: Source, made: TreeCopy) -> Iterator[str]:
    """Paths below ``source``, folders before what they hold. Folders that are not copied are written down."""
    pending = [""]
    while pending:
        folder = pending.pop()
        for entry in sorted(os.scandir(source.path / folder), key=lambda entry: entry.name):
            path = f"{folder}/{entry.name}".lstrip("/")
            if source.skip(path) or entry.name in _SKIPPED:
                continue
            if not entry.is_dir(follow_symlinks=False):
                if entry.is_symlink() and _is_programs(Path(entry.path)):
                    made.linked.append(path)
                else:
                    yield path
                continue
            if _is_programs(Path(entry.path)):
                made.linked.append(path)
                continue
            yield path
            size = 0 if path in source.managed else _size(Path(entry.path))
            if size > MOST_DATA:
                made.left_out[path + "/"] = f"more than {MOST_DATA >> 20} MiB of the site's own data"
            else:
                pending.append(path)


def _is_programs(folder: Path) -> bool:
    return folder.is_dir() and (folder.name in _PROGRAMS or (folder / "pyvenv.cfg").is_file())


def _size(folder: Path) -> int:
    """Bytes of the files below a folder; more than `MOST_DATA` is not counted on."""
    total, pending = 0, [folder]
    while pending and total <= MOST_DATA:
        for entry in os.scandir(pending.pop()):
            if entry.is_dir(follow_symlinks=False):
                pending.append(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                total += entry.stat(follow_symlinks=False).st_size
    return total


def _copy_link(full: Path, copy: Path, path: str, home: Path, made: TreeCopy) -> None:
    """A link inside the site stays one; an absolute one into the site is made to lead into the copy."""
    text = os.readlink(full)
    leads_to = Path(os.path.realpath(full))
    if not leads_to.is_relative_to(home):
        made.left_out[path] = f"a link out of the site, to {text}"
    elif text.startswith("/"):
        inside = os.path.relpath(leads_to, os.path.realpath(full.parent))
        copy.symlink_to(inside)
    else:
        copy.symlink_to(text)


def _copy_file(full: Path, copy: Path, status: os.stat_result) -> None:
    with full.open("rb") as source, copy.open("xb") as target:
        try:
            fcntl.ioctl(target.fileno(), _REFLINK, source.fileno())
        except OSError:  # not on this filesystem: the bytes are copied
            shutil.copyfileobj(source, target, 1 << 20)
    os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
    if os.geteuid() == 0:
        os.chown(copy, status.st_uid, status.st_gid)
    copy.chmod(stat.S_IMODE(status.st_mode) | stat.S_IRUSR)
