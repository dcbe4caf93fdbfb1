"""What would keep an update from touching a path: rights, flags, mounts (standard library only).

Everything that an update renames, replaces or removes is looked at before anything is changed. Each obstacle is one
sentence that names the path and, where there is one, the command that clears it.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from updater.install.bytecode import compiled
from updater.install.room import walk
from updater.install.shared import inside, shared_names
from updater.install.transaction import Transaction
from updater.install.volumes import mount_points, volume_of
from updater.site.looking import exists
from updater.site.platform import command_to_unlock, flags_of, is_root
from updater.site.site import Site

__all__ = ["existing", "obstacles", "unwritable"]


def obstacles(site: Site, transaction: Transaction, tree: Path) -> list[str]:
    """What would keep this transaction from being carried through; empty when nothing would. Raises OSError."""
    if transaction.layout == "in-place":
        return unwritable(tree, site.directory, [change.path for change in transaction.changes])
    found = list(_of_folder(site.path)) + list(_of_folder(existing(site.releases)))
    if site.shared.is_dir() or shared_names(transaction.preserve):
        found += _of_folder(existing(site.shared))
    if exists(site.current):
        found += _of_entry(site.current, mount_points())
    if transaction.old_slot is not None:
        found += _in_old_slot(site, transaction, tree)
    return list(dict.fromkeys(found))


def unwritable(tree: Path, state: Path, paths: Iterable[str]) -> list[str]:
    """Sentences about ``paths`` below ``tree`` which this process could not rename files to, or from there away.

    ``state`` is the directory that they would come from. Raises OSError.
    """
    wanted = sorted(set(paths))
    mounts, known = mount_points(), dict[str, str | None]()
    folders = {(tree / path).parent for path in wanted}
    folders |= {tree / path / "__pycache__" for path in _folders_of_modules(wanted)}
    found: list[str] = []
    for folder in sorted({existing(folder) for folder in folders}):
        found += _of_folder(folder)
    for name in sorted({volume_of(tree, state, path.rpartition("/")[0], known) or "" for path in wanted}):
        if volume_of(tree, state, name, known) is not None:  # holds the hidden directory of `updater.install.volumes`
            found += _of_folder(tree / name)
    for name in wanted:  # also a btrfs subvolume, which is no mount point
        if name and volume_of(tree, state, name, known) == name:
            found.append(
                f"{tree / name} is a filesystem of its own, where the release has a file: {_umount(tree / name)}"
            )
    links: dict[Path, bool] = {tree: False}
    for path in (*(tree / name for name in wanted), *compiled(tree, wanted)):
        if exists(path) and not _is_link(path.parent, links):
            found += _of_entry(path, mounts)
    return list(dict.fromkeys(found))


def existing(path: Path) -> Path:
    """``path``, or the nearest directory above it."""
    while not path.is_dir():
        path = path.parent
    return path


def _folders_of_modules(paths: Iterable[str]) -> set[str]:
    return {path.rpartition("/")[0] for path in paths if path.endswith(".py")}


def _is_link(folder: Path, known: dict[Path, bool]) -> bool:
    """Whether a folder of the tree, or one above it, is a symlink: what lies behind it is not the tree's, and never
    touched. ``known`` holds the tree itself, and remembers."""
    if folder not in known:
        known[folder] = _is_link(folder.parent, known) or folder.is_symlink()
    return known[folder]


def _of_folder(folder: Path) -> Iterator[str]:
    """Whether names can be made, renamed and removed in a directory."""
    if flags := flags_of(folder):
        yield _flagged(folder, flags)
    elif _is_read_only(folder):
        yield f"{folder} is on a filesystem that is mounted read-only: mount -o remount,rw {_mount_of(folder)}"
    elif not os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        own = not is_root() and hasattr(os, "geteuid") and folder.stat().st_uid == os.geteuid()
        yield f"{folder} is not writable for this user" + (f": chmod u+wx {shlex.quote(str(folder))}" if own else "")


def _is_read_only(folder: Path) -> bool:
    return hasattr(os, "statvfs") and bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def _mount_of(folder: Path) -> str:
    while not folder.is_mount():
        folder = folder.parent
    return shlex.quote(str(folder))


def _of_entry(path: Path, mounts: frozenset[str]) -> Iterator[str]:
    """Whether a file (or what stands in its place) can be renamed over or removed, given that its directory can be
    written to."""
    status = path.lstat()
    directory = stat.S_ISDIR(status.st_mode)
    if not directory and _is_mounted(path, mounts):
        yield f"{path} is a mount point, which cannot be replaced: {_umount(path)}"
    elif not directory and (flags := flags_of(path)):
        yield _flagged(path, flags)
    elif not is_root() and hasattr(os, "geteuid"):
        parent = path.parent.stat()
        if parent.st_mode & stat.S_ISVTX and os.geteuid() not in (status.st_uid, parent.st_uid):
            yield (
                f"{path} belongs to another user, and in a sticky directory only its owner may replace it: "
                f"chown {os.geteuid()} {shlex.quote(str(path))} (as root)"
            )


def _is_mounted(path: Path, mounts: frozenset[str]) -> bool:
    alike = path.name in _last_names(mounts)  # mostly not, and then nothing has to be resolved
    return alike and str(Path(os.path.realpath(path.parent), path.name)) in mounts


@lru_cache(maxsize=1)
def _last_names(mounts: frozenset[str]) -> frozenset[str]:
    return frozenset(mount.rpartition("/")[2] for mount in mounts)


def _umount(path: Path) -> str:
    return f"umount {shlex.quote(str(path))}"


def _flagged(path: Path, flags: frozenset[str]) -> str:
    return f"{path} is {' and '.join(sorted(flags, reverse=True))}: {command_to_unlock(path, flags)}"


def _in_old_slot(site: Site, transaction: Transaction, old: Path) -> Iterator[str]:
    """What could not be taken along into the new slot."""
    real = os.path.realpath(old)
    for mount in sorted(mount_points()):
        if mount.startswith(real + os.sep):
            yield (
                f"{mount} is a mount point inside the current release, which the next one would not have: "
                f"umount {shlex.quote(mount)}, and mount it below {site.shared}"
            )
    if is_root():
        return
    names = shared_names(transaction.preserve)
    for entry in walk(old):
        path = old / entry
        if inside(entry.rstrip("/"), names) or path.is_symlink():
            continue
        if not os.access(path, os.R_OK | (os.X_OK if entry.endswith("/") else 0)):
            yield f"{path} cannot be read by this user, and belongs into the next release as well"
