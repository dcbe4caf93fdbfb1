"""The in-place layout: rename staged files over the live ones, one by one (standard library only).

Every step asks the disk what has been done already, so that applying and undoing can be repeated after a crash at any
point. Backups are hard links made before the first rename; undoing renames them back, which needs no free space.
"""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path

from updater.errors import InstallError
from updater.install.bytecode import freshen, purge_bytecode
from updater.install.changes import Change
from updater.install.observe import observe
from updater.install.restore_points import SavedFile
from updater.install.transaction import StagedTransaction
from updater.site.files import copy_file, link_or_copy, sync_filesystem, write_atomic

__all__ = ["InPlace"]


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
        for change in self._changes:
            if change.old is None:
                continue
            live, saved = self.tree / change.path, self._saved / change.path
            self._check_unchanged(change)
            saved.parent.mkdir(parents=True, exist_ok=True)
            saved.unlink(missing_ok=True)
            link_or_copy(live, saved)
            if change.edited:
                kept = self._edited / change.path
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.unlink(missing_ok=True)
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
                self._remove_empty_parents(change.path)
            else:
                live.parent.mkdir(parents=True, exist_ok=True)
                os.replace(self._staged.files / change.path, live)
        purge_bytecode(self.tree, [change.path for change in self._changes])
        for change in self._changes:
            if change.action == "delete":
                self._remove_empty_parents(change.path)
        sync_filesystem(self.tree)

    def undo(self) -> None:
        """Bring every path back to what it was, whatever part of ``apply`` had been done."""
        touched = [change.path for change in self._changes]
        purge_bytecode(self.tree, touched)
        path = self._staged.directory / "directories.json"
        directories = json.loads(path.read_bytes()) if path.exists() else {"new": [], "modes": {}}
        for change in reversed(self._changes):
            if change.old is None:
                self._undo_addition(change, directories["new"])
            else:
                self._undo_change(change)
        for name, mode in directories["modes"].items():
            if (self.tree / name).is_dir():
                (self.tree / name).chmod(mode)
        purge_bytecode(self.tree, touched)
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

    def _directories(self) -> dict[str, dict[str, int] | list[str]]:
        """The directories that additions will create, and the modes of those that deletions may empty."""
        new: set[str] = set()
        modes: dict[str, int] = {}
        for change in self._changes:
            parent = change.path.rpartition("/")[0]
            while parent:
                full = self.tree / parent
                if change.action == "add" and not full.is_dir():
                    new.add(parent)
                elif change.action == "delete" and full.is_dir():
                    modes[parent] = stat.S_IMODE(full.stat().st_mode)
                parent = parent.rpartition("/")[0]
        return {"new": sorted(new), "modes": modes}

    def _remove_empty_parents(self, path: str, only: list[str] | None = None) -> None:
        parent = path.rpartition("/")[0]
        while parent and (only is None or parent in only):
            try:
                (self.tree / parent).rmdir()
            except OSError:
                return  # something is left in it, or it is gone
            parent = parent.rpartition("/")[0]

    def _undo_addition(self, change: Change, new_directories: list[str]) -> None:
        live = self.tree / change.path
        if _is_file(live):
            self._set_aside(change, live)
            live.unlink()
        self._remove_empty_parents(change.path, only=new_directories)

    def _undo_change(self, change: Change) -> None:
        live, saved = self.tree / change.path, self._saved / change.path
        if not _is_file(saved):
            return  # already moved back by an earlier attempt
        if _is_file(live) and os.path.samestat(live.lstat(), saved.lstat()):
            return  # never replaced
        if _is_file(live):
            self._set_aside(change, live)
        live.parent.mkdir(parents=True, exist_ok=True)
        replaced = live.lstat().st_mtime if _is_file(live) else 0.0
        os.replace(saved, live)
        if change.path.endswith(".py") and not live.is_symlink():
            freshen(live, time.time(), max(replaced, live.stat().st_mtime))

    def _set_aside(self, change: Change, live: Path) -> None:
        """Someone wrote to the path during the update: what they wrote is kept before the old file comes back."""
        seen = observe(self.tree, [change.path]).get(change.path)
        ours = change.new is not None and seen is not None and seen.matches(change.new)
        if not ours:
            kept = self._edited / f"{change.path}.during-update"
            kept.parent.mkdir(parents=True, exist_ok=True)
            if not _is_file(kept):
                copy_file(live, kept)


def _is_file(path: Path) -> bool:
    try:
        return not stat.S_ISDIR(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
