"""When code may go back although the database stays (standard library only).

Old code on a newer database fails, or worse, writes what the newer code will not understand. So it is refused, unless
the releases in between declared their migrations safe for it (docs/formats.md section 2, ``backward_compatible``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from updater.errors import BlockedError, SchemaError
from updater.install.migrations import migrations_of
from updater.install.point_check import dump_problems
from updater.install.restore_points import RestorePoint
from updater.schema.manifest import Manifest

__all__ = ["newer_database", "refuse_misfit", "unusable_dump"]

_MOST = 6
"""Migrations that are named in one sentence."""


def newer_database(
    installed: Manifest | None, target: Manifest, point: RestorePoint | None, points: Sequence[RestorePoint]
) -> tuple[str, ...]:
    """Why the code of ``target`` must not meet the database as it is now; empty when it may.

    ``points`` are all restore points: they remember what was known of each update's migrations, and the manifests of
    the releases between.
    """
    later = [other for other in points if point is not None and other.id > point.id]
    has = migrations_of(installed).union(*(_of_point(other) for other in later))
    knows = migrations_of(target)
    declared: dict[str, set[bool | None]] = {}
    for record in (other.migrations for other in points if other.migrations):
        for name in record["names"]:
            declared.setdefault(str(name), set()).add(record["backward_compatible"])
    newer = has - knows
    breaking = sorted(name for name in newer if False in declared.get(name, ()))
    unknown = sorted(name for name in newer.difference(breaking) if None in declared.get(name, {None}))
    missing = sorted(knows - migrations_of(installed))
    reasons = []
    if breaking:
        reasons.append(f"{target.version} does not work on a database with {_listed(breaking)}: the release says so")
    if unknown:
        reasons.append(
            f"{target.version} lacks {_listed(unknown)}, which the database has, and no release declares that it works"
            " with them"
        )
    if missing:
        again = f"`updater update --to {target.version}` would run them"
        reasons.append(f"{target.version} needs {_listed(missing)}, which the database may not have; {again}")
    return tuple(reasons)


def unusable_dump(point: RestorePoint | None, record_kind: object, configured: str) -> tuple[str, ...]:
    """Why the database of a restore point cannot come back, as far as can be seen without reading all of it."""
    if record_kind != configured:
        return (f"it holds a backup of the kind {record_kind!r}, and updater.toml says [database] kind {configured!r}",)
    return () if point is None else tuple(dump_problems(point))


def refuse_misfit(to_version: str, refusals: Sequence[str], hint: str, *, keeps_database: bool) -> None:
    """Raise BlockedError with the reasons, if there are any."""
    if not refusals:
        return
    why = (
        "code and database would not fit together"
        if keeps_database
        else "the database of the restore point cannot be used"
    )
    raise BlockedError(f"Going back to {to_version} is refused: {why}.", reasons=refusals, hint=hint)


def _of_point(point: RestorePoint) -> frozenset[str]:
    try:
        data = point.manifest_bytes()
        return frozenset() if data is None else migrations_of(Manifest.parse(data))
    except (OSError, SchemaError):  # what is damaged is told by `backup verify`; the installed manifest still speaks
        return frozenset()


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    more = f" and {len(found) - _MOST} more migrations" if len(found) > _MOST else ""
    return ", ".join(found[:_MOST]) + more
