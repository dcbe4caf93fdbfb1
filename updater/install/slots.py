"""The slots layout: a directory for each release, and one symlink that says which is current (standard library only).

The new slot is built beside the current one: unchanged files are hard links, changed ones come from staging, files the
app may write to are copied or live in ``shared/``. The switch is one rename of a symlink.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

from updater.errors import InstallError
from updater.install.changes import parents_of
from updater.install.records import read_note
from updater.install.restore_points import SavedFile
from updater.install.room import check_room, walk
from updater.install.shared import Shared, inside, shared_names
from updater.install.transaction import StagedTransaction
from updater.schema.globs import matches_any
from updater.schema.manifest import Manifest, ManifestFile
from updater.site.files import (
    copy_file,
    fsync_directory,
    link_or_copy,
    make_directories,
    move_or_copy,
    remove_tree,
    sync_filesystem,
    write_atomic,
)
from updater.site.looking import exists
from updater.site.metadata import carry
from updater.site.site import Site

__all__ = ["Slots", "free_slot"]

LAUNCHER = """#!/bin/sh
# Runs a command inside the current release, pinned to its real path: a process that starts through the symlink
# while it is switched would mix two releases. Example: ./launch python manage.py runserver
cd -P -- "$(dirname -- "$0")/current" || exit 1
exec "$@"
"""


def free_slot(site: Site, version: str) -> str:
    """A name below ``releases/`` that is not in use: the version, or the version with a number."""
    name, number = version, 1
    while exists(site.releases / name):
        number += 1
        name = f"{version}-{number}"
    return name


class Slots:
    """How a transaction changes a site with slots."""

    def __init__(self, staged: StagedTransaction) -> None:
        self._staged = staged
        self._site = staged.site
        transaction = staged.transaction
        manifest = staged.manifest()
        if transaction.slot is None or manifest is None:
            raise InstallError("A site with slots cannot go back to having no release.")
        self._manifest: Manifest = manifest
        self._old = None if transaction.old_slot is None else self._site.releases / transaction.old_slot
        self._new = self._site.releases / transaction.slot
        self._building = self._site.releases / f".new-{transaction.id}"
        self._identity = staged.directory / "slot.json"
        self._launcher = staged.directory / "launch"
        self._deleted = {change.path for change in transaction.changes if change.action == "delete"}
        self._names = shared_names(manifest.preserve)
        self._shared = Shared(staged, self._names, self._old)
        self.tree = self._new

    def prepare(self) -> None:
        """Build the new slot out of sight: everything that takes time happens while the app still runs."""
        if exists(self._new):
            raise InstallError(f"{self._new} exists already.", hint="Move it away, then start the update again.")
        if self._old is not None:
            check_room(self._old, self._staged.transaction.changes)
        self._shared.check(self._manifest)
        make_directories(self._site.path, "releases")
        make_directories(self._site.releases, self._building.name)
        if self._old is not None:
            carry(self._old, self._building)
        write_atomic(self._identity, json.dumps({"inode": self._building.stat().st_ino}).encode())
        written = {change.path for change in self._staged.transaction.changes if change.new is not None}
        for path, file in self._manifest.files.items():
            if path not in self._deleted and not inside(path, self._names):
                self._place(path, file, staged=path in written)
        self._shared.link_from(self._building)
        if self._old is None:
            self._launcher.write_text(LAUNCHER, encoding="utf-8")  # here, so that it is flushed with everything else
            self._launcher.chmod(0o755)
        for change in self._staged.transaction.changes:
            if change.edited and self._old is not None:
                kept = self._staged.backup / "edited" / change.path
                kept.parent.mkdir(parents=True, exist_ok=True)
                copy_file(self._old / change.path, kept)

    def saved(self) -> tuple[SavedFile, ...]:
        """Nothing: the old slot itself is what the restore point holds."""
        return ()

    def apply(self) -> None:
        """Carry the site's own files over and switch."""
        self._shared.fill(self._manifest)
        self._carry_unmanaged()
        os.replace(self._building, self._new)
        sync_filesystem(self._site.releases)
        if self._old is None and not exists(self._site.path / "launch"):
            self._put(self._launcher, self._site.path / "launch")
        self._switch(self._new)

    def undo(self) -> None:
        """Switch back. The new slot stays until the old version was started: a server that is told to reload may stand
        in it, and one whose directory is gone (gunicorn's main process) exits instead."""
        current = self._site.current
        if current.is_symlink() and Path(os.readlink(current)).name == self._new.name:
            if self._old is not None:
                self._switch(self._old)
            else:
                current.unlink()
                fsync_directory(self._site.path)
        if self._old is None:
            self._remove_launcher()
        self._shared.undo()
        if self._old is None:
            self.clean_undone()
        sync_filesystem(self._site.path)

    def clean_undone(self) -> None:
        """Remove the new slot."""
        if self._is_ours(self._new):
            remove_tree(self._new)
        self.discard()

    def discard(self) -> None:
        """Forget a preparation: nothing live was changed."""
        self._beside.unlink(missing_ok=True)
        remove_tree(self._building)
        if self._old is None and self._site.releases.is_dir() and not any(self._site.releases.iterdir()):
            self._site.releases.rmdir()

    def clean(self) -> None:
        """Nothing: the old slot stays, it is the restore point."""

    def _is_ours(self, slot: Path) -> bool:
        """Whether a slot is the directory that this transaction built: another of that name is never removed."""
        if not slot.is_dir() or slot.is_symlink() or not exists(self._identity):
            return False
        inode = read_note(self._identity, lambda reader: reader.integer("inode", maximum=2**64))
        return slot.stat().st_ino == inode

    def _place(self, path: str, file: ManifestFile, *, staged: bool) -> None:
        if not staged and (self._old is None or not exists(self._old / path)):
            return  # deleted by the owner meanwhile
        target = self._building / path
        make_directories(self._building, path.rpartition("/")[0], self._old, self._staged.former_folders)
        if staged or self._old is None:
            move_or_copy(self._staged.files / path, target)
            return
        edited = path in self._staged.transaction.kept or matches_any(path, self._staged.transaction.preserve)
        # a hard link is one file under two names: only for files that nobody writes to
        (copy_file if edited or file.symlink is not None else link_or_copy)(self._old / path, target)

    def _carry_unmanaged(self) -> None:
        """Copy what the update does not know or leaves alone: the site's own files must not stay behind."""
        if self._old is None:
            return
        old_manifest = self._site.manifest()
        listed = () if old_manifest is None else tuple(old_manifest.files)
        managed = {parent for path in listed for parent in parents_of(path)}
        for entry in walk(self._old):
            path = entry.rstrip("/")
            target = self._building / path
            if path in self._deleted or inside(path, self._names) or exists(target):
                continue
            if not entry.endswith("/"):
                self._carry_file(path, target)
            elif path not in managed:
                make_directories(self._building, path, self._old)

    def _carry_file(self, path: str, target: Path) -> None:
        assert self._old is not None  # noqa: S101 - narrows the type
        source = self._old / path
        make_directories(self._building, path.rpartition("/")[0], self._old)
        try:
            if not stat.S_ISSOCK(source.lstat().st_mode):  # a socket belongs to the process that listens, not to a slot
                copy_file(source, target)
        except FileNotFoundError:
            if exists(source):
                raise
            target.unlink(missing_ok=True)  # its owner has just removed it

    def _switch(self, slot: Path) -> None:
        """One rename; the link to be is made where the sweep of a crashed update finds it."""
        link = self._staged.directory / "current"
        link.unlink(missing_ok=True)
        link.symlink_to(f"releases/{slot.name}")
        self._put(link, self._site.current)
        fsync_directory(self._site.path)

    def _put(self, made: Path, target: Path) -> None:
        """One rename, also when .updater is on another filesystem than the site: `discard` sweeps what waits there."""
        try:
            os.replace(made, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._beside.unlink(missing_ok=True)
            copy_file(made, self._beside)
            os.replace(self._beside, target)

    @property
    def _beside(self) -> Path:
        return self._site.path / f".updater-{self._staged.transaction.id}"

    def _remove_launcher(self) -> None:
        launcher = self._site.path / "launch"
        if launcher.is_file() and launcher.read_bytes() == LAUNCHER.encode():
            launcher.unlink()
