"""``shared/`` of the slots layout: the site's own data, which every slot links to (standard library only).

What a release brings along for it, and what an older slot still kept inside itself, is its first content.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from updater.errors import InstallError
from updater.install.records import optional_path, read_note
from updater.install.room import walk
from updater.install.transaction import StagedTransaction
from updater.schema.document import Reader
from updater.schema.manifest import Manifest
from updater.schema.paths import check_path
from updater.site.files import (
    copy_file,
    during_update,
    hash_file,
    hidden_name,
    make_directories,
    sync_filesystem,
    write_atomic,
)
from updater.site.looking import exists

__all__ = ["Shared", "inside", "shared_names"]


def shared_names(preserve: tuple[str, ...]) -> dict[str, bool]:
    """What lives in ``shared/``, and whether it is a directory: preserve globs tied to the top, without a wildcard."""
    found: dict[str, bool] = {}
    for pattern in preserve:
        folder = pattern.endswith(("/", "/**"))
        name = pattern.removesuffix("**").strip("/")
        if name and pattern.startswith("/") and not any(char in name for char in "*?"):
            found[name] = folder
    return {name: folder for name, folder in found.items() if not inside(name.rpartition("/")[0], found)}


def inside(path: str, names: Iterable[str]) -> bool:
    """Whether ``path`` is one of ``names`` or below one."""
    return any(path == name or path.startswith(name + "/") for name in names)


class Shared:
    """What one transaction does to ``shared/``. ``old``: the slot that is left, None on the first install."""

    def __init__(self, staged: StagedTransaction, names: dict[str, bool], old: Path | None) -> None:
        self._staged = staged
        self._home = staged.site.shared
        self._names = names
        self._old = old
        self._record = staged.directory / "shared.json"

    def check(self, manifest: Manifest) -> None:
        """Refuse to choose between two files of the owner's. Raises InstallError."""
        for path, source in self._sources(manifest).items():
            if self._old is None or not source.is_relative_to(self._old):
                continue
            if exists(self._home / path) and not _same(source, self._home / path):
                raise InstallError(
                    f"The release keeps {path} in shared/ from now on, and the site has different files at "
                    f"{source} and {self._home / path}.",
                    hint="Remove the one that is not needed, then start the update again.",
                )

    def link_from(self, slot: Path) -> None:
        """Make each shared name of a slot a symlink into ``shared/``."""
        for name in self._names:
            make_directories(slot, name.rpartition("/")[0], self._old)
            (slot / name).symlink_to("../" * (2 + name.count("/")) + f"shared/{name}")

    def fill(self, manifest: Manifest) -> None:
        """Create what is not there yet. What that is, is on disk before the first of it."""
        sources = {path: s for path, s in self._sources(manifest).items() if not exists(self._home / path)}
        folders = {name if folder else name.rpartition("/")[0] for name, folder in self._names.items()}
        folders |= {path.rpartition("/")[0] for path in sources}
        new = {folder for name in folders for folder in _with_parents(name) if not (self._home / folder).is_dir()}
        if self._names and not self._home.is_dir():
            new.add("")
        record = {"files": {path: str(source) for path, source in sources.items()}, "folders": sorted(new)}
        write_atomic(self._record, json.dumps(record).encode())
        if self._names:
            make_directories(self._staged.site.path, self._home.name)
        for folder in sorted(new - {""}):
            make_directories(self._home, folder, self._old)
        for path, source in sources.items():
            part = _part(self._home / path)
            part.unlink(missing_ok=True)
            copy_file(source, part)
            os.replace(part, self._home / path)
        if self._home.is_dir():
            sync_filesystem(self._home)

    def undo(self) -> None:
        """Take away what `fill` made; what somebody wrote to it since is kept in the restore point's ``edited/``."""
        if not exists(self._record):
            return
        files, folders = read_note(self._record, _read_made)
        for path, source in files.items():
            made = self._home / path
            _part(made).unlink(missing_ok=True)
            if not exists(made):
                continue
            if not _same(Path(source), made):
                kept = during_update(self._staged.backup / "edited" / "shared" / path)
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.unlink(missing_ok=True)
                copy_file(made, kept)
            made.unlink()
        for folder in sorted(folders, reverse=True):
            full = self._home / folder
            if full.is_dir() and not any(full.iterdir()):
                full.rmdir()

    def _sources(self, manifest: Manifest) -> dict[str, Path]:
        """Where the first content of ``shared/`` would come from: the old slot's own files, else the release's."""
        found = {path: self._staged.files / path for path in manifest.files if inside(path, self._names)}
        found = {path: source for path, source in found.items() if exists(source)}
        for name in self._names if self._old is not None else ():
            assert self._old is not None  # noqa: S101 - narrows the type
            own = self._old / name
            if _behind_link(self._old, name):
                continue  # it is shared already
            if own.is_dir():
                found |= {f"{name}/{path}": own / path for path in walk(own) if not path.endswith("/")}
            elif exists(own):
                found[name] = own
        return found


def _read_made(reader: Reader) -> tuple[dict[str, str], tuple[str, ...]]:
    """What `Shared.fill` made, and from what; ``folders`` may hold the empty name of ``shared/`` itself."""
    reader.section("files").keys(check=check_path)
    return reader.text_map("files"), reader.texts("folders", check=optional_path, empty=True)


def _part(path: Path) -> Path:
    return path.with_name(hidden_name(path.name, ".updater-part"))


def _behind_link(root: Path, path: str) -> bool:
    while path:
        if (root / path).is_symlink():
            return True
        path = path.rpartition("/")[0]
    return False


def _with_parents(path: str) -> list[str]:
    found = []
    while path:
        found.append(path)
        path = path.rpartition("/")[0]
    return found


def _same(one: Path, other: Path) -> bool:
    if not (exists(one) and exists(other)):
        return False
    if one.is_symlink() or other.is_symlink():
        return one.is_symlink() and other.is_symlink() and os.readlink(one) == os.readlink(other)
    return one.is_file() and other.is_file() and hash_file(one) == hash_file(other)
