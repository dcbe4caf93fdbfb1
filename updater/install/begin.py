"""From "decided" to "staged": check that it can work, write the new files and the plan (standard library only)."""

from __future__ import annotations

from pathlib import Path

from updater.database import open_database
from updater.errors import InstallError
from updater.events import Event, Phase, Reporter
from updater.install.kept_code import keep_code
from updater.install.narrator import guarded
from updater.install.preflight import preflight
from updater.install.staging import Source, stage_files
from updater.install.transaction import StagedTransaction, Transaction
from updater.site.ballast import ballast_size, drop_ballast, make_ballast
from updater.site.files import make_private_directory, remove_tree, sync_filesystem
from updater.site.site import Site

__all__ = ["stage"]


def stage(
    site: Site,
    transaction: Transaction,
    source: Source,
    manifest: bytes | None,
    *,
    needed: int,
    report: Reporter,
) -> StagedTransaction:
    """Write everything a transaction needs below ``.updater/``, flushed to disk; the live tree is not touched.

    ``needed``: bytes of disk space, for the check beforehand. Raises PreflightError, InstallError, or what
    ``source`` raises; nothing is left behind then.
    """
    staged = StagedTransaction(site, transaction)
    slots = transaction.layout == "slots"
    tree = site.path if slots and not transaction.old_slot else site.tree(transaction.layout)
    ballast = ballast_size(_room_to_restore(site, tree))
    preflight(site, transaction, tree, needed + ballast)
    try:
        for directory in (site.staging, site.backups, site.bin, staged.directory):
            make_private_directory(directory)
        make_ballast(site, ballast)
        _fill(staged, tree, source, guarded(report))
        staged.write(manifest, site.settings())
        keep_code(staged.code)
        sync_filesystem(site.directory)
    except BaseException as error:
        _forget(staged)
        if isinstance(error, OSError):
            raise InstallError(f"The new files could not be unpacked, nothing was changed: {error}") from error
        raise
    return staged


def _room_to_restore(site: Site, tree: Path) -> int:
    """Bytes beside the database while it is written back: SQLite keeps the pages that it replaces, or the new ones."""
    database = site.config().database
    if database.kind != "sqlite":
        return 0  # its server has its own disk, or its command its own ways
    return open_database(database, tree, {}).estimate() or 0


def _fill(staged: StagedTransaction, tree: Path, source: Source, report: Reporter) -> None:
    changes = staged.transaction.changes
    total = sum(change.new.size for change in changes if change.new is not None)

    def progress(done: int) -> None:
        report(Event(Phase.VERIFY, "progress", "", done, total, "bytes"))

    report(Event(Phase.VERIFY, "start", "Unpacking and checking every file.", 0, total, "bytes"))
    stage_files(staged.files, tree, changes, source, progress)
    report(Event(Phase.VERIFY, "done", "", total, total, "bytes"))


def _forget(staged: StagedTransaction) -> None:
    """Nothing has begun: what cannot be removed now (a failing disk) is swept by the next start."""
    try:
        remove_tree(staged.directory)
        remove_tree(staged.code)
        drop_ballast(staged.site)
    except OSError:
        pass
