"""The record of a restore point, from the transaction that makes it (standard library only)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from updater.install.restore_points import RestorePoint, SavedFile
from updater.install.transaction import StagedTransaction
from updater.schema.globs import matches_any
from updater.site.looking import exists

__all__ = ["point_of"]


def point_of(
    staged: StagedTransaction, saved: tuple[SavedFile, ...], database: Mapping[str, Any] | None
) -> RestorePoint:
    """What the restore point of this transaction says; the live tree is still the old release's."""
    transaction = staged.transaction
    return RestorePoint(
        id=transaction.id,
        created=transaction.created,
        layout=transaction.layout,
        version=transaction.from_version,
        replaced_by=transaction.to_version,
        saved=saved,
        added=tuple(change.path for change in transaction.changes if change.old is None),
        database=database,
        slot=transaction.old_slot,
        directory=staged.backup,
        migrations=transaction.migrations,
        differing=_differing(staged),
        components=transaction.components,
    )


def _differing(staged: StagedTransaction) -> tuple[str, ...]:
    """Where the tree that is left is not as its release: what the owner edited, and what is not there.

    What belongs to the site (``preserve``) is none of the release's and not looked at.
    """
    transaction = staged.transaction
    manifest = staged.site.manifest()
    if manifest is None:
        return ()
    tree = str(staged.site.tree(transaction.layout))
    gone = {path for path in manifest.files if not exists(f"{tree}/{path}")}
    found = gone.union(transaction.edited, transaction.kept)
    return tuple(sorted(path for path in found if not matches_any(path, manifest.preserve)))
