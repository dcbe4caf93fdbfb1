"""The in-place layout: rename staged files over the live ones, one by one (standard library only).

Backups are hard links made before the first rename; undoing renames them back, which needs no free space. Every step
of the way back asks the disk what has been done already, so that it can be repeated after a crash at any point: a
file that still lies in staging has not been put in place, one that no longer lies in the backup has been brought back.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from pathlib import Path
from typing import Any

from updater.errors import InstallError
from updater.install.bytecode import freshen, purge_bytecode
from updater.install.changes import Change
from updater.install.observe import observe
from updater.install.restore_points import SavedFile
from updater.install.room import check_room
from updater.install.transaction import StagedTransaction
from updater.site.files import copy_file, link_or_copy, make_directories, sync_filesystem, write_atomic

__all__ = ["InPlace"]

_IN_USE = (errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY)


class InPlace:
    """How a transaction changes the tree of an in-place site."""

    def __init__(self, staged: StagedTransaction) -> None:
        self._staged = staged
        self._changes = staged.transaction.changes
        self.tree = staged.site.path
        self._saved = staged.backup / "files"
        self._edited = staged.backup / "edited"

    def prepare(self) -> None:
        """Link everything that will be replaced or deleted into the restore point; nothing live changes."""
        check_room(self.tree, self._changes)
        for change in self._changes:
            if change.old is None:
                continue
            live, saved = self.tree / change.path, self._saved / change.path
            self._check_unchanged(change)
            saved.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(live, saved)
            if change.edited:
                kept = self._edited / change.path
                kept.parent.mkdir(parents=True, exist_ok=True)
                copy_file(live, kept)
        write_atomic(self._staged.directory / "directories.json", json.dumps(self._directories()).encode())

    def saved(self) -> tuple[SavedFile, ...]:
        """What the restore point holds."""
        return tuple(
            SavedFile(c.path, c.old.sha256, c.old.size, c.old.mode, c.old.symlink, c.edited)
            for c in self._changes
            if c.old is not None
        )

    def apply(self) -> None:
        """Switch to the new files: what makes room, replacements and additions, deletions last."""
        for change in self._changes:
            self._check_unchanged(change)
            live = self.tree / change.path
            if change.action == "delete":
                live.unlink()
                purge_bytecode(self.tree, [change.path])
                self._remove_empty_parents(change.path)
            else:
                make_directories(self.tree, change.path.rpartition("/")[0])
                os.replace(self._staged.files / change.path, live)
        purge_bytecode(self.tree, [change.path for change in self._changes])
        sync_filesystem(self.tree)

    def undo(self) -> None:
        """Bring every path back to what it was, whatever part of ``apply`` had been done."""
        touched = [change.path for change in self._changes]
        purge_bytecode(self.tree, touched, strict=False)
        directories = json.loads((self._staged.directory / "directories.json").read_bytes())
        for change in reversed(self._changes):
            if change.old is None:
                self._undo_addition(change, directories["new"])
            else:
                self._undo_change(change)
        for name, known in directories["emptied"].items():
            self._restore_directory(self.tree / name, known)
        purge_bytecode(self.tree, touched, strict=False)
        sync_filesystem(self.tree)

    def discard(self) -> None:
        """Forget a preparation: nothing live was changed."""

    def _check_unchanged(self, change: Change) -> None:
        live = self.tree / change.path
        try:
            now = live.lstat()
        except (FileNotFoundError, NotADirectoryError):
            now = None
        same = now is None if change.old is None else now is not None and change.old.unchanged(now)
        if change.action == "add" and now is not None and stat.S_ISDIR(now.st_mode):
            same = True  # its files are deleted first; os.replace refuses when something is left
        if not same:
            raise InstallError(
                f"{change.path} was changed while the update was being prepared.",
                hint="Find out what writes there, then start the update again.",
            )

    def _directories(self) -> dict[str, Any]:
        """The directories that additions will create, and mode and owner of those that deletions may empty."""
        new: set[str] = set()
        emptied: dict[str, list[int]] = {}
        for change in self._changes:
            parent = change.path.rpartition("/")[0]
            while parent:
                status = self._own_directory(parent)
                if status is None and change.action == "add":
                    new.add(parent)
                elif status is not None and change.action == "delete":
                    emptied[parent] = [stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid]
                parent = parent.rpartition("/")[0]
        return {"new": sorted(new), "emptied": emptied}

    def _own_directory(self, name: str) -> os.stat_result | None:
        """The status of a directory of the tree, or None: behind a symlink or a file there is none."""
        status: os.stat_result | None = None
        full = self.tree
        for part in name.split("/"):
            full /= part
            try:
                status = full.lstat()
            except (FileNotFoundError, NotADirectoryError):
                return None
            if not stat.S_ISDIR(status.st_mode):
                return None
        return status

    def _restore_directory(self, path: Path, known: list[int]) -> None:
        status = path.stat()
        mode, *owner = known
        if os.geteuid() == 0 and [status.st_uid, status.st_gid] != owner:
            os.chown(path, *owner)
        if stat.S_IMODE(path.stat().st_mode) != mode:
            path.chmod(mode)

    def _remove_empty_parents(self, path: str, only: list[str] | None = None) -> None:
        parent = path.rpartition("/")[0]
        while parent and (only is None or parent in only):
            try:
                (self.tree / parent).rmdir()
            except (FileNotFoundError, NotADirectoryError):
                pass  # gone already; the one above it may still be there
            except OSError as error:
                if error.errno in _IN_USE or (only is None and isinstance(error, PermissionError)):
                    return
                raise
            parent = parent.rpartition("/")[0]

    def _undo_addition(self, change: Change, new_directories: list[str]) -> None:
        live = self.tree / change.path
        if _is_file(live) and not _is_file(self._staged.files / change.path):
            self._set_aside(change, live)
            live.unlink()
        self._remove_empty_parents(change.path, only=new_directories)

    def _undo_change(self, change: Change) -> None:
        live, saved = self.tree / change.path, self._saved / change.path
        if not _is_file(saved):
            return  # already brought back by an earlier attempt
        if change.new is not None and _is_file(self._staged.files / change.path):
            return  # never replaced
        if _is_file(live):
            if change.old is not None and change.old.unchanged(live.lstat()):
                return  # never deleted
            self._set_aside(change, live)
        make_directories(self.tree, change.path.rpartition("/")[0])
        if change.path.endswith(".py") and not saved.is_symlink():
            replaced = live.lstat().st_mtime if _is_file(live) else 0.0
            freshen(saved, time.time(), max(replaced, saved.stat().st_mtime))
        os.replace(saved, live)

    def _set_aside(self, change: Change, live: Path) -> None:
        """Someone wrote to the path during the update: what they wrote is kept before the old file comes back."""
        seen = observe(self.tree, [change.path]).get(change.path)
        ours = change.new is not None and seen is not None and seen.matches(change.new)
        if not ours:
            kept = self._edited / f"{change.path}.during-update"
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.unlink(missing_ok=True)
            copy_file(live, kept)


def _is_file(path: Path) -> bool:
    try:
        return not stat.S_ISDIR(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
