"""The slots layout: a directory for each release, and one symlink that says which is current (standard library only).

The new slot is built beside the current one: unchanged files are hard links, changed ones come from staging, files the
app may write to are copied or live in ``shared/``. The switch is one rename of a symlink.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from updater.errors import InstallError
from updater.install.restore_points import SavedFile
from updater.install.transaction import StagedTransaction
from updater.schema.globs import matches_any
from updater.schema.manifest import ManifestFile
from updater.site.files import copy_file, fsync_directory, link_or_copy, remove_tree, sync_filesystem
from updater.site.site import Site

__all__ = ["Slots", "free_slot", "shared_names"]

LAUNCHER = """#!/bin/sh
# Runs a command inside the current release, pinned to its real path: a process that starts through the symlink
# while it is switched would mix two releases. Example: ./launch python manage.py runserver
cd -P -- "$(dirname -- "$0")/current" || exit 1
exec "$@"
"""


def free_slot(site: Site, version: str) -> str:
    """A name below ``releases/`` that is not in use: the version, or the version with a number."""
    name, number = version, 1
    while os.path.lexists(site.releases / name):
        number += 1
        name = f"{version}-{number}"
    return name


def shared_names(preserve: tuple[str, ...]) -> dict[str, bool]:
    """What lives in ``shared/``, and whether it is a directory: preserve globs tied to the top, without a wildcard."""
    found: dict[str, bool] = {}
    for pattern in preserve:
        folder = pattern.endswith(("/", "/**"))
        name = pattern.removesuffix("**").rstrip("/")
        if name.startswith("/") and not any(char in name for char in "*?"):
            found[name.lstrip("/")] = folder
    return found


class Slots:
    """How a transaction changes a site with slots."""

    def __init__(self, staged: StagedTransaction) -> None:
        self._staged = staged
        self._site = staged.site
        transaction = staged.transaction
        if transaction.slot is None:
            raise InstallError("A site with slots cannot go back to having no release.")
        self._old = None if transaction.old_slot is None else self._site.releases / transaction.old_slot
        self._new = self._site.releases / transaction.slot
        self._building = self._site.releases / f".new-{transaction.id}"
        self.tree = self._new

    def prepare(self) -> None:
        """Build the new slot out of sight: everything that takes time happens while the app still runs."""
        remove_tree(self._building)
        self._building.mkdir(parents=True)
        manifest = self._staged.manifest()
        if manifest is None:
            raise InstallError("A site with slots cannot go back to having no release.")
        written = {change.path for change in self._staged.transaction.changes if change.new is not None}
        shared = shared_names(manifest.preserve)
        for path, file in manifest.files.items():
            if not _inside(path, shared):
                self._place(path, file, staged=path in written)
        self._share(shared, [path for path in manifest.files if _inside(path, shared)])
        for change in self._staged.transaction.changes:
            if change.edited and self._old is not None:
                kept = self._staged.backup / "edited" / change.path
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.unlink(missing_ok=True)
                copy_file(self._old / change.path, kept)

    def saved(self) -> tuple[SavedFile, ...]:
        """Nothing: the old slot itself is what the restore point holds."""
        return ()

    def apply(self) -> None:
        """Carry the site's own files over and switch."""
        if self._building.exists():
            self._carry_unmanaged()
            os.replace(self._building, self._new)
        sync_filesystem(self._site.releases)
        self._switch(self._new)
        launcher = self._site.path / "launch"
        if not os.path.lexists(launcher):
            launcher.write_text(LAUNCHER, encoding="utf-8")
            launcher.chmod(0o755)

    def undo(self) -> None:
        """Switch back and remove the new slot."""
        points_to_new = self._site.current.is_symlink() and Path(os.readlink(self._site.current)).name == self._new.name
        if points_to_new and self._old is not None:
            self._switch(self._old)
        elif points_to_new:
            self._site.current.unlink()
        remove_tree(self._new)
        self.discard()

    def discard(self) -> None:
        """Forget a preparation: nothing live was changed."""
        remove_tree(self._building)
        if self._site.releases.is_dir() and not any(self._site.releases.iterdir()):
            self._site.releases.rmdir()

    def _place(self, path: str, file: ManifestFile, *, staged: bool) -> None:
        target = self._building / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if staged:
            os.replace(self._staged.files / path, target)
            return
        if self._old is None or not os.path.lexists(self._old / path):
            return  # deleted by the owner under the policy "keep"
        edited = path in self._staged.transaction.kept or matches_any(path, self._staged.transaction.preserve)
        # a hard link is one file under two names: only for files that nobody writes to
        (copy_file if edited or file.symlink is not None else link_or_copy)(self._old / path, target)

    def _share(self, names: dict[str, bool], listed: list[str]) -> None:
        """Make each shared name a symlink into ``shared/``; files of the release are its first content there."""
        for path in listed:
            home, staged = self._site.shared / path, self._staged.files / path
            if not os.path.lexists(home) and os.path.lexists(staged):
                home.parent.mkdir(parents=True, exist_ok=True)
                copy_file(staged, home)
        for name, folder in names.items():
            home, link = self._site.shared / name, self._building / name
            (home if folder else home.parent).mkdir(parents=True, exist_ok=True)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to("../" * (2 + name.count("/")) + f"shared/{name}")

    def _carry_unmanaged(self) -> None:
        """Copy what no manifest lists from the old slot: the site's own files must not stay behind."""
        if self._old is None:
            return
        old_manifest = self._site.manifest()
        listed = set() if old_manifest is None else set(old_manifest.files)
        for path in _walk(self._old):
            target = self._building / path
            if path in listed or os.path.lexists(target) or _behind_link(self._building, path):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            copy_file(self._old / path, target)

    def _switch(self, slot: Path) -> None:
        temporary = self._site.path / f".current.{secrets.token_hex(4)}"
        temporary.symlink_to(f"releases/{slot.name}")
        os.replace(temporary, self._site.current)
        fsync_directory(self._site.path)


def _inside(path: str, names: Iterable[str]) -> bool:
    return any(path == name or path.startswith(name + "/") for name in names)


def _behind_link(root: Path, path: str) -> bool:
    parent = path.rpartition("/")[0]
    while parent:
        if (root / parent).is_symlink():
            return True
        parent = parent.rpartition("/")[0]
    return False


def _walk(root: Path) -> Iterator[str]:
    """Every file and symlink below ``root``, without bytecode caches; an unreadable directory raises."""

    def fail(error: OSError) -> None:
        raise error

    for folder, folders, files in os.walk(root, onerror=fail):
        here = Path(folder)
        links = [name for name in folders if (here / name).is_symlink()]
        folders[:] = [name for name in folders if name != "__pycache__" and name not in links]
        for name in (*files, *links):
            yield (here / name).relative_to(root).as_posix()
