"""Restore points: what an update saved, and how to bring that release back (standard library only).

An in-place restore point holds hard links to the files that its update replaced or deleted. What a site looked like at
a point is put together from that point and all later ones: for each path the earliest of them that saved it, or the
live file when none did.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from updater.errors import BlockedError, StateError
from updater.install.observe import observe
from updater.schema.document import dump_json, format_time, parse_time
from updater.schema.manifest import Manifest, ManifestFile
from updater.site.files import remove_tree, write_atomic
from updater.site.site import Layout, Site

__all__ = ["RestorePoint", "SavedFile", "Target", "find_restore_point", "list_restore_points", "prune", "target_of"]

_FORMAT = 1
RECORD_NAME = "restore_point.json"


@dataclass(frozen=True)
class SavedFile:
    """A file as it was before an update. ``size`` in bytes; ``edited`` when the owner had changed it."""

    path: str
    sha256: str
    size: int
    mode: int
    symlink: str | None = None
    edited: bool = False

    def to_manifest_file(self) -> ManifestFile:
        return ManifestFile(self.path, self.sha256, self.size, self.mode, self.symlink)


@dataclass(frozen=True)
class RestorePoint:
    """The way back to ``version`` (None: to "nothing installed"), made by the update to ``replaced_by``."""

    id: str
    created: datetime
    layout: Layout
    version: str | None
    replaced_by: str | None
    saved: tuple[SavedFile, ...]
    added: tuple[str, ...]
    database: Mapping[str, Any] | None
    slot: str | None
    directory: Path

    @property
    def files(self) -> Path:
        return self.directory / "files"

    @property
    def database_directory(self) -> Path:
        return self.directory / "database"

    @property
    def size(self) -> int:
        """Bytes of the saved files and the database dump (hard links cost this only once the live files differ)."""
        dump = sum(file.stat().st_size for file in self.database_directory.rglob("*") if file.is_file())
        return dump + sum(file.size for file in self.saved)

    def manifest_bytes(self) -> bytes | None:
        """The manifest of ``version``, byte for byte."""
        path = self.directory / "manifest.json"
        return path.read_bytes() if path.exists() else None

    def write(self) -> None:
        """Make the record durable: the last step of taking a restore point."""
        document = {key: value for key, value in self.__dict__.items() if key != "directory"} | {
            "format": _FORMAT,
            "created": format_time(self.created),
            "saved": [asdict(file) for file in self.saved],
        }
        write_atomic(self.directory / RECORD_NAME, dump_json(document, indent=None))

    @classmethod
    def load(cls, directory: Path) -> RestorePoint:
        """Read a record. Raises StateError."""
        path = directory / RECORD_NAME
        try:
            value = json.loads(path.read_bytes())
            if value.pop("format") != _FORMAT:
                raise ValueError("it was written by another version of the updater")
            value["created"] = parse_time(value["created"])
            value["saved"] = tuple(SavedFile(**file) for file in value["saved"])
            value["added"] = tuple(value["added"])
            return cls(**value, directory=directory)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StateError(
                f"The restore point {directory.name} cannot be read: {error}",
                hint="Choose another one: `updater backup list`.",
            ) from error


def list_restore_points(site: Site) -> list[RestorePoint]:
    """All that can be restored, newest first. Unfinished and emptied ones are left out. Raises StateError."""
    if not site.backups.is_dir():
        return []
    found = [entry for entry in site.backups.iterdir() if (entry / RECORD_NAME).is_file()]
    points = [RestorePoint.load(entry) for entry in found]
    return sorted(points, key=lambda point: point.id, reverse=True)


def find_restore_point(site: Site, id: str | None) -> RestorePoint:  # noqa: A002 - what the owner calls it
    """The restore point with that id or version, or the newest. Raises BlockedError when there is none such."""
    points = list_restore_points(site)
    if id is not None:
        points = [point for point in points if id in (point.id, point.version)]
    if not points:
        raise BlockedError(
            f"This site has no restore point {id}." if id else "This site has no restore point yet.",
            hint="`updater backup list` shows them; every update makes one before it changes anything.",
        )
    return points[0]


@dataclass(frozen=True)
class Target:
    """What a rollback leads to. ``manifest`` describes the tree as it was, the owner's edits included;
    ``installed`` is the release's own manifest, byte for byte. ``paths`` says where each file's content lies."""

    manifest: Manifest | None
    installed: bytes | None
    paths: Mapping[str, Path]


def target_of(site: Site, point: RestorePoint) -> Target:
    """Put together what the site looked like at ``point``. Raises StateError when something is missing."""
    installed = point.manifest_bytes()
    if installed is None:
        return Target(None, None, {})
    manifest = Manifest.parse(installed, f"manifest of restore point {point.id}")
    if point.layout == "slots":
        return _target_of_slot(site, point, manifest, installed)
    chain = [later for later in reversed(list_restore_points(site)) if later.id >= point.id]
    saved: dict[str, tuple[RestorePoint, SavedFile]] = {}
    absent: set[str] = set()
    for later in chain:
        for file in later.saved:
            if file.path not in saved and file.path not in absent:
                saved[file.path] = (later, file)
        absent.update(path for path in later.added if path not in saved)
    files: dict[str, ManifestFile] = {}
    paths: dict[str, Path] = {}
    for path, listed in manifest.files.items():
        if path in saved:
            origin, file = saved[path]
            files[path] = file.to_manifest_file() if file.edited else listed
            paths[path] = origin.files / path
        elif path not in absent:
            files[path] = listed
    unsaved = {path: file for path, file in files.items() if path not in paths}
    for path, seen in observe(site.path, unsaved).items():
        if not seen.matches(unsaved[path]) and seen.kind in ("file", "symlink"):
            # no restore point ever replaced it, so the difference is the owner's: it stays
            files[path] = ManifestFile(path, seen.sha256, seen.size, seen.mode, seen.symlink)
    missing = sorted(path for path in unsaved if not _exists(site.path / path))
    return Target(replace(manifest, files={p: f for p, f in files.items() if p not in missing}), installed, paths)


def _target_of_slot(site: Site, point: RestorePoint, manifest: Manifest, installed: bytes) -> Target:
    slot = site.releases / str(point.slot)
    if not slot.is_dir():
        raise StateError(f"The slot {slot} of restore point {point.id} is gone.", hint="Choose another restore point.")
    seen = {path: found for path, found in observe(slot, manifest.files).items() if found.kind in ("file", "symlink")}
    files = {
        path: listed if seen[path].matches(listed) else _as_seen(path, seen[path].__dict__)
        for path, listed in manifest.files.items()
        if path in seen
    }
    return Target(replace(manifest, files=files), installed, {path: slot / path for path in files})


def _as_seen(path: str, seen: Mapping[str, Any]) -> ManifestFile:
    return ManifestFile(path, seen["sha256"], seen["size"], seen["mode"], seen["symlink"])


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def prune(site: Site, max_backups: int) -> list[str]:
    """Remove the oldest restore points beyond ``max_backups``; the owner's edited files stay. Returns the ids."""
    gone = list_restore_points(site)[max_backups:]
    for point in gone:
        delete(site, point)
    return [point.id for point in gone]


def delete(site: Site, point: RestorePoint) -> None:
    """Remove one restore point: its record first, so that a crash leaves rubbish rather than a false promise."""
    (point.directory / RECORD_NAME).unlink(missing_ok=True)
    if point.slot is not None:
        remove_tree(site.releases / point.slot)
    edited = point.directory / "edited"
    for entry in list(point.directory.iterdir()):
        if entry == edited and any(edited.rglob("*")):
            continue
        remove_tree(entry) if entry.is_dir() else entry.unlink()
    if not any(point.directory.iterdir()):
        point.directory.rmdir()
