"""Directories of a site that lie on another filesystem than ``.updater/`` (standard library only).

A bind mount, a volume of its own, a btrfs subvolume: nothing can be renamed or linked from ``.updater/`` into it. For
the time of one update, each has a hidden directory of its own at its top::

    <volume>/.updater-<id>/files/    what will be renamed into place, copied there from staging
    <volume>/.updater-<id>/saved/    hard links to what it replaces (copies where there are no hard links)
    <volume>/.updater-<id>/ballast   gives the way back some room (`updater.site.ballast`)

So the switch and the way back are renames inside one filesystem there as well: the rules of `updater.install.in_place`
hold unchanged, the way back needs no space, and owners and attributes come back with the file itself. The restore point
gets copies, because it outlives the update. What is in a volume is flushed before the journal says "stopping".

``staging/<id>/volumes.json`` names the directories before the first of them is made. When one of them is missing on the
way back, its volume is not mounted: that is an error, or files would be restored into the empty mount point.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from updater.errors import RollbackError, StateError
from updater.install.records import optional_path
from updater.install.transaction import StagedTransaction
from updater.site.ballast import LEAST, drop_ballast_at, make_ballast_at
from updater.site.files import make_private_directory, move_or_copy, remove_tree, sync_filesystem, write_atomic
from updater.site.looking import is_directory
from updater.site.reading import read_json

__all__ = ["Volumes", "is_other_filesystem", "mount_points", "volume_of"]

_MOUNTS = Path("/proc/self/mountinfo")
_PROBE = f".updater-{secrets.token_hex(8)}"
"""A name that nothing has."""


def is_other_filesystem(one: str | Path, other: str | Path) -> bool:
    """Whether files cannot be renamed between two existing directories. Changes nothing: a name that does not exist is
    renamed, and the kernel compares the mounts before it looks for it. Raises OSError."""
    if os.stat(one).st_dev != os.stat(other).st_dev:
        return True
    try:
        os.rename(f"{one}/{_PROBE}", f"{other}/{_PROBE}")  # noqa: PTH104 - asked of every folder
    except OSError as error:
        if error.errno == errno.EXDEV:
            return True  # a bind mount: the same filesystem, and still no way across
        if error.errno not in (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS):
            raise
    return False


def volume_of(tree: Path, state: Path, path: str, known: dict[str, str | None]) -> str | None:
    """The directory of ``tree`` at the top of the filesystem that the directory ``path`` (which need not exist) lies
    on, when it is not that of ``state``: "" is the tree itself, None means that it is the same. ``known`` remembers."""
    if path not in known:
        if not path:
            known[path] = "" if is_other_filesystem(state, tree) else None
        else:
            parent = path.rpartition("/")[0]
            above = volume_of(tree, state, parent, known)
            full = f"{tree}/{path}"
            known[path] = path if is_directory(full) and is_other_filesystem(f"{tree}/{parent}", full) else above
    return known[path]


def mount_points() -> frozenset[str]:
    """The absolute real paths on which something is mounted, files among them; empty where nobody can tell."""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except FileNotFoundError:
        return frozenset()  # not Linux: renaming over a mount point then fails, and is undone
    return frozenset(_unescape(line.split(" ")[4]) for line in lines)


def _unescape(text: str) -> str:
    """proc(5): space, tab, newline and backslash are written as three octal digits."""
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text


def _read_names(record: Path) -> tuple[str, ...]:
    names = read_json(record)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("it is not a list of directories")
    for name in names:
        optional_path(name)
    return tuple(names)


class Volumes:
    """Where one in-place update keeps its files on each filesystem; without other filesystems, all in ``.updater/``."""

    def __init__(self, staged: StagedTransaction, tree: Path) -> None:
        self._staged = staged
        self._tree = tree
        self._record = staged.directory / "volumes.json"
        self._hidden = f".updater-{staged.transaction.id}"
        self._names: tuple[str, ...] = ()
        if self._record.exists():
            try:
                self._names = _read_names(self._record)
            except (OSError, ValueError) as error:
                raise StateError(
                    f"{self._record} cannot be read: {error}",
                    hint="Everything is kept: compare the site with `updater verify`, and see docs/reliability.md.",
                ) from error

    @property
    def roots(self) -> list[Path]:
        """The directory at the top of each other filesystem."""
        return [self._tree / name for name in self._names]

    def staged(self, path: str) -> Path:
        """Where the new file for ``path`` waits to be renamed into place."""
        return self._home(path, self._staged.files, "files") / path

    def saved(self, path: str) -> Path:
        """Where the old file of ``path`` waits to be renamed back."""
        return self._home(path, self._staged.backup / "files", "saved") / path

    def is_elsewhere(self, path: str) -> bool:
        """Whether ``path`` lies on another filesystem than ``.updater/``."""
        return self._name(path) is not None

    def open(self, paths: Iterable[str]) -> None:
        """Find the other filesystems that ``paths`` lie on, write them down, and make their hidden directories."""
        known: dict[str, str | None] = {}
        folders = {path.rpartition("/")[0] for path in paths}
        found = {volume_of(self._tree, self._staged.site.directory, folder, known) for folder in folders}
        self._names = tuple(sorted(name for name in found if name is not None))
        if self._names:
            write_atomic(self._record, json.dumps(self._names).encode())
        for root in self.roots:
            make_private_directory(root / self._hidden)
            make_ballast_at(root / self._hidden / "ballast", LEAST)

    def fetch(self, path: str) -> None:
        """Bring the staged file for ``path`` onto its own filesystem."""
        target = self.staged(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        move_or_copy(self._staged.files / path, target)

    def sync(self) -> None:
        """Flush each other filesystem."""
        for root in self.roots:
            sync_filesystem(root)

    def prepare_undo(self) -> None:
        """Make room for the way back. Raises RollbackError when a filesystem is not mounted."""
        for root in self.roots:
            if not (root / self._hidden).is_dir():
                raise RollbackError(
                    f"{root / self._hidden} is missing: the filesystem that was mounted at {root} is not there.",
                    hint=f"Mount {root}, then run `updater recover`.",
                )
            drop_ballast_at(root / self._hidden / "ballast")

    def clean(self) -> None:
        """Remove the hidden directories: nothing leads back any more."""
        for root in self.roots:
            remove_tree(root / self._hidden)

    def _name(self, path: str) -> str | None:
        holding = [name for name in self._names if not name or path.startswith(name + "/")]
        return max(holding, key=len, default=None)

    def _home(self, path: str, usual: Path, kind: str) -> Path:
        name = self._name(path)
        return usual if name is None else self._tree / name / self._hidden / kind
