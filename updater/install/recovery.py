"""What every start does first: finish or undo an update that a crash interrupted (standard library only).

The updater that wrote the journal lies in ``.updater/bin/<id>/``; it is the one that recovers, so that a broken
installation of the updater, or a newer one with other ideas, cannot stand in the way.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from updater.errors import RollbackError
from updater.events import Reporter
from updater.install.engine import Engine, Outcome
from updater.install.journal import Journal, Record, State
from updater.install.transaction import StagedTransaction
from updater.site.files import make_private_directory, remove_tree
from updater.site.site import Site

__all__ = ["MAX_ATTEMPTS", "keep_code", "pending", "recover", "sweep"]

MAX_ATTEMPTS = 3
"""Automatic attempts to undo, before a person has to look."""

_PACKAGES = ("schema", "package", "site", "install", "database", "process")
_MODULES = ("errors.py", "events.py")
_ENTRY = '''"""Recovers the site this lies in: python3 -S -E .updater/bin/<id>/recover.py"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from updater.install.recover_main import main

sys.exit(main(Path(__file__).resolve().parents[3]))
'''


def pending(site: Site) -> Record | None:
    """The state of an interrupted update, or None. Raises StateError for a damaged journal."""
    return Journal(site.journal_path).last()


def recover(
    site: Site,
    *,
    report: Reporter,
    now: Callable[[], datetime],
    environ: Mapping[str, str] | None = None,
    force: bool = False,
) -> Outcome | None:
    """Finish or undo an interrupted update; None when there was none. The caller holds the site's lock.

    After three failed attempts only ``force`` (the owner's own ``updater recover``) tries again.
    Raises RollbackError when it does not succeed; everything is kept then.
    """
    record = pending(site)
    if record is None:
        sweep(site)
        return None
    attempts = sum(entry.state is State.UNDOING for entry in Journal(site.journal_path).records())
    if attempts >= MAX_ATTEMPTS and not force:
        raise RollbackError(
            f"An update was interrupted, and undoing it has failed {attempts} times.",
            hint="See `updater history`, remove the cause, then run `updater recover`.",
        )
    staged = StagedTransaction.load(site, record.id) if _has_plan(site, record) else None
    if staged is None:
        _without_plan(site, record)
        return None
    engine = Engine(staged, report=report, now=now, environ=os.environ if environ is None else environ)
    try:
        return engine.resume()
    except OSError as error:
        raise RollbackError(
            f"Recovering the interrupted update failed: {error}",
            hint="Remove the cause (a full disk, missing permissions), then run `updater recover`.",
        ) from error


def _has_plan(site: Site, record: Record) -> bool:
    return (site.staging / record.id / "transaction.json").exists()


def _without_plan(site: Site, record: Record) -> None:
    """Cleaning up had removed the plan before the journal was ended: only then is there none."""
    if record.state not in (State.PREPARED, State.STOPPING, State.COMMITTED, State.UNDONE):
        raise RollbackError(
            f"The plan of the interrupted update {record.id} is missing.",
            hint=f"Everything else is kept in {site.directory}; see docs/reliability.md for putting it back by hand.",
        )
    Journal(site.journal_path).end(record.id)
    sweep(site)


def sweep(site: Site) -> None:
    """Remove what preparations that never began left behind. Only when nothing is pending."""
    for directory in (site.staging, site.bin):
        if directory.is_dir():
            for entry in directory.iterdir():
                remove_tree(entry)
    if site.releases.is_dir():
        for entry in site.releases.glob(".new-*"):
            remove_tree(entry)


def keep_code(staged: StagedTransaction) -> None:
    """Copy the standard-library-only part of this updater beside the journal, with an entry point to recover."""
    home = Path(__file__).resolve().parents[1]
    target = staged.code / "updater"
    make_private_directory(staged.code)
    ignore = shutil.ignore_patterns("__pycache__", "*.schema.json")
    for name in _PACKAGES:
        shutil.copytree(home / name, target / name, ignore=ignore, dirs_exist_ok=True)
    for name in _MODULES:
        shutil.copyfile(home / name, target / name)
    (target / "__init__.py").write_text('"""The updater that began the update that is to be recovered."""\n')
    (staged.code / "recover.py").write_text(_ENTRY)
