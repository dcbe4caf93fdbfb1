"""The state machine of an update: forward to the commit point, or back to where it began (standard library only).

    prepared -> stopping -> applying -> migrating -> starting -> committed -> ended
                    any failure before "committed"  -> undoing -> undone -> ended

Each state is recorded, flushed, before its first action. docs/reliability.md says what is on disk in each.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from updater.errors import InstallError, RollbackError, RolledBackError, UpdaterError
from updater.events import Phase, Reporter
from updater.install.in_place import InPlace
from updater.install.journal import Journal, State
from updater.install.kept_code import code_digest, recovery_hint
from updater.install.layout import LayoutChange
from updater.install.narrator import Narrator
from updater.install.outcome import Outcome, Result, record_outcome
from updater.install.restore_points import discard, unlist
from updater.install.retention import prune
from updater.install.slots import Slots
from updater.install.steps import AppSteps
from updater.install.taking import point_of
from updater.install.transaction import PLAN_NAME, StagedTransaction
from updater.site.ballast import drop_ballast
from updater.site.failed_releases import Attempt, forget_failures, record_failure
from updater.site.files import (
    fsync_directory,
    make_private_directory,
    remove_temporaries,
    remove_tree,
    sync_filesystem,
    write_atomic,
)
from updater.site.lock import process_identity
from updater.site.looking import entries_below

__all__ = ["MAX_ATTEMPTS", "Engine"]

MAX_ATTEMPTS = 3
"""Automatic attempts to undo, before a person has to look."""

_INTERRUPTED = "it was interrupted"
_STOPPED = "it was stopped by its user"


class Engine:
    """Runs one staged transaction, or recovers it, under the site's lock."""

    def __init__(
        self,
        staged: StagedTransaction,
        *,
        report: Reporter,
        now: Callable[[], datetime],
        environ: Mapping[str, str],
    ) -> None:
        self._staged = staged
        self._site = staged.site
        self._transaction = staged.transaction
        self._now = now
        self._tell = Narrator(report)
        self._journal = Journal(self._site.journal_path)
        self._layout: LayoutChange = Slots(staged) if self._transaction.layout == "slots" else InPlace(staged)
        self._app = AppSteps(staged, self._layout.tree, self._tell, environ, now)
        self._manifest = staged.manifest_bytes()  # read once: cleaning up removes the plan
        self._keep = staged.config().backup

    # forward

    def run(self) -> Outcome:
        """Go all the way to "committed".

        Raises RolledBackError when it failed and the site is as before, RollbackError when the way back failed too,
        and another error when nothing had been changed yet.
        """
        self._journal.begin(self._transaction.id, code=code_digest(), plan=self._staged.digest(), by=process_identity())
        try:
            self._app.ask_before()
            self._app.take_lead()
            self._prepare()
            self._enter(State.STOPPING)
            self._app.stop()
            self._save()
        except OSError as error:
            self._discard(str(error))
            raise InstallError(f"The update could not be prepared, nothing was changed: {error}") from error
        except BaseException as error:
            self._discard(_what(error))
            raise
        try:
            self._enter(State.APPLYING)
            self._apply()
            self._app.check_code()
            self._enter(State.MIGRATING)
            self._app.migrate()
            self._enter(State.STARTING)
            self._app.start()
            self._app.ask_after()
            self._enter(State.COMMITTED)
        except BaseException as error:
            raise self._undo_after(error) from error
        try:
            return self._finish()
        except KeyboardInterrupt:
            return self._finish()  # it is committed: there is nothing left to interrupt

    def _prepare(self) -> None:
        self._tell.say(Phase.BACKUP, "start", "Saving what the update will replace.")
        make_private_directory(self._staged.backup)
        self._app.build_environment()
        self._layout.prepare()
        sync_filesystem(self._site.directory)
        self._app.check_commands()

    def _save(self) -> None:
        """Complete the restore point: database, manifest, and last its record."""
        record = self._app.save_database()
        manifest = self._site.manifest_bytes()
        if manifest is not None:
            write_atomic(self._staged.backup / "manifest.json", manifest)
        point_of(self._staged, self._layout.saved(), record).write()
        self._tell.say(Phase.BACKUP, "done")

    def _apply(self) -> None:
        total = len(self._transaction.changes)
        self._tell.say(Phase.INSTALL, "start", f"Switching {total} files.", total=total, unit="files")
        self._layout.apply()
        self._app.switch_environment()
        self._tell.say(Phase.INSTALL, "done", done=total, total=total, unit="files")

    # after the commit point; also where recovery goes on after it

    def _finish(self) -> Outcome:
        self._drop_ballast()
        transaction = self._transaction
        self._app.page.off_now()
        self._tell.say(Phase.COMMIT, "start", "The update is committed.")
        try:
            self._write_installed()
        except (OSError, UpdaterError) as error:
            raise InstallError(
                f"{transaction.what} is installed and runs, but this could not be recorded: {error}",
                hint="Remove the cause, then run `updater recover`; it finishes the update.",
            ) from error
        outcome = Outcome(
            result="done",
            id=transaction.id,
            from_version=transaction.from_version,
            to_version=transaction.to_version,
            restore_point=transaction.id if transaction.from_version else None,
            edited=transaction.edited,
            kept=transaction.kept,
            warnings=tuple(self._tell.warnings),
            components=transaction.components,
        )
        self._tell.say(Phase.CLEANUP, "start", "Cleaning up.")
        self._tidy(outcome, self._forget_failures, self._forget_download, self._retire, self._layout.clean)
        self._tell.say(Phase.CLEANUP, "done")
        return replace(outcome, warnings=tuple(self._tell.warnings))

    def _write_installed(self) -> None:
        if self._manifest is None:
            raise InstallError("the new manifest is missing from the plan")
        write_atomic(self._site.manifest_path, self._manifest)
        self._site.write_state(self._site.state().with_version(self._transaction.to_version))

    def _retire(self) -> None:
        if self._transaction.from_version is None:
            discard(self._staged.backup)  # before the first install there was nothing to go back to
        prune(self._site, self._keep, self._now())
        self._app.forget_environments()

    # back

    def _discard(self, reason: str) -> Outcome:
        """Nothing live was changed: forget the preparation and let the app run again."""
        self._drop_ballast()
        if self._state() is State.STOPPING:
            self._app.start_old()
            self._app.page.off_now()
        outcome = self._failed("discarded", reason)
        self._tidy(outcome, self._layout.discard, lambda: discard(self._staged.backup))
        return outcome

    def _undo_after(self, error: BaseException) -> UpdaterError:
        """Undo, and give back the error that tells how that went."""
        what = _what(error)
        self._tell.say(Phase.ROLLBACK, "start", f"The update failed: {what}")
        try:
            self.undo(what)
        except Exception as second:  # noqa: BLE001 - whatever it is: the site is half-way, and the owner must hear it
            failed = f"The update failed ({what}), and undoing it failed too: {second}"
            self._app.alert("stuck", failed)
            return RollbackError(failed, hint=recovery_hint(self._site, self._transaction.id))
        version = self._transaction.from_version
        back_to = f"{version} is back" if version else "the site is as it was before the install"
        return RolledBackError(
            f"The update to {self._transaction.what} failed and was undone; {back_to}. Reason: {what}",
            hint=getattr(error, "hint", "") or "The app's maintainer should see this reason.",
        )

    def undo(self, reason: str) -> Outcome:
        """Bring back database and files, then start the old version. Can be repeated after a crash at any point.

        Raises UpdaterError or OSError when a step fails; the journal then still says "undoing".
        """
        self._drop_ballast()
        touched = (State.MIGRATING, State.STARTING, State.COMMITTED)
        database_touched = any(record.state in touched for record in self._journal.records())
        try:
            self._enter(State.UNDOING, reason=reason[:500])
            if database_touched:
                self._app.take_lead()
            self._app.stop_to_undo()
            if database_touched:
                self._app.undo_database()
            self._tell.say(Phase.ROLLBACK, "message", "Bringing the old files back.")
            self._app.switch_environment(back=True)
            self._layout.undo()
            self._enter(State.UNDONE)
        except BaseException:
            self._app.page.hold()  # half a site is nothing for visitors
            raise
        return self._finish_undo(reason)

    def _finish_undo(self, reason: str) -> Outcome:
        with contextlib.suppress(OSError):  # its files are back in the tree: `_remove_backup` tells when it stays
            unlist(self._staged.backup)
        self._app.start_old()
        self._app.page.off_now()
        outcome = self._failed("rolled-back", reason)
        self._tidy(
            outcome,
            lambda: self._remember_failure(reason),
            self._layout.clean_undone,
            self._remove_backup,
            self._layout.clean,
        )
        if reason != _STOPPED:
            self._app.alert("rolled-back", f"The update to {outcome.what} failed and was undone: {reason}")
        self._tell.say(Phase.ROLLBACK, "done", "The old version is back.")
        return replace(outcome, warnings=tuple(self._tell.warnings))

    def _remember_failure(self, reason: str) -> None:
        """No automatic update tries a release for ever. That its user stopped it is not the release's fault."""
        if self._transaction.purpose == "rollback" or reason == _STOPPED:
            return
        for change in self._transaction.component_changes:
            if change.failure_key is not None:
                attempt = Attempt(self._transaction.id, self._now(), reason)
                record_failure(self._site.failed_path, change.failure_key, attempt)

    def _forget_failures(self) -> None:
        for change in self._transaction.component_changes:
            if change.failure_key is not None:
                forget_failures(self._site.failed_path, change.failure_key)

    def _forget_download(self) -> None:
        """Before anything else reads the new files: some of them have a second name there."""
        if self._transaction.purpose != "rollback":
            remove_tree(self._site.downloads)
            for change in self._transaction.components:
                remove_tree(self._site.component(change.component) / "downloads")

    def _remove_backup(self) -> None:
        """The restore point leads nowhere else; only what somebody wrote during the update is kept."""
        backup = self._staged.backup
        edited = backup / "edited"
        late = edited.is_dir() and any(path.name.endswith(".during-update") for path in entries_below(edited))
        discard(backup, keep=edited if late else None)

    # recovery

    def resume(self) -> Outcome:
        """Continue from the journal after a crash: back before the commit point, forward after it.

        Raises UpdaterError or OSError when that fails; it can be tried again.
        """
        reasons = [record.details.get("reason") for record in self._journal.records()]
        reason = next((str(reason) for reason in reasons if reason), _INTERRUPTED)
        match self._state():
            case State.PREPARED | State.STOPPING:
                return self._discard("it was interrupted before anything was changed")
            case State.COMMITTED:
                return self._finish()
            case State.UNDONE:
                return self._finish_undo(reason)
            case _:
                self._tell.say(Phase.RECOVER, "start", "An interrupted update is being undone.")
                return self._undo_again(reason)

    def _undo_again(self, reason: str) -> Outcome:
        try:
            return self.undo(reason)
        except (OSError, UpdaterError) as error:
            attempts = sum(record.state is State.UNDOING for record in self._journal.records())
            if attempts >= MAX_ATTEMPTS:
                self._app.alert("stuck", f"An update was interrupted ({reason}), and undoing it fails: {error}")
            raise

    # small helpers

    def _state(self) -> State | None:
        last = self._journal.last()
        return None if last is None else last.state

    def _enter(self, state: State, **details: Any) -> None:
        self._journal.append(self._transaction.id, state, **details)

    def _failed(self, result: Result, reason: str) -> Outcome:
        transaction = self._transaction
        return Outcome(
            result=result,
            id=transaction.id,
            from_version=transaction.from_version,
            to_version=transaction.to_version,
            warnings=tuple(self._tell.warnings),
            reason=reason,
            components=transaction.components,
        )

    def _sweep(self) -> None:
        """Remove the plan, first of all its head: what is left of a half-removed plan is never taken for one."""
        if self._staged.directory.is_dir():
            (self._staged.directory / PLAN_NAME).unlink(missing_ok=True)
            fsync_directory(self._staged.directory)
        remove_tree(self._staged.directory)
        remove_tree(self._staged.code)
        remove_temporaries(*self._site.documents)
        drop_ballast(self._site)

    def _drop_ballast(self) -> None:
        """Make room first of all: everything that follows may need some. `_sweep` tells when it cannot be removed."""
        with contextlib.suppress(OSError):
            drop_ballast(self._site)

    def _tidy(self, outcome: Outcome, *steps: Callable[[], None]) -> None:
        """Record the outcome and clean up, when the site is whole already, and end the journal. A failure is told, and
        the next start of the updater tries again."""
        self._app.give_up_lead()
        try:
            record_outcome(self._site, self._transaction, outcome, self._now())
            for step in (self._app.page.off, *steps):
                step()
            sync_filesystem(self._site.directory)  # without the plan nobody would remove again what came back
            self._sweep()
            self._journal.end(self._transaction.id)
        except (OSError, UpdaterError) as error:
            self._tell.warn(Phase.CLEANUP, f"Cleaning up failed, and will be tried again: {error}")


def _what(error: BaseException) -> str:
    return _STOPPED if isinstance(error, KeyboardInterrupt) else str(error) or type(error).__name__
