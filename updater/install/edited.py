"""The copies of files that the owner edited and an update replaced, and how one comes back (standard library only).

They lie in ``backups/<id>/edited/`` and outlive their restore point. ``<path>.during-update`` is what somebody wrote to
a path while an update of it failed.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from updater.errors import BlockedError, StateError
from updater.frozen import frozen
from updater.install.bytecode import freshen, purge_bytecode
from updater.install.transaction import new_id, newest_id
from updater.site import platform
from updater.site.files import copy_file, fsync_directory, make_directories, make_private_directory
from updater.site.looking import exists
from updater.site.site import Layout, Site

__all__ = ["EditedFile", "RestoredFile", "find_edited", "list_edited", "restore_edited"]

DURING_UPDATE = ".during-update"
_ID = re.compile(r"\d{8}-\d{6}-\d{6}")


@frozen
class EditedFile:
    """One kept copy. ``path`` is where it came from, below the app's files (with slots also ``shared/…``); ``kept``
    when that was; ``during_update``: it was written while an update failed. ``size`` in bytes."""

    path: str
    restore_point: str
    kept: datetime
    during_update: bool
    size: int
    copy: Path


@frozen
class RestoredFile:
    """What `restore_edited` wrote, and where the copy of what lay there before is kept (None: nothing did)."""

    edited: EditedFile
    target: Path
    aside: EditedFile | None


def list_edited(site: Site) -> list[EditedFile]:
    """All kept copies, newest first. Raises OSError."""
    found = []
    for directory in site.backups.iterdir() if site.backups.is_dir() else ():
        if _ID.fullmatch(directory.name):
            found += [_describe(directory, name) for name in _files(directory / "edited")]
    return sorted(found, key=lambda file: (file.restore_point, file.path), reverse=True)


def find_edited(site: Site, path: str, restore_point: str | None) -> EditedFile:
    """The newest copy of ``path``, or the one of that restore point. Raises BlockedError when there is none."""
    copies = [file for file in list_edited(site) if path in (file.path, f"{file.path}{DURING_UPDATE}")]
    if path.endswith(DURING_UPDATE):
        copies = [file for file in copies if file.during_update]
    if restore_point is not None:
        copies = [file for file in copies if file.restore_point == restore_point]
    if not copies:
        where = f" in {restore_point}" if restore_point else ""
        raise BlockedError(f"There is no kept copy of {path}{where}.", hint="`updater backup edited` lists them all.")
    return copies[0]


def restore_edited(site: Site, edited: EditedFile, to: Path | None, now: datetime) -> RestoredFile:
    """Write a kept copy back to where it came from, or to ``to``, which must not exist. The caller holds the lock.

    What lies there now is kept aside first, as one more copy. The file appears as a whole or not at all. Raises
    BlockedError when it cannot be written there, StateError when the disk fails.
    """
    layout = site.state().layout
    target = place_of(site, layout, edited.path) if to is None else to
    try:
        if to is not None and exists(to):
            raise BlockedError(f"{to} exists already.", hint="Choose another name; nothing is overwritten there.")
        if to is None:
            _check_place(site, layout, edited.path, target)
        elif not to.parent.is_dir():
            raise BlockedError(f"The folder {to.parent} does not exist.", hint="Make it first.")
        aside = _keep_aside(site, edited.path, target, now) if exists(target) else None
        _write(site, layout, edited, target, own=to is None)
    except OSError as error:
        raise StateError(
            f"{target} could not be written: {error.strerror or error}", hint="What lay there before lies there still."
        ) from error
    return RestoredFile(edited, target, aside)


def place_of(site: Site, layout: Layout, path: str) -> Path:
    """Where a path of `EditedFile` lies on the live site."""
    if layout == "slots" and path.startswith("shared/"):
        return site.path / path
    return site.tree(layout) / path


def _check_place(site: Site, layout: Layout, path: str, target: Path) -> None:
    if target.is_dir() and not target.is_symlink():
        raise BlockedError(f"{target} is a directory now.", hint="Give another place with --to.")
    parent = Path(os.path.realpath(target.parent))
    tree = Path(os.path.realpath(site.path if layout == "slots" else site.tree(layout)))
    behind_link = layout == "in-place" and parent != tree / Path(path).parent
    if behind_link or not parent.is_relative_to(tree):
        raise BlockedError(
            f"{path} lies behind a directory that is a symlink on this site.", hint="Give another place with --to."
        )


def _keep_aside(site: Site, path: str, target: Path, now: datetime) -> EditedFile:
    """Copy what lies at ``target`` to where edited files are kept, under a name of its own."""
    directory = site.backups / new_id(now, newest_id(site))
    make_private_directory(directory)
    copy = directory / "edited" / path
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy_file(target, copy)
    _flush(copy)
    for folder in (copy.parent, directory / "edited", directory, site.backups):
        fsync_directory(folder)
    return _describe(directory, path)


def _write(site: Site, layout: Layout, edited: EditedFile, target: Path, *, own: bool) -> None:
    if own and not target.parent.is_dir():
        root = site.path if layout == "slots" and edited.path.startswith("shared/") else site.tree(layout)
        make_directories(root, edited.path.rpartition("/")[0])
    part = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.tmp")
    previous = target.lstat().st_mtime if exists(target) else 0.0
    try:
        copy_file(edited.copy, part)
        if not part.is_symlink():
            if target.name.endswith(".py"):
                freshen(part, time.time(), previous)
            _flush(part)
        os.replace(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    fsync_directory(target.parent)
    purge_bytecode(target.parent, [target.name], strict=False)


def _flush(path: Path) -> None:
    if path.is_symlink():
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        platform.flush(handle)
    finally:
        os.close(handle)


def _files(root: Path, below: str = "") -> Iterator[str]:
    if not root.is_dir():
        return
    for entry in sorted(os.scandir(root / below), key=lambda entry: entry.name):
        name = f"{below}/{entry.name}".lstrip("/")
        if entry.is_dir(follow_symlinks=False):
            yield from _files(root, name)
        else:
            yield name


def _describe(directory: Path, name: str) -> EditedFile:
    copy = directory / "edited" / name
    return EditedFile(
        path=name.removesuffix(DURING_UPDATE),
        restore_point=directory.name,
        kept=datetime.strptime(directory.name, "%Y%m%d-%H%M%S-%f").replace(tzinfo=UTC),
        during_update=name.endswith(DURING_UPDATE),
        size=copy.lstat().st_size,
        copy=copy,
    )
