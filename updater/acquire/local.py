"""Content that is on disk already, under whatever name: it is copied instead of fetched.

Nothing here is believed: whoever copies a file compares its digest. Places are looked through from the cheapest to the
dearest, and each is read only when something is still wanted: what was seen of the tree, what restore points saved,
earlier slots, and last, by their sizes, files that no manifest lists but that lie beside listed ones.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from updater.errors import FeedError, UpdaterError
from updater.install.edited import list_edited
from updater.install.observe import Observed
from updater.install.restore_points import RestorePoint, list_restore_points
from updater.schema.manifest import Manifest, ManifestFile
from updater.site.files import hash_file
from updater.site.site import Site

__all__ = ["LocalContent", "find_manifest"]

_LEAST_SIZE = 512
"""Bytes of a file for which strangers are read: a smaller one is fetched for less."""

_PREFIX = 8
"""Hex digits of a digest that an outline has at least."""

_MOST_ENTRIES = 50_000
_MOST_READ = 64 * 2**20
"""Entries of directories that are looked at, and bytes that are read of files whose size alone is right."""


class LocalContent:
    """Where on this site content lies. ``seen`` is what lies at the paths of the tree."""

    def __init__(self, site: Site, tree: Path, seen: Mapping[str, Observed]) -> None:
        self._site = site
        self._tree = tree
        self._seen = seen
        self._wanted_sizes: set[int] = set()

    def find(self, files: Iterable[ManifestFile]) -> dict[str, str]:
        """By path of each of ``files`` for which there is one: where a file lies that seems to have its content.
        Raises OSError."""
        found: dict[str, str] = {}
        left = {file.path: file for file in files if file.sha256}
        wanted = {file.sha256[:_PREFIX] for file in left.values()}
        places: dict[str, list[tuple[str, str]]] = {}
        for room in (self._in_tree, self._saved, self._in_slots, self._strangers):
            if not left:
                break
            self._wanted_sizes = {file.size for file in left.values()}
            for sha256, place in room():
                if sha256[:_PREFIX] in wanted:  # of a site's many files few are: the others take no memory
                    places.setdefault(sha256[:_PREFIX], []).append((sha256, place))
            for path, file in list(left.items()):
                candidates = places.get(file.sha256[:_PREFIX], ())
                right = (place for sha256, place in candidates if sha256.startswith(file.sha256))
                first = next((place for place in right if _has_size(place, file.size)), None)
                if first is not None:
                    found[path] = first
                    del left[path]
        return found

    # the rooms; of their many places few are ever asked for, so they are texts

    def _in_tree(self) -> Iterator[tuple[str, str]]:
        tree = str(self._tree)
        yield from ((seen.sha256, f"{tree}/{path}") for path, seen in self._seen.items() if seen.kind == "file")

    def _saved(self) -> Iterator[tuple[str, str]]:
        for point in self._points():
            home = str(point.files)
            yield from ((file.sha256, f"{home}/{file.path}") for file in point.saved if file.symlink is None)

    def _in_slots(self) -> Iterator[tuple[str, str]]:
        for point in self._points():
            if point.slot is None or not (self._site.releases / point.slot).is_dir():
                continue
            data = point.manifest_bytes()
            try:
                files = {} if data is None else Manifest.parse(data).files
            except FeedError:
                continue  # a damaged record of an old release: `updater backup verify` tells of it
            home = str(self._site.releases / point.slot)
            yield from ((file.sha256, f"{home}/{path}") for path, file in files.items() if file.symlink is None)

    def _points(self) -> list[RestorePoint]:
        return list_restore_points(self._site)

    def _strangers(self) -> Iterator[tuple[str, str]]:
        budget = _MOST_READ
        for path in (*self._kept_copies(), *self._neighbours()):
            status = path.lstat()
            fits = status.st_size in self._wanted_sizes and _LEAST_SIZE <= status.st_size <= budget
            if not fits or not stat.S_ISREG(status.st_mode):
                continue
            budget -= status.st_size
            try:
                yield hash_file(path)[0], str(path)
            except OSError:
                continue  # the owner's own file, which this user may not read

    def _kept_copies(self) -> Iterator[Path]:
        yield from (file.copy for file in list_edited(self._site))

    def _neighbours(self) -> Iterator[Path]:
        folders = {path.rpartition("/")[0] for path in self._seen}
        entries = 0
        for folder in sorted(folders):
            try:
                with os.scandir(self._tree / folder) as found:
                    for entry in found:
                        entries += 1
                        path = f"{folder}/{entry.name}".lstrip("/")
                        if path not in self._seen and entry.is_file(follow_symlinks=False):
                            yield Path(entry.path)
            except OSError:
                continue
            if entries > _MOST_ENTRIES:
                return


def find_manifest(site: Site, downloads: Path, sha256: str, size: int) -> bytes | None:
    """A manifest with this digest and size (bytes) that a restore point or an earlier attempt keeps, or None."""
    places = [downloads / f"{sha256}.json"]
    if site.backups.is_dir():
        places += [entry / "manifest.json" for entry in site.backups.iterdir()]
    for place in places:
        try:
            if _has_size(place, size) and hash_file(place)[0] == sha256:
                return place.read_bytes()
        except (OSError, UpdaterError):
            continue
    return None


def _has_size(path: str | Path, size: int) -> bool:
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size == size
