"""What every start does first: finish or undo an update that a crash interrupted (standard library only).

The updater that wrote the journal lies in ``.updater/bin/<id>/``; it is the one that recovers, so that a broken
installation of the updater, or a newer one with other ideas, cannot stand in the way.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from updater.errors import ConfigError, InstallError, LockedError, RollbackError, StateError, UpdaterError
from updater.events import Event, Phase, Reporter
from updater.install.engine import MAX_ATTEMPTS, Engine
from updater.install.journal import Journal, Record, State
from updater.install.kept_code import ENTRY_NAME, code_digest, recovery_hint
from updater.install.narrator import guarded
from updater.install.outcome import Outcome
from updater.install.public_page import turn_off
from updater.install.restore_points import finish_deletions
from updater.install.transaction import PLAN_NAME, StagedTransaction
from updater.process import run
from updater.site.ballast import drop_ballast
from updater.site.files import remove_temporaries, remove_tree
from updater.site.history import append_history, read_history
from updater.site.lock import lock_handles, still_runs
from updater.site.looking import exists
from updater.site.reading import read_json
from updater.site.site import Site
from updater.site.status import StatusFile, read_status

__all__ = ["LOCK_OPTION", "MAX_ATTEMPTS", "pending", "recover", "sweep"]

LOCK_OPTION = "--lock-held"
"""Tells ``recover.py`` that whoever starts it holds the site's lock and has passed it on."""

_LONGEST = 7 * 24 * 3600.0
"""Seconds a recovery by another updater may take: its own steps are bounded, this is for one that hangs."""


def pending(site: Site) -> Record | None:
    """The state of an interrupted update, or None. Raises RollbackError for a damaged journal."""
    records = _records(site)
    return None if not records or records[-1].state is State.ENDED else records[-1]


def _records(site: Site) -> list[Record]:
    """The journal. When it is damaged, nobody can say where an update stands: a person has to look."""
    try:
        return Journal(site.journal_path).records()
    except StateError as error:
        if isinstance(error.__cause__, OSError):
            raise  # it is whole, as far as we know, but not readable for this user
        raise RollbackError(str(error), hint=error.hint) from error


def recover(
    site: Site,
    *,
    report: Reporter,
    now: Callable[[], datetime],
    environ: Mapping[str, str] | None = None,
    force: bool = False,
) -> Outcome | None:
    """Finish or undo an interrupted update; None when there was none. The caller holds the site's lock.

    When another version of the updater began it, that version's kept copy does the work. After three failed attempts
    only ``force`` (the owner's own ``updater recover``) tries again. Raises UpdaterError (RollbackError when a person
    has to look) when it does not succeed; everything is kept then.
    """
    report = guarded(report)
    records = _records(site)
    if not records or records[-1].state is State.ENDED:
        _sweep_quietly(site, report)
        _close_probation(site, report, now)
        _turn_page_off(site, report)
        _correct_status(site, report, now)
        return None
    record = records[-1]
    _refuse_running(records[0])
    attempts = sum(entry.state is State.UNDOING for entry in records)
    if attempts >= MAX_ATTEMPTS and not force:
        stuck = f"An update was interrupted, and undoing it has failed {attempts} times."
        StatusFile(site.status_path, f"recover-{record.id}", now, report).finish("stuck", stuck)
        raise RollbackError(stuck, hint=recovery_hint(site, record.id))
    environ = os.environ if environ is None else environ
    status = StatusFile(site.status_path, f"recover-{record.id}", now, report)
    try:
        if not exists(site.staging / record.id / PLAN_NAME):
            _without_plan(site, record, report)
            return None
        if records[0].details.get("code") != code_digest() and (site.bin / record.id / ENTRY_NAME).is_file():
            outcome = _recover_by_kept_code(site, record, status, environ)
        else:
            staged = StagedTransaction.load(site, record.id, digest=records[0].details.get("plan"))
            outcome = Engine(staged, report=status, now=now, environ=environ).resume()
    except (OSError, UpdaterError) as error:
        status.finish("failed", str(error))
        if isinstance(error, UpdaterError) and _says_all(error, record.state):
            raise
        # whatever it was (a damaged plan, a database that does not answer): nobody may be told that nothing was changed
        raise RollbackError(
            f"Recovering the interrupted update failed: {error}",
            hint=" ".join(filter(None, (getattr(error, "hint", ""), recovery_hint(site, record.id)))),
        ) from error
    status.finish(*_last_word(outcome))
    return outcome


def _refuse_running(first: Record) -> None:
    """A lock file that was removed locks nothing: whoever began the update is asked as well."""
    by = first.details.get("by")
    if isinstance(by, dict) and still_runs(by):
        raise LockedError(
            f"The updater that began this update (process {by['pid']}) still runs, although its lock file was removed.",
            hint="Wait until it has ended; nothing is to be recovered before.",
        )


def _says_all(error: UpdaterError, state: State) -> bool:
    """Whether an error of its own kind is true: the site is the old version, or the error says what it is."""
    old = state in (State.PREPARED, State.STOPPING, State.UNDONE)
    return old or isinstance(error, RollbackError) or (state is State.COMMITTED and isinstance(error, InstallError))


def _last_word(outcome: Outcome) -> tuple[str, str]:
    match outcome.result:
        case "done":
            return "done", f"The interrupted update to {outcome.to_version} was finished."
        case "rolled-back":
            return "rolled_back", f"The interrupted update to {outcome.to_version} was undone: {outcome.reason}"
        case "discarded":
            return "failed", f"The update to {outcome.to_version} was interrupted before anything was changed."


def _recover_by_kept_code(site: Site, record: Record, report: Reporter, environ: Mapping[str, str]) -> Outcome:
    """Run the copy that the other updater left, and read from the history how it ended."""
    handles = lock_handles(site.lock_path)
    report(Event(Phase.RECOVER, "start", "Another version of the updater began this update; its own copy recovers it."))
    done = run(
        [sys.executable, "-I", "-S", "-E", str(site.bin / record.id / ENTRY_NAME), *([LOCK_OPTION] if handles else [])],
        cwd=site.path,
        env=environ,
        timeout=_LONGEST,
        on_line=lambda line: report(Event(Phase.RECOVER, "message", line)),
        pass_fds=handles,
    )
    if done.returncode != 0:
        raise RollbackError(
            f"The updater that began the interrupted update could not recover it:\n{done.output}",
            hint=recovery_hint(site, record.id),
        )
    entries = [entry for entry in read_history(site.history_path) if entry.get("id") == record.id]
    entry: Mapping[str, Any] = entries[-1] if entries else {}
    return Outcome(
        result=entry.get("result", "discarded"),
        id=record.id,
        from_version=entry.get("from"),
        to_version=entry.get("to"),
        edited=tuple(entry.get("edited", ())),
        warnings=tuple(entry.get("warnings", ())),
        reason=str(entry.get("reason", "")),
    )


def _without_plan(site: Site, record: Record, report: Reporter) -> None:
    """Cleaning up had removed the plan before the journal was ended: only then is there none."""
    if record.state not in (State.PREPARED, State.STOPPING, State.COMMITTED, State.UNDONE):
        raise RollbackError(
            f"The plan of the interrupted update {record.id} is missing.",
            hint=f"Everything else is kept in {site.directory}; see docs/reliability.md for putting it back by hand.",
        )
    _turn_page_off(site, report)
    try:
        sweep(site)
        Journal(site.journal_path).end(record.id)
    except OSError as error:
        report(Event(Phase.CLEANUP, "warning", f"Cleaning up failed, and will be tried again: {error}"))


def sweep(site: Site) -> None:
    """Remove what crashes left behind: only when nothing is pending, and under the lock."""
    for directory in (site.staging, site.bin):
        if directory.is_dir():
            for entry in directory.iterdir():
                remove_tree(entry)
    if site.releases.is_dir():
        for entry in site.releases.glob(".new-*"):
            remove_tree(entry)
    remove_temporaries(*site.documents)
    drop_ballast(site)
    finish_deletions(site)


def _turn_page_off(site: Site, report: Reporter) -> None:
    """Nothing is interrupted, so nothing needs the page: a journal may have been removed by hand, as the documentation
    says. Settings that cannot be read, or name somebody else's file, are not this function's to complain about."""
    try:
        if site.config_path.is_file():
            turn_off(site.path, site.config())
    except ConfigError:
        return
    except (OSError, UpdaterError) as error:
        report(Event(Phase.CLEANUP, "warning", str(error)))


def _close_probation(site: Site, report: Reporter, now: Callable[[], datetime]) -> None:
    """A watchdog that was killed: the update had been committed, only nobody watched any more. The history says so."""
    try:
        found = read_json(site.probation_path)
        known = {key: found.get(key) for key in ("id", "from", "to")}
        told = (entry for entry in read_history(site.history_path) if entry.get("event") == "probation")
        if all(entry.get("id") != known["id"] for entry in told):  # a crash after writing it must not write it again
            append_history(site.history_path, now(), "probation", **known, result="interrupted")
        site.probation_path.unlink()
    except FileNotFoundError:
        return
    except (OSError, ValueError, AttributeError) as error:
        report(Event(Phase.CLEANUP, "warning", f"{site.probation_path} cannot be closed: {error}"))


def _correct_status(site: Site, report: Reporter, now: Callable[[], datetime]) -> None:
    """A process that died, or whose disk was full, after its update had ended could not say so in ``status.json``."""
    status = read_status(site.status_path)
    if status.get("state") != "interrupted":
        return
    try:
        entry = next((entry for entry in reversed(read_history(site.history_path)) if "result" in entry), None)
    except OSError as error:
        report(Event(Phase.CLEANUP, "warning", f"The history cannot be read: {error}"))
        return
    run_id = str(status.get("run_id", "recover"))
    if entry is None:
        return
    mine = run_id.removeprefix("recover-") == entry.get("id")  # a recovery begins after what it recovers was recorded
    if not mine and str(entry.get("at", "")) < str(status.get("started_at", "")):
        return  # it ended before the journal began: interrupted is what it was
    states = {"done": "done", "rolled-back": "rolled_back", "discarded": "failed"}
    file = StatusFile(site.status_path, run_id, now, report)
    file.finish(states.get(str(entry["result"]), "failed"), str(entry.get("reason") or "Finished."))


def _sweep_quietly(site: Site, report: Reporter) -> None:
    """Rubbish that cannot be removed is told about; it is no reason to refuse an update."""
    try:
        sweep(site)
    except (OSError, UpdaterError) as error:
        report(Event(Phase.CLEANUP, "warning", f"Something left by an earlier update cannot be removed: {error}"))
