"""Restore points: what an update saved, and how many of them are kept (standard library only).

An in-place restore point holds the files that its update replaced or deleted; one of a site with slots names the slot
that was left. updater/install/targets.py says how a release is put together from them.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from updater.database.base import Backup
from updater.errors import BlockedError, StateError
from updater.frozen import frozen
from updater.install.component_changes import ComponentChange
from updater.install.records import check_own_name, read_content, read_migrations, read_record
from updater.schema.document import Reader, dump_json, format_time
from updater.schema.manifest import ManifestFile
from updater.schema.paths import check_path
from updater.schema.text import check_version
from updater.site.files import (
    fsync_directory,
    link_or_copy,
    make_directories,
    remove_temporaries,
    remove_tree,
    sync_filesystem,
    write_atomic,
)
from updater.site.looking import entries_below, exists
from updater.site.reading import MOST_MANIFEST, read_file
from updater.site.site import Layout, Site

__all__ = [
    "RestorePoint",
    "SavedFile",
    "damaged_restore_points",
    "delete",
    "discard",
    "find_restore_point",
    "finish_deletions",
    "list_restore_points",
    "unlist",
]

_FORMAT = 1
RECORD_NAME = "restore_point.json"
_DELETED_NAME = "deleted.json"
_DAMAGED = (errno.ENOENT, errno.EISDIR, errno.EINVAL, errno.EFBIG, errno.ELOOP)
"""Errors of a record that will never be readable; any other one may pass."""


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


@frozen
class RestorePoint:
    """The way back to ``version`` (None: to "nothing installed"), made by the update to ``replaced_by``.

    ``migrations`` is what was known of those that this update brought (``names``, ``backward_compatible``).
    ``differing`` are the paths at which the tree was not as released: edited, or removed. Both are None in records of
    updaters that did not write them down. ``components``: what that update changed, on a site that has several.
    """

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
    migrations: Mapping[str, Any] | None = None
    differing: tuple[str, ...] | None = None
    components: tuple[ComponentChange, ...] = ()

    @property
    def files(self) -> Path:
        return self.directory / "files"

    @property
    def database_directory(self) -> Path:
        return self.directory / "database"

    def manifest_bytes(self) -> bytes | None:
        """The manifest of ``version``, byte for byte."""
        path = self.directory / "manifest.json"
        return read_file(path, most=MOST_MANIFEST) if path.exists() else None

    def write(self) -> None:
        """Make the record durable: the last step of taking a restore point."""
        document = {key: value for key, value in self.__dict__.items() if key != "directory"} | {
            "format": _FORMAT,
            "created": format_time(self.created),
            "saved": [file.__dict__ for file in self.saved],
            "components": [change.to_json() for change in self.components],
        }
        write_atomic(self.directory / RECORD_NAME, dump_json(document, indent=None, ascii=True))

    @classmethod
    def load(cls, directory: Path, name: str = RECORD_NAME) -> RestorePoint:
        """Read a record. Raises StateError."""
        path = directory / name
        try:
            point = read_record(path, lambda reader: _read_point(reader, directory))
            if point.id != directory.name:
                raise ValueError(f"it is the record of {point.id}")
            return point
        except (OSError, ValueError) as error:
            raise StateError(
                f"The restore point {directory.name} cannot be read: {error}",
                hint="Choose another one: `updater backup list`.",
            ) from error


def _read_point(reader: Reader, directory: Path) -> RestorePoint:
    if reader.integer("format") != _FORMAT:
        raise ValueError("it was written by another version of the updater")
    database = reader.child("database", required=False)
    return RestorePoint(
        id=reader.text("id", check=check_own_name),
        created=reader.time("created"),
        layout=cast(Layout, reader.choice("layout", ("in-place", "slots"))),
        version=reader.optional_text("version", check=check_version),
        replaced_by=reader.optional_text("replaced_by", check=check_version),
        saved=tuple(_read_saved(child) for child in reader.children("saved", required=True)),
        added=reader.texts("added", check=check_path),
        database=None if database is None else Backup.read(database).to_json(),
        slot=reader.optional_text("slot", check=check_own_name),
        directory=directory,
        migrations=read_migrations(reader.child("migrations", required=False)),
        differing=reader.texts("differing", check=check_path) if reader.has("differing") else None,
        components=tuple(ComponentChange.read(child) for child in reader.children("components")),
    )


def _read_saved(reader: Reader) -> SavedFile:
    return SavedFile(
        path=reader.text("path", check=check_path),
        **read_content(reader),
        edited=reader.flag("edited", default=False),
    )


def list_restore_points(site: Site, *, strict: bool = False) -> list[RestorePoint]:
    """All that can be restored, newest first; unfinished, emptied and damaged ones are left out.

    ``strict``: a record that just cannot be read now raises StateError. Who deletes must see all of them.
    """
    return _load_all(site, strict=strict)[0]


def _load_all(site: Site, *, strict: bool = False) -> tuple[list[RestorePoint], list[str]]:
    points: list[RestorePoint] = []
    damaged: list[str] = []
    for entry in site.backups.iterdir() if site.backups.is_dir() else ():
        if (entry / RECORD_NAME).is_file():
            try:
                points.append(RestorePoint.load(entry))
            except StateError as error:
                if strict and isinstance(error.__cause__, OSError) and error.__cause__.errno not in _DAMAGED:
                    raise
                damaged.append(entry.name)
    return sorted(points, key=lambda point: point.id, reverse=True), sorted(damaged)


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


def damaged_restore_points(site: Site) -> list[str]:
    """The ids of those whose record cannot be read."""
    return _load_all(site)[1]


def delete(site: Site, point: RestorePoint) -> None:
    """Remove one restore point. The next older one inherits what it needs of it to stay complete.

    Its record is renamed first, so that a crash leaves something to be finished rather than a false promise.
    """
    older = [other for other in list_restore_points(site, strict=True) if other.id < point.id]
    if older:
        _bequeath(point, older[0])
    os.replace(point.directory / RECORD_NAME, point.directory / _DELETED_NAME)
    try:
        fsync_directory(point.directory)
        finish_deletions(site)
    except (OSError, StateError) as error:
        raise StateError(
            f"The restore point {point.id} is deleted, but not all of it could be removed yet: {error}",
            hint="Remove the cause; the next update or `updater recover` removes the rest.",
        ) from error


def _bequeath(point: RestorePoint, heir: RestorePoint) -> None:
    """Give the next older point what its way back would take from ``point``. Done twice, it is the same.

    A file that ``point`` has lost is written down all the same: the heir must not seem to be complete.
    """
    known = {file.path for file in heir.saved} | set(heir.added)
    saved = [file for file in point.saved if file.path not in known]
    for file in saved:
        source, target = point.files / file.path, heir.files / file.path
        heir.files.mkdir(exist_ok=True)
        make_directories(heir.files, file.path.rpartition("/")[0], point.files, ours=True)
        target.unlink(missing_ok=True)
        if exists(source):
            link_or_copy(source, target)
    added = [path for path in point.added if path not in known and path not in {file.path for file in saved}]
    migrations = _joined(heir.migrations, point.migrations)
    if saved or added or migrations != heir.migrations:
        sync_filesystem(heir.directory)
        more = (*heir.saved, *saved), (*heir.added, *added)
        replace(heir, saved=more[0], added=more[1], migrations=migrations).write()


def _joined(older: Mapping[str, Any] | None, newer: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """What is known of the migrations of two updates in a row."""
    if not newer or not newer["names"]:
        return older
    if not older or not older["names"]:
        return newer
    said = {older["backward_compatible"], newer["backward_compatible"]}
    compatible = False if False in said else None if None in said else True
    return {"names": sorted({*older["names"], *newer["names"]}), "backward_compatible": compatible}


def unlist(directory: Path) -> None:
    """Remove the record of a restore point, so that nothing takes what is there for one. Raises OSError."""
    (directory / RECORD_NAME).unlink(missing_ok=True)
    fsync_directory(directory)


def discard(directory: Path, *, keep: Path | None = None) -> None:
    """Remove a restore point that leads nowhere: first of all its record, so that what is left is never taken for one.

    ``keep`` is an entry of it that stays. Absent is fine. Raises OSError."""
    if not directory.is_dir():
        return
    unlist(directory)
    if keep is None:
        remove_tree(directory)
        return
    for entry in list(directory.iterdir()):
        if entry != keep:
            remove_tree(entry) if entry.is_dir() else entry.unlink()


def finish_deletions(site: Site) -> None:
    """Carry deletions through that a crash may have cut short. The slot in use is never removed."""
    if not site.backups.is_dir():
        return
    in_use = {point.slot for point in list_restore_points(site, strict=True)} | {site.tree("slots").name}
    for directory in sorted(site.backups.iterdir()):
        remove_temporaries(directory / RECORD_NAME)
        record = directory / _DELETED_NAME
        if not record.is_file():
            continue
        slot = RestorePoint.load(directory, _DELETED_NAME).slot
        if slot is not None and slot not in in_use:
            remove_tree(site.releases / slot)
        for entry in list(directory.iterdir()):
            if entry != record and not (entry.name == "edited" and any(entries_below(entry))):
                remove_tree(entry) if entry.is_dir() else entry.unlink()
        sync_filesystem(directory)  # the slot, too: without the record nobody would remove again what came back
        record.unlink()
        if not any(directory.iterdir()):
            directory.rmdir()
