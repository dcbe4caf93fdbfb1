"""The in-place layout: rename staged files over the live ones, one by one (standard library only).

Backups are hard links made before the first rename; undoing renames them back, which needs no free space. Every step
of the way back asks the disk what has been done already, so that it can be repeated after a crash at any point:

- a new file that still waits to be renamed has not been put in place: what lives under its name is not ours;
- a backup that is gone has been brought back;
- a live file that is the one the plan saw was never touched; when there is none, the backup comes back in any case;
- of two spellings that a filesystem may take for one name (`updater.install.names`) the old one is deleted before the
  new one is added; once the old file is back, what is found under the new name may be that very file: it stays.

Directories on other filesystems keep new files and backups beside themselves: `updater.install.volumes`.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from updater.errors import InstallError
from updater.install.bytecode import freshen, purge_bytecode
from updater.install.changes import Change, parents_of
from updater.install.names import is_listed
from updater.install.observe import observe
from updater.install.records import read_note
from updater.install.restore_points import SavedFile
from updater.install.room import check_room
from updater.install.transaction import StagedTransaction
from updater.install.volumes import Volumes
from updater.schema.document import Reader
from updater.schema.paths import check_path, collision_key
from updater.site import platform
from updater.site.files import (
    copy_file,
    during_update,
    link_or_copy,
    make_directories,
    sync_filesystem,
    write_atomic,
)
from updater.site.looking import is_directory
from updater.site.metadata import Metadata, read_metadata, write_metadata

__all__ = ["InPlace"]

_IN_USE = (errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY)


class InPlace:
    """How a transaction changes the tree of an in-place site."""

    def __init__(self, staged: StagedTransaction) -> None:
        self._staged = staged
        self._changes = staged.transaction.changes
        self.tree = staged.site.path
        self._saved_files = staged.backup / "files"
        self._edited = staged.backup / "edited"
        self._volumes = Volumes(staged, self.tree)
        self._aside = staged.directory / "in-use"
        self._respelled = {collision_key(c.path): c.path for c in self._changes if c.action == "delete"}

    def prepare(self) -> None:
        """Link everything that will be replaced or deleted into the restore point; nothing live changes."""
        check_room(self.tree, self._changes)
        self._volumes.open(change.path for change in self._changes)
        self._saved_files.mkdir(parents=True, exist_ok=True)
        made: set[str] = set()
        for change in self._changes:
            if change.new is not None and self._volumes.is_elsewhere(change.path):
                self._volumes.fetch(change.path)
            if change.old is None:
                continue
            self._check_unchanged(change)
            self._save(change, made)
        write_atomic(self._staged.directory / "directories.json", json.dumps(self._directories()).encode())
        self._volumes.sync()

    def _save(self, change: Change, made: set[str]) -> None:
        """``made``: the folders of the restore point that are there; it remembers."""
        home, folder = self._saved_files, change.path.rpartition("/")[0]
        if folder not in made:
            make_directories(home, folder, self.tree, ours=True)
            made.add(folder)
        if self._volumes.is_elsewhere(change.path):
            saved = self._volumes.saved(change.path)
            saved.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(self.tree / change.path, saved)
            copy_file(self.tree / change.path, home / change.path)
        else:
            link_or_copy(f"{self.tree}/{change.path}", f"{home}/{change.path}")
        if change.edited:
            copy = self._edited / change.path
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy_file(self.tree / change.path, copy)

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
            if change.action == "delete":
                platform.remove(self.tree / change.path, aside=self._aside)
                purge_bytecode(self.tree, [change.path])
                self._remove_empty_parents(change.path)
            else:
                make_directories(self.tree, change.path.rpartition("/")[0], self._staged.former_folders)
                live = f"{self.tree}/{change.path}"
                platform.replace(self._volumes.staged(change.path), live, aside=self._aside)
        purge_bytecode(self.tree, [change.path for change in self._changes])
        self._sync()

    def _sync(self) -> None:
        sync_filesystem(self.tree)
        self._volumes.sync()

    def undo(self) -> None:
        """Bring every path back to what it was, whatever part of ``apply`` had been done."""
        touched = [change.path for change in self._changes]
        self._volumes.prepare_undo()
        purge_bytecode(self.tree, touched, strict=False)
        new, emptied = read_note(self._staged.directory / "directories.json", _read_directories)
        for change in reversed(self._changes):
            if change.old is None:
                self._undo_addition(change, new)
            else:
                self._undo_change(change)
        for name, known in emptied.items():
            self._restore_directory(self.tree / name, known)
        purge_bytecode(self.tree, touched, strict=False)
        self._sync()

    def clean_undone(self) -> None:
        """Nothing: the new files are gone already."""

    def discard(self) -> None:
        """Forget a preparation: nothing live was changed."""
        self._volumes.clean()

    def clean(self) -> None:
        """Remove what only the way back needed, once there is none."""
        self._volumes.clean()

    def _check_unchanged(self, change: Change) -> None:
        try:
            now = os.lstat(f"{self.tree}/{change.path}")
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
        """The directories that additions will create, and what is set on those that deletions may empty."""
        new: set[str] = set()
        known: dict[str, bool] = {"": True}
        emptied: dict[str, dict[str, Any]] = {}
        spellings = {collision_key(name): name for path in self._respelled.values() for name in parents_of(path)}
        for change in self._changes:
            for parent in parents_of(change.path):
                there = self._is_own_directory(parent, known)
                if there and spellings.get(collision_key(parent), parent) != parent:
                    there = is_listed(self.tree, parent)
                if not there and change.action == "add":
                    new.add(parent)
                elif there and change.action == "delete" and parent not in emptied:
                    emptied[parent] = read_metadata(self.tree / parent).to_json()
        return {"new": sorted(new), "emptied": emptied}

    def _is_own_directory(self, name: str, known: dict[str, bool]) -> bool:
        """Whether that is a directory of the tree: behind a symlink or a file there is none. ``known`` remembers."""
        if name not in known:
            above = self._is_own_directory(name.rpartition("/")[0], known)
            known[name] = above and is_directory(f"{self.tree}/{name}")
        return known[name]

    def _restore_directory(self, path: Path, known: Metadata) -> None:
        if read_metadata(path) != known:
            write_metadata(path, known)

    def _remove_empty_parents(self, path: str, only: Sequence[str] | None = None) -> None:
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

    def _undo_addition(self, change: Change, new_directories: Sequence[str]) -> None:
        live = self.tree / change.path
        placed = _is_file(live) and not _is_file(self._volumes.staged(change.path))
        if placed and not self._is_back_under(change.path):
            self._set_aside(change, live)
            platform.remove(live, aside=self._aside)
        self._remove_empty_parents(change.path, only=new_directories)

    def _is_back_under(self, path: str) -> bool:
        """Whether what is found under an added name is the old file of another spelling, which is back already."""
        old = self._respelled.get(collision_key(path))
        if old is None or _is_file(self._volumes.saved(old)):
            return False
        return _is_file(self.tree / old) and (self.tree / old).lstat().st_ino == (self.tree / path).lstat().st_ino

    def _undo_change(self, change: Change) -> None:
        live, saved = self.tree / change.path, self._volumes.saved(change.path)
        if not _is_file(saved):
            return  # already brought back by an earlier attempt
        if _is_file(live):
            if change.new is not None and _is_file(self._volumes.staged(change.path)):
                return  # never replaced
            if change.old is not None and change.old.unchanged(live.lstat()):
                return  # never deleted
            self._set_aside(change, live)
        make_directories(self.tree, change.path.rpartition("/")[0])
        if change.path.endswith(".py") and not saved.is_symlink():
            replaced = live.lstat().st_mtime if _is_file(live) else 0.0
            freshen(saved, time.time(), max(replaced, saved.stat().st_mtime))
        platform.replace(saved, live, aside=self._aside)

    def _set_aside(self, change: Change, live: Path) -> None:
        """Someone wrote to the path during the update: what they wrote is kept before the old file comes back."""
        seen = observe(self.tree, [change.path]).get(change.path)
        ours = change.new is not None and seen is not None and seen.matches(change.new)
        if not ours:
            kept = during_update(self._edited / change.path)
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.unlink(missing_ok=True)
            copy_file(live, kept)


def _read_directories(reader: Reader) -> tuple[tuple[str, ...], dict[str, Metadata]]:
    emptied = reader.section("emptied")
    found = {name: emptied.child(name) for name in emptied.keys(check=check_path)}
    return reader.texts("new", check=check_path), {
        name: Metadata.read(child) for name, child in found.items() if child is not None
    }


def _is_file(path: Path) -> bool:
    try:
        return not stat.S_ISDIR(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
