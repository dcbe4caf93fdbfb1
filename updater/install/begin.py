"""From "decided" to "staged": check that it can work, write the new files and the plan (standard library only)."""

from __future__ import annotations

from updater.events import Event, Phase, Reporter
from updater.install.preflight import preflight
from updater.install.recovery import keep_code
from updater.install.staging import Source, stage_files
from updater.install.transaction import StagedTransaction, Transaction
from updater.site.files import make_private_directory, sync_filesystem
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

    ``needed``: bytes of disk space, for the check beforehand. Raises PreflightError, or what ``source`` raises.
    """
    staged = StagedTransaction(site, transaction)
    tree = site.tree(transaction.layout) if transaction.old_slot or transaction.layout == "in-place" else site.path
    paths = [change.path for change in transaction.changes] if transaction.layout == "in-place" else ["releases/x"]
    preflight(tree if transaction.layout == "in-place" else site.path, site.directory, paths, needed)
    for directory in (site.staging, site.backups, site.bin):
        make_private_directory(directory)
    total = sum(change.new.size for change in transaction.changes if change.new is not None)

    def progress(done: int) -> None:
        report(Event(Phase.VERIFY, "progress", "", done, total, "bytes"))

    report(Event(Phase.VERIFY, "start", "Unpacking and checking every file.", 0, total, "bytes"))
    make_private_directory(staged.directory)
    stage_files(staged.files, tree, transaction.changes, source, progress)
    staged.write(manifest, site.config_path.read_text(encoding="utf-8"))
    keep_code(staged)
    sync_filesystem(site.directory)
    report(Event(Phase.VERIFY, "done", "", total, total, "bytes"))
    return staged
