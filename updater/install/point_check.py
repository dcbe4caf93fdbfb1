"""Whether a restore point could be restored: at a glance, or by reading all of it again (standard library only)."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from updater.database import Backup, Database, check_files
from updater.errors import UpdaterError
from updater.install.observe import observe
from updater.install.restore_points import RestorePoint, damaged_restore_points, list_restore_points
from updater.install.targets import target_of
from updater.schema.globs import matches_any
from updater.schema.manifest import Manifest, ManifestFile
from updater.site.files import hash_file
from updater.site.looking import exists
from updater.site.site import Site

__all__ = ["Progress", "check_point", "dump_problems", "glance_at_all"]

Progress = Callable[[str], None]
"""Told what is being read."""

MOST_PROBLEMS = 50
"""Problems that are listed of one restore point: a disk that fails has thousands."""


def glance_at_all(site: Site, points: Sequence[RestorePoint]) -> dict[str, list[str]]:
    """What is wrong with each, as far as names and sizes tell; an empty list means "good".

    An in-place point also needs all newer ones, down to their saved files.
    """
    found: dict[str, list[str]] = {}
    unreadable = damaged_restore_points(site)
    above: list[str] = []
    for point in sorted(points, key=lambda point: point.id, reverse=True):
        own = [*_manifest_problems(point), *dump_problems(point), *_size_problems(site, point)]
        found[point.id] = own if point.layout == "slots" else own + above
        lost = [f"its way back leads through {name}, which is damaged" for name in unreadable if name > point.id]
        if point.layout == "in-place":
            found[point.id] += lost
            if own:
                above = [f"its way back leads through {point.id}, which is damaged"]
    return found


def check_point(site: Site, point: RestorePoint, database: Database | None, progress: Progress) -> list[str]:
    """Read everything again that going back to ``point`` would use; sentences about what is damaged.

    ``database`` is the configured one when it is of the kind that was saved: its dump is read by its own program then.
    """
    problems = _manifest_problems(point)
    progress(f"{point.id}: files")
    problems += _slot_problems(site, point) if point.layout == "slots" else _file_problems(site, point)
    problems += dump_problems(point) or _dump_damage(point, database, progress)
    return problems[:MOST_PROBLEMS]


def dump_problems(point: RestorePoint) -> list[str]:
    """What names and sizes tell about the saved database."""
    if point.database is None:
        return []
    try:
        record = Backup.from_json(point.database)
    except UpdaterError as error:
        return [str(error)]
    problems = []
    for file in record.files:
        path = point.database_directory / file.name
        try:
            size = path.stat().st_size
        except OSError as error:
            problems.append(f"the database's backup {path} cannot be read: {error.strerror}")
            continue
        if size != file.size:
            problems.append(f"the database's backup {path} has {size} bytes and had {file.size}")
    return problems


def _dump_damage(point: RestorePoint, database: Database | None, progress: Progress) -> list[str]:
    if point.database is None:
        return []
    progress(f"{point.id}: database")
    try:
        record = Backup.from_json(point.database)
        if database is not None and database.kind == record.kind:
            database.verify(point.database_directory, record)
        else:
            check_files(record.kind, point.database_directory, record)
    except UpdaterError as error:
        return [str(error)]
    return []


def _manifest_problems(point: RestorePoint) -> list[str]:
    if point.version is None:
        return []
    try:
        data = point.manifest_bytes()
        if data is None:
            return ["its manifest is missing"]
        manifest = Manifest.parse(data, f"the manifest of restore point {point.id}")
    except (OSError, UpdaterError) as error:
        return [f"its manifest cannot be read: {error}"]
    if manifest.version != point.version:
        return [f"its manifest is of {manifest.version}, not of {point.version}"]
    return []


def _size_problems(site: Site, point: RestorePoint) -> list[str]:
    """Files that are missing, or of another size."""
    if point.layout == "in-place":
        return _of_another_size(point.files, (file.to_manifest_file() for file in point.saved))
    slot = site.releases / str(point.slot)
    if not slot.is_dir():
        return [f"its slot {slot} is gone"]
    if point.differing is None:
        return []
    return _of_another_size(slot, _as_released(point))


def _of_another_size(root: Path, files: Iterable[ManifestFile]) -> list[str]:
    problems = []
    for file in files:
        try:
            status = (root / file.path).lstat()
        except OSError as error:
            problems.append(f"{root / file.path} cannot be read: {error.strerror}")
            continue
        is_link = stat.S_ISLNK(status.st_mode)
        if is_link != (file.symlink is not None) or (not is_link and status.st_size != file.size):
            problems.append(f"{root / file.path} is not what was saved")
        if len(problems) == MOST_PROBLEMS:
            break
    return problems


def _as_released(point: RestorePoint) -> list[ManifestFile]:
    """The files of a slot that were as its release has them, and do not belong to the site."""
    try:
        data = point.manifest_bytes()
        manifest = Manifest.parse(data) if data is not None else None
    except (OSError, UpdaterError):
        return []  # told already
    if manifest is None or point.differing is None:
        return []
    own = set(point.differing)
    files = manifest.files.items()
    return [file for path, file in files if path not in own and not matches_any(path, manifest.preserve)]


def _slot_problems(site: Site, point: RestorePoint) -> list[str]:
    slot = site.releases / str(point.slot)
    if not slot.is_dir():
        return [f"its slot {slot} is gone"]
    problems = _digests_differ(slot, _as_released(point))
    for path in point.differing or ():
        copy = point.directory / "edited" / path
        if not copy.is_symlink() and copy.is_file():
            digest, size = hash_file(copy)
            problems += _digests_differ(slot, [ManifestFile(path, digest, size)])
    return problems


def _digests_differ(root: Path, files: Sequence[ManifestFile]) -> list[str]:
    listed = {file.path: file for file in files}
    try:
        seen = observe(root, listed)
    except OSError as error:
        return [f"{error.filename or root} cannot be read: {error.strerror}"]
    wrong = [
        path
        for path, file in listed.items()
        if path not in seen or (seen[path].sha256, seen[path].symlink) != (file.sha256, file.symlink)
    ]
    return [f"{root / path} is missing" if not exists(root / path) else f"{root / path} is damaged" for path in wrong]


def _file_problems(site: Site, point: RestorePoint) -> list[str]:
    """Of an in-place point: what it saved itself, and what its way back takes from newer ones."""
    problems = _digests_differ(point.files, [file.to_manifest_file() for file in point.saved])
    for later in list_restore_points(site):
        if later.id > point.id:
            known = {file.path for file in point.saved}
            taken = [file.to_manifest_file() for file in later.saved if file.path not in known]
            problems += _digests_differ(later.files, taken)
    try:
        target_of(site, point)
    except (UpdaterError, OSError) as error:
        problems.append(str(error))
    return problems
