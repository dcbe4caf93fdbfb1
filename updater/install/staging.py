"""Filling ``staging/<id>/files`` with verified files, ready to be renamed into place (standard library only)."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from updater.errors import StateError
from updater.install.bytecode import freshen
from updater.install.changes import Change
from updater.schema.manifest import ManifestFile
from updater.site.files import link_or_copy, make_directories
from updater.site.looking import entries_below, exists
from updater.site.metadata import adopt_surroundings, read_metadata, set_attributes, set_mode, set_owner
from updater.site.reading import open_regular

__all__ = ["GivingSource", "PathSource", "Source", "stage_database", "stage_files"]

_CHUNK = 1 << 20


class Source(Protocol):
    """Where new files come from: a package, or a restore point."""

    def copy(self, file: ManifestFile, out: BinaryIO) -> None:
        """Write the verified content of ``file``. Raises an UpdaterError when it is not what the manifest says."""


@runtime_checkable
class GivingSource(Source, Protocol):
    """A source whose files are the very ones that are wanted, and can be had without writing them again."""

    def give(self, file: ManifestFile, target: str | Path) -> None:
        """Put the verified content of ``file`` at ``target``, where nothing is: a file that nobody else changes.
        Raises an UpdaterError as `copy` does."""


class PathSource:
    """Files that lie on disk, by their path in the manifest: a restore point, or an old slot."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = paths

    def origin(self, path: str) -> Path | None:
        """The file itself, whose owner, mode and attributes come back with it; None when it is not there."""
        origin = self._paths.get(path)
        return origin if origin is not None and exists(origin) else None

    def copy(self, file: ManifestFile, out: BinaryIO) -> None:
        path = self._paths.get(file.path)
        if path is None:
            raise StateError(
                f"The restore point does not hold {file.path}.",
                hint="Choose another one: `updater backup list`.",
            )
        digest = hashlib.sha256()
        with open_regular(path) as source:
            left = file.size + 1  # one more byte than recorded is damage enough
            while chunk := source.read(min(_CHUNK, left)):
                digest.update(chunk)
                out.write(chunk)
                left -= len(chunk)
        if digest.hexdigest() != file.sha256:
            raise StateError(
                f"The restore point's copy of {file.path} is damaged: its digest is not the recorded one.",
                hint="Choose another one: `updater backup list`.",
            )


def stage_files(
    directory: Path, tree: Path, changes: tuple[Change, ...], source: Source, progress: Callable[[int], None]
) -> None:
    """Write every file that is added or replaced below ``directory``, with its final mode, owner and time.

    ``progress`` gets the bytes written so far. Nothing is flushed: the caller flushes the filesystem once.
    """
    done = 0
    made: set[str] = set()
    for change in changes:
        if change.new is None:
            continue
        target = f"{directory}/{change.path}"
        origin = source.origin(change.path) if isinstance(source, PathSource) else None
        folder = change.path.rpartition("/")[0]
        if folder not in made:
            _make_folder(directory, change.path, origin)
            made.add(folder)
        if change.new.symlink is not None:
            Path(target).unlink(missing_ok=True)
            Path(target).symlink_to(change.new.symlink)
        else:
            _write(target, change, source)
        _adopt(target, f"{tree}/{change.path}", change, origin)
        done += change.new.size
        progress(done)


def _make_folder(directory: Path, path: str, origin: Path | None) -> None:
    """The directory for a staged file. On the way back it remembers what was set on the one that ``origin`` lay in, in
    case that is gone from the site (`StagedTransaction.former_folders`)."""
    folder = path.rpartition("/")[0]
    if origin is None:
        (directory / folder).mkdir(parents=True, exist_ok=True)
    else:
        directory.mkdir(parents=True, exist_ok=True)
        make_directories(directory, folder, origin.parents[path.count("/")], ours=True)


def _write(target: str, change: Change, source: Source) -> None:
    assert change.new is not None  # noqa: S101 - narrows the type; callers stage only what is written
    if isinstance(source, GivingSource):
        source.give(change.new, target)
    else:
        with Path(target).open("wb") as out:
            source.copy(change.new, out)
    os.chmod(target, _mode(change))


def _mode(change: Change) -> int:
    """The release decides whether a file is executable; who may read and write it stays as the owner set it."""
    assert change.new is not None  # noqa: S101
    if change.old is None or change.old.kind != "file":
        return change.new.mode
    kept = change.old.mode & 0o666
    return kept | ((kept & 0o444) >> 2) if change.new.mode & 0o100 else kept


def _adopt(target: str, live: str, change: Change, origin: Path | None) -> None:
    """Carry over what belongs to the site: owner, access control lists and attributes of the file that is replaced, or
    of the one that comes back (``origin``), or else of the surroundings; and a time that no old bytecode matches."""
    assert change.new is not None  # noqa: S101 - narrows the type
    file = change.new.symlink is None
    try:
        previous = os.lstat(live)
    except (FileNotFoundError, NotADirectoryError):
        previous = None
    replaced = previous is not None and file == stat.S_ISREG(previous.st_mode) and not stat.S_ISDIR(previous.st_mode)
    model = live if replaced else origin
    if model is None:
        folder = _nearest(Path(live).parent)
        owner = previous or folder.stat()
        adopt_surroundings(target, folder, owner=(owner.st_uid, owner.st_gid), file=file, mode=_mode(change))
    else:
        known = read_metadata(model)
        set_owner(target, known.uid, known.gid)
        set_attributes(target, known.attributes, other_content=model == live)
        if file:
            set_mode(target, _mode(change))  # last: a new owner clears set-id bits, and the mode bounds an ACL's mask
    if file:
        freshen(target, time.time(), 0.0 if previous is None else previous.st_mtime)


def _nearest(path: Path) -> Path:
    while not path.is_dir():
        path = path.parent
    return path


def stage_database(source: Path, target: Path) -> None:
    """Put a database dump beside the plan that will restore it, without copying where the filesystem can link."""
    target.mkdir()
    for path in entries_below(source):
        copy = target / path.relative_to(source)
        if path.is_dir():
            copy.mkdir(parents=True, exist_ok=True)
        else:
            copy.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(path, copy)
