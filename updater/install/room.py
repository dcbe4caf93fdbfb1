"""Whether what becomes a file is a directory that will be empty by then (standard library only)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from updater.errors import InstallError
from updater.install.changes import Change
from updater.install.names import as_given

__all__ = ["check_room", "walk"]


def check_room(tree: Path, changes: tuple[Change, ...]) -> None:
    """Raise InstallError when a directory that gives way to a file holds something of the owner's."""
    deleted = {change.path for change in changes if change.action == "delete"}
    for change in changes:
        full = tree / change.path
        if change.action != "add" or full.is_symlink() or not full.is_dir():
            continue
        left = [name for name in walk(full) if f"{change.path}/{name}".rstrip("/") not in deleted]
        left = [name for name in left if not name.endswith("/") or not _holds(change.path + "/" + name, deleted)]
        if left:
            raise InstallError(
                f"The release has a file at {change.path}, where this site has a directory with files of its own, "
                f"such as {left[0]}.",
                hint="Move them away, then start the update again.",
            )


def _holds(folder: str, paths: set[str]) -> bool:
    return any(path.startswith(folder) for path in paths)


def walk(root: Path) -> Iterator[str]:
    """Every file and symlink below ``root``, and every directory (with a ``/`` at its end), without bytecode caches;
    an unreadable directory raises."""

    def fail(error: OSError) -> None:
        raise error

    for folder, folders, files in os.walk(root, onerror=fail):
        here = Path(folder)
        present = {*folders, *files}
        folders[:] = [as_given(here, name, present) for name in folders]
        files[:] = [as_given(here, name, present) for name in files]
        links = [name for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(name for name in folders if name != "__pycache__" and name not in links)
        for name in folders:
            yield (here / name).relative_to(root).as_posix() + "/"
        for name in (*files, *links):
            yield (here / name).relative_to(root).as_posix()
