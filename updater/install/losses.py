"""What a rollback would take away from the database, counted by table (standard library only)."""

from __future__ import annotations

from collections.abc import Mapping

from updater.database import Backup, TableRows, open_database
from updater.errors import UpdaterError
from updater.install.rollback import PreparedRollback
from updater.site.site import Site

__all__ = ["LONGEST", "count_losses"]

LONGEST = 10.0
"""Seconds that counting may take: a plan must not keep anybody waiting."""


def count_losses(
    site: Site, prepared: PreparedRollback, environ: Mapping[str, str], *, seconds: float = LONGEST
) -> tuple[tuple[TableRows, ...] | None, str]:
    """The tables that have another number of rows than in the restore point, or None and the reason why that is not
    known. Nothing is written, and nothing here stops a rollback."""
    if prepared.database is None:
        return None, ""
    if prepared.point is None:
        return None, "the backup lies in an exported zip"
    try:
        record = Backup.from_json(prepared.database)
        tree = site.tree(site.state().layout)
        database = open_database(site.config().database, tree, environ)
        if database.kind != record.kind:
            return None, f"the backup is of another kind of database ({record.kind})"
        rows = database.changed_rows(prepared.point.database_directory, record, seconds)
    except (UpdaterError, OSError) as error:
        return None, str(error)
    return (rows, "") if rows is not None else (None, f"rows cannot be counted in a backup of the kind {record.kind}")
