"""Filling ``staging/<id>/files`` with verified files, ready to be renamed into place (standard library only)."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, Protocol

from updater.errors import StateError
from updater.install.bytecode import freshen
from updater.install.changes import Change
from updater.schema.manifest import ManifestFile
from updater.site.files import link_or_copy
from updater.site.reading import open_regular

__all__ = ["PathSource", "Source", "stage_database", "stage_files"]

_CHUNK = 1 << 20


class Source(Protocol):
    """Where new files come from: a package, or a restore point."""

    def copy(self, file: ManifestFile, out: BinaryIO) -> None:
        """Write the verified content of ``file``. Raises an UpdaterError when it is not what the manifest says."""


class PathSource:
    """Files that lie on disk, by their path in the manifest: a restore point, or an old slot."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = paths

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
    for change in changes:
        if change.new is None:
            continue
        target = directory / change.path
        target.parent.mkdir(parents=True, exist_ok=True)
        if change.new.symlink is not None:
            target.unlink(missing_ok=True)
            target.symlink_to(change.new.symlink)
        else:
            _write(target, change, source)
        _adopt(target, tree / change.path, change)
        done += change.new.size
        progress(done)


def _write(target: Path, change: Change, source: Source) -> None:
    assert change.new is not None  # noqa: S101 - narrows the type; callers stage only what is written
    with target.open("wb") as out:
        source.copy(change.new, out)
    target.chmod(_mode(change))


def _mode(change: Change) -> int:
    """The release decides whether a file is executable; who may read and write it stays as the owner set it."""
    assert change.new is not None  # noqa: S101
    if change.old is None or change.old.kind != "file":
        return change.new.mode
    kept = change.old.mode & 0o666
    return kept | ((kept & 0o444) >> 2) if change.new.mode & 0o100 else kept


def _adopt(target: Path, live: Path, change: Change) -> None:
    """Carry over what belongs to the site: the owner, and a time that no old bytecode matches."""
    try:
        previous = live.lstat()
    except (FileNotFoundError, NotADirectoryError):
        previous = None
    if os.geteuid() == 0:
        owner = previous or _nearest(live.parent).stat()
        os.chown(target, owner.st_uid, owner.st_gid, follow_symlinks=False)
        if change.new is not None and change.new.symlink is None:
            target.chmod(_mode(change))  # chown clears set-id bits and may clear others
    if change.new is not None and change.new.symlink is None:
        freshen(target, time.time(), 0.0 if previous is None else previous.st_mtime)


def _nearest(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def stage_database(source: Path, target: Path) -> None:
    """Put a database dump beside the plan that will restore it, without copying where the filesystem can link."""
    target.mkdir()
    for path in source.rglob("*"):
        copy = target / path.relative_to(source)
        if path.is_dir():
            copy.mkdir(parents=True, exist_ok=True)
        else:
            copy.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(path, copy)
