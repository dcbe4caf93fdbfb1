"""What really lies at the paths of a manifest (standard library only)."""

from __future__ import annotations

import hashlib
import itertools
import os
import stat
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from updater.install.names import is_listed
from updater.schema.manifest import ManifestFile
from updater.schema.paths import twins
from updater.site.files import hash_file
from updater.site.looking import exists, is_symlink, real_path

__all__ = ["KINDS", "Kind", "Observed", "observe", "threads_for"]

Kind = Literal["file", "symlink", "directory", "other", "behind-symlink", "behind-file"]
_MOST_THREADS = 4
_WORTH_A_THREAD = 200
"""Files: for fewer, starting a thread takes longer than reading them."""

_TRIED_ALONE = 50
"""Files that are read first, to learn whether the disk makes us wait."""

_LARGE = 32 * 1024
"""Bytes of a file from which on hashing takes longer than what only one thread at a time can do."""

_BUSY = 0.8

KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Observed:
    """One path. ``sha256`` and ``size`` (bytes) are of a symlink's target text; empty for other kinds.

    ``behind-symlink`` means that a parent directory is a symlink: what lies there, if anything, is not the tree's to
    change. ``behind-file`` means that a file or device stands where the path needs a directory. Not ``listed``: the
    directory has it under another spelling, which is asked only where two paths differ by nothing else.
    """

    kind: Kind
    sha256: str = ""
    size: int = 0
    mode: int = 0
    inode: int = 0
    mtime_ns: int = 0
    symlink: str | None = None
    listed: bool = True

    def matches(self, file: ManifestFile) -> bool:
        """Whether this is what the manifest says: type, content, and the executable bit (other bits are the site's)."""
        has_content = file.has_content(self.sha256, self.size)
        if self.kind == "symlink":
            return self.symlink == file.symlink or (file.symlink == "" and has_content)
        return (
            self.kind == "file"
            and file.symlink is None
            and has_content
            and bool(self.mode & 0o100) == bool(file.mode & 0o100)
        )

    def unchanged(self, now: os.stat_result) -> bool:
        """Whether a later ``lstat`` still shows the same file, with the same mode."""
        same_size = self.kind != "file" or (self.size, self.mode) == (now.st_size, stat.S_IMODE(now.st_mode))
        return same_size and (self.inode, self.mtime_ns) == (now.st_ino, now.st_mtime_ns)

    def is_still(self, seen: Observed) -> bool:
        """The same for one that was looked at again, but not read."""
        mine = (self.kind, self.size, self.mode, self.inode, self.mtime_ns)
        return mine == (seen.kind, seen.size, seen.mode, seen.inode, seen.mtime_ns)


def observe(
    tree: Path, paths: Iterable[str], *, shared: Path | None = None, known: Mapping[str, Observed] | None = None
) -> dict[str, Observed]:
    """Look at ``paths`` below ``tree``; absent ones are left out, except behind a symlink or a file that is in the way.

    ``shared`` is the directory that the tree's own links (slots layout) lead to: what is absent there is just absent.
    ``known`` is what was seen there before: a file that is still the same (`Observed.unchanged`) is not read again.
    Raises OSError for anything that cannot be read: a tree that cannot be judged must not be changed.
    """
    found: dict[str, Observed] = {}
    parents: dict[str, bool] = {"": False}
    paths, root = tuple(paths), str(tree)
    for path in paths:
        seen = _observe_one(root, path, parents)
        if seen is not None and not (shared is not None and _absent_in(shared, tree / path, seen)):
            found[path] = seen
    _hash_all(root, found, known or {})
    for name in itertools.chain.from_iterable(twins(paths).values()):
        if name in found and not found[name].kind.startswith("behind-"):
            found[name] = replace(found[name], listed=is_listed(tree, name))
    return found


def _hash_all(root: str, found: dict[str, Observed], known: Mapping[str, Observed]) -> None:
    """Read what are files. Hashing lets other threads run, and is most of the work."""
    to_read = []
    for path, seen in found.items():
        if seen.kind == "file":
            before = known.get(path)
            if before is not None and before.is_still(seen):
                found[path] = before if before.listed else replace(before, listed=True)
            else:
                to_read.append(path)

    def read(paths: list[str]) -> list[tuple[str, str, int]]:
        return [(path, *hash_file(f"{root}/{path}")) for path in paths]

    started, worked = time.perf_counter(), time.thread_time()
    read_files = read(to_read[:_TRIED_ALONE])
    busy = (time.thread_time() - worked) / max(time.perf_counter() - started, 1e-9)
    rest = to_read[_TRIED_ALONE:]
    threads = threads_for(len(rest), sum(found[path].size for path in rest), busy, os.cpu_count() or 1)
    if threads == 1:
        read_files += read(rest)
    else:
        with ThreadPoolExecutor(threads) as pool:
            shares = pool.map(read, (rest[number::threads] for number in range(threads)))
            read_files += itertools.chain.from_iterable(shares)
    for path, sha256, size in read_files:
        found[path] = replace(found[path], sha256=sha256, size=size)


def threads_for(files: int, size: int, busy: float, cores: int) -> int:
    """How many threads read so many files of ``size`` bytes together best, when one alone was ``busy`` (0 to 1) and
    waited for the disk the rest of the time.

    Two that hash small files in memory mostly wait for each other, and take longer than one; from a disk, four take
    half of the time of one (``python -m tools.bench reading``, docs/benchmarks.md).
    """
    threads = min(_MOST_THREADS, 1 + files // _WORTH_A_THREAD)
    if busy < _BUSY:
        return threads
    return min(threads, cores) if size >= files * _LARGE else 1


def _observe_one(root: str, path: str, parents: dict[str, bool]) -> Observed | None:
    """Texts instead of paths: this is done for every file of a release, and making a `Path` takes longer than asking
    the disk."""
    full = f"{root}/{path}"
    if _behind_symlink(root, path.rpartition("/")[0], parents):
        return Observed("behind-symlink")
    try:
        status = os.lstat(full)
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        return Observed("behind-file")
    identity = (stat.S_IMODE(status.st_mode), status.st_ino, status.st_mtime_ns)
    if stat.S_ISREG(status.st_mode):
        return Observed("file", "", status.st_size, *identity)
    if stat.S_ISLNK(status.st_mode):
        target = os.readlink(full)
        data = os.fsencode(target)
        return Observed("symlink", hashlib.sha256(data).hexdigest(), len(data), *identity, symlink=target)
    return Observed("directory" if stat.S_ISDIR(status.st_mode) else "other", "", 0, *identity)


def _absent_in(shared: Path, full: Path, seen: Observed) -> bool:
    if seen.kind != "behind-symlink" or exists(full):
        return False
    return real_path(full.parent).is_relative_to(real_path(shared))


def _behind_symlink(root: str, parent: str, known: dict[str, bool]) -> bool:
    if parent not in known:
        above = parent.rpartition("/")[0]
        known[parent] = _behind_symlink(root, above, known) or is_symlink(f"{root}/{parent}")
    return known[parent]
