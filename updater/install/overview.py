"""Restore points as a whole: what each can restore, what it takes, whether it is good (standard library only)."""

from __future__ import annotations

from collections.abc import Mapping

from updater.database import Database, open_database
from updater.errors import BlockedError, SchemaError, UpdaterError
from updater.events import Event, Phase, Reporter
from updater.frozen import frozen
from updater.install.disk_use import DiskUse, disk_use
from updater.install.edited import list_edited
from updater.install.point_check import check_point, glance_at_all
from updater.install.restore_points import (
    RestorePoint,
    damaged_restore_points,
    find_restore_point,
    list_restore_points,
)
from updater.schema.manifest import Manifest
from updater.site.site import Site

__all__ = ["Overview", "PointOverview", "overview", "refuse_last_good", "verify_points"]


@frozen
class PointOverview:
    """One restore point. ``files``: of the release it leads to; ``saved``: those of them it holds itself (with slots:
    all); ``database_size`` in bytes, None without a dump; ``edited``: kept copies of the owner's; ``problems``: what is
    wrong with it at a glance."""

    point: RestorePoint
    files: int
    saved: int
    database_kind: str | None
    database_size: int | None
    edited: int
    disk: DiskUse
    problems: tuple[str, ...]


@frozen
class Overview:
    """All restore points, newest first, and the ids of those whose record cannot be read."""

    points: tuple[PointOverview, ...]
    unreadable: tuple[str, ...]


def overview(site: Site) -> Overview:
    """Look at every restore point; files are not read. Raises OSError."""
    points = list_restore_points(site)
    problems, disk = glance_at_all(site, points), disk_use(site, points)
    edited: dict[str, int] = {}
    for file in list_edited(site):
        edited[file.restore_point] = edited.get(file.restore_point, 0) + 1
    found = []
    for point in points:
        files = _number_of_files(point)
        kind = None if point.database is None else str(point.database.get("kind"))
        found.append(
            PointOverview(
                point=point,
                files=files,
                saved=len(point.saved) if point.layout == "in-place" else files,
                database_kind=kind,
                database_size=_dump_size(point),
                edited=edited.get(point.id, 0),
                disk=disk[point.id],
                problems=tuple(problems[point.id]),
            )
        )
    return Overview(tuple(found), tuple(damaged_restore_points(site)))


def refuse_last_good(site: Site, point: RestorePoint) -> None:
    """Raise BlockedError when ``point`` is good and no other is: without it there would be no way back."""
    points = list_restore_points(site)
    problems = glance_at_all(site, points)
    others = [other for other in points if other.id != point.id and not problems[other.id]]
    if problems[point.id] or others:
        return
    only = "the only restore point" if len(points) == 1 else "the only restore point that is not damaged"
    raise BlockedError(
        f"{point.id} is {only}: without it there is no way back.",
        hint="Export it first, or keep it until the next update has made another one.",
    )


def verify_points(site: Site, choice: str | None, environ: Mapping[str, str], report: Reporter) -> dict[str, list[str]]:
    """What is damaged in the restore point ``choice`` (an id or a version), or in all of them, by id."""
    points = list_restore_points(site) if choice is None else [find_restore_point(site, choice)]

    def progress(message: str) -> None:
        report(Event(Phase.VERIFY, "message", f"Reading {message}"))

    database = _database(site, environ)
    found = {point.id: check_point(site, point, database, progress) for point in points}
    if choice is None:
        found |= {name: ["its record cannot be read"] for name in damaged_restore_points(site)}
    return found


def _database(site: Site, environ: Mapping[str, str]) -> Database | None:
    """The configured one, for the program that reads its dumps; without it digests still tell."""
    try:
        return open_database(site.config().database, site.tree(site.state().layout), environ)
    except UpdaterError:
        return None


def _number_of_files(point: RestorePoint) -> int:
    try:
        data = point.manifest_bytes()
        return 0 if data is None else len(Manifest.parse(data).files)
    except (OSError, SchemaError):
        return 0


def _dump_size(point: RestorePoint) -> int | None:
    if point.database is None:
        return None
    return sum(int(file.get("size", 0)) for file in point.database.get("files", ()))
