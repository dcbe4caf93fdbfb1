"""The state machine of an update: forward to the commit point, or back to where it began (standard library only).

    prepared -> stopping -> applying -> migrating -> starting -> committed -> ended
                    any failure before "committed"  -> undoing -> undone -> ended

Each state is recorded, flushed, before its first action. docs/reliability.md says what is on disk in each.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from updater.database import Backup, Database, open_database
from updater.errors import (
    InstallError,
    RollbackError,
    RolledBackError,
    UpdaterError,
)
from updater.events import Event, Phase, Reporter, Unit
from updater.install.in_place import InPlace
from updater.install.journal import Journal, State
from updater.install.restore_points import RECORD_NAME, RestorePoint, SavedFile, prune
from updater.install.slots import Slots
from updater.install.transaction import StagedTransaction
from updater.process import plan_commands, restart_app, run_manifest_command, stop_app, wait_until_healthy
from updater.site.files import make_private_directory, remove_tree, sync_filesystem, write_atomic
from updater.site.history import append_history, read_history

__all__ = ["Engine", "Outcome"]


class LayoutChange(Protocol):
    """How one transaction changes the tree: implemented by each layout."""

    tree: Any

    def prepare(self) -> None: ...
    def saved(self) -> tuple[SavedFile, ...]: ...
    def apply(self) -> None: ...
    def undo(self) -> None: ...
    def discard(self) -> None: ...


@dataclass(frozen=True)
class Outcome:
    """How a transaction ended. ``restore_point`` is the id of the way back; ``edited`` lists the kept copies."""

    result: Literal["done", "rolled-back", "discarded"]
    id: str
    from_version: str | None
    to_version: str | None
    restore_point: str | None = None
    edited: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    reason: str = ""


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
        self._config = staged.config()
        self._report = report
        self._now = now
        self._environ = environ
        self._journal = Journal(self._site.journal_path)
        self._layout: LayoutChange = Slots(staged) if self._transaction.layout == "slots" else InPlace(staged)
        self._warnings: list[str] = []

    # forward

    def run(self) -> Outcome:
        """Go all the way to "committed".

        Raises RolledBackError when it failed and the site is as before, RollbackError when the way back failed too,
        and the error itself when nothing had been changed yet.
        """
        self._journal.begin(self._transaction.id)
        try:
            self._prepare()
            self._enter(State.STOPPING)
            self._stop()
            self._save_database()
        except BaseException as error:
            self._discard(error)
            raise
        try:
            self._enter(State.APPLYING)
            self._apply()
            self._enter(State.MIGRATING)
            self._migrate()
            self._enter(State.STARTING)
            self._start_and_check(self._transaction.to_version)
            self._enter(State.COMMITTED)
        except BaseException as error:
            raise self._undo_after(error) from error
        return self._finish()

    def _prepare(self) -> None:
        self._say(Phase.BACKUP, "start", "Saving what the update will replace.")
        make_private_directory(self._staged.backup)
        self._layout.prepare()
        sync_filesystem(self._site.directory)
        self._check_commands()

    def _check_commands(self) -> None:
        """Say which of the release's commands will not run, before anything has changed."""
        if not self._transaction.commands:
            return
        for planned in plan_commands(self._transaction.commands, self._config.commands):
            if planned.refusal:
                self._warn(
                    Phase.BACKUP, f"The release asks for `{planned.command}`, which will not run: {planned.refusal}"
                )

    def _stop(self) -> None:
        if self._config.restart.stop:
            self._say(Phase.BACKUP, "message", "Stopping the app.")
            stop_app(self._config.restart, self._site.path)

    def _save_database(self) -> None:
        database = self._database()
        record = None
        if database.kind != "none":
            self._say(Phase.BACKUP, "message", f"Backing up the database ({database.kind}).")
            record = database.backup(self._staged.backup / "database").to_json()
        manifest = self._site.manifest_bytes()
        if manifest is not None:
            write_atomic(self._staged.backup / "manifest.json", manifest)
        transaction = self._transaction
        RestorePoint(
            id=transaction.id,
            created=transaction.created,
            layout=transaction.layout,
            version=transaction.from_version,
            replaced_by=transaction.to_version,
            saved=self._layout.saved(),
            added=tuple(change.path for change in transaction.changes if change.old is None),
            database=record,
            slot=transaction.old_slot,
            directory=self._staged.backup,
        ).write()
        self._say(Phase.BACKUP, "done")

    def _apply(self) -> None:
        total = len(self._transaction.changes)
        self._say(Phase.INSTALL, "start", f"Switching {total} files.", total=total, unit="files")
        self._layout.apply()
        self._say(Phase.INSTALL, "done", done=total, total=total, unit="files")

    def _migrate(self) -> None:
        if self._transaction.purpose == "rollback":
            self._restore_staged_database()
            return
        planned = plan_commands(self._transaction.commands, self._config.commands)
        runnable = [plan.command for plan in planned if not plan.refusal]
        if not runnable:
            return
        for index, command in enumerate(runnable):
            self._say(Phase.MIGRATE, "start", f"Running `{command}`.", done=index, total=len(runnable))
            run_manifest_command(command, self._config.commands, self._layout.tree, self._tell_line(Phase.MIGRATE))
        self._say(Phase.MIGRATE, "done", done=len(runnable), total=len(runnable))

    def _restore_staged_database(self) -> None:
        record = self._staged.directory / "database.json"
        if not record.exists():
            return
        self._say(Phase.MIGRATE, "start", "Restoring the database of the restore point.")
        backup = Backup.from_json(json.loads(record.read_bytes()))
        self._database().restore(self._staged.directory / "database", backup)
        self._say(Phase.MIGRATE, "done")

    def _start_and_check(self, version: str | None) -> None:
        restart = self._config.restart
        if restart.command or restart.touch or restart.signal:
            self._say(Phase.HEALTH, "start", "Starting the app.")
            restart_app(restart, self._site.path)
        health = self._config.health
        if version is None or not (health.url or health.command):
            return
        self._say(Phase.HEALTH, "message", f"Waiting until {version} answers.")
        wait_until_healthy(health, version, cwd=self._layout.tree)
        self._say(Phase.HEALTH, "done", f"{version} answers and is healthy.")

    # the end of the way forward; also where recovery goes on after "committed"

    def _finish(self) -> Outcome:
        transaction = self._transaction
        self._say(Phase.COMMIT, "start", "The update is committed.")
        manifest = self._staged.manifest_bytes()
        if manifest is None:
            self._site.manifest_path.unlink(missing_ok=True)
        else:
            write_atomic(self._site.manifest_path, manifest)
        self._site.write_state(self._site.state().with_version(transaction.to_version))
        outcome = Outcome(
            result="done",
            id=transaction.id,
            from_version=transaction.from_version,
            to_version=transaction.to_version,
            restore_point=transaction.id if transaction.from_version else None,
            edited=transaction.edited,
            warnings=tuple(self._warnings),
        )
        self._record(outcome)
        self._say(Phase.CLEANUP, "start", "Cleaning up.")
        if transaction.from_version is None:
            remove_tree(self._staged.backup)  # before the first install there was nothing to go back to
        prune(self._site, self._config.backup.max_backups)
        self._sweep()
        self._journal.end(transaction.id)
        self._say(Phase.CLEANUP, "done")
        return outcome

    # back

    def _discard(self, error: BaseException) -> None:
        """Nothing live was changed: forget the preparation and let the app run again."""
        stopped = self._state() is State.STOPPING
        self._layout.discard()
        remove_tree(self._staged.backup)
        if stopped:
            self._try_to_start()
        self._record(self._failed("discarded", error))
        self._sweep()
        self._journal.end(self._transaction.id)

    def _undo_after(self, error: BaseException) -> UpdaterError:
        """Undo, and give back the error that tells how that went."""
        what = str(error) or type(error).__name__
        if isinstance(error, KeyboardInterrupt):
            what = "it was interrupted"
        self._say(Phase.ROLLBACK, "start", f"The update failed: {what}")
        try:
            self.undo(what)
        except (UpdaterError, OSError) as second:
            return RollbackError(
                f"The update failed ({what}), and undoing it failed too: {second}",
                hint="Everything needed is kept in .updater/. Remove the cause, then run `updater recover`.",
            )
        version = self._transaction.from_version
        back_to = f"{version} is back" if version else "the site is as it was before the install"
        return RolledBackError(
            f"The update to {self._transaction.to_version} failed and was undone; {back_to}. Reason: {what}",
            hint=getattr(error, "hint", "") or "The app's maintainer should see this reason.",
        )

    def undo(self, reason: str) -> Outcome:
        """Bring back database and files, then start the old version. Can be repeated after a crash at any point.

        Raises UpdaterError or OSError when a step fails; the journal then still says "undoing".
        """
        database_touched = any(record.state in (State.MIGRATING, State.STARTING) for record in self._journal.records())
        self._enter(State.UNDOING, reason=reason)
        if database_touched:
            self._undo_database()
        self._say(Phase.ROLLBACK, "message", "Bringing the old files back.")
        self._layout.undo()
        self._enter(State.UNDONE)
        return self._finish_undo(reason)

    def _undo_database(self) -> None:
        if not (self._staged.backup / RECORD_NAME).exists():
            return
        point = RestorePoint.load(self._staged.backup)
        if point.database is not None:
            self._say(Phase.ROLLBACK, "message", "Restoring the database as it was before the update.")
            if self._config.restart.stop:
                stop_app(self._config.restart, self._site.path)
            self._database().restore(point.database_directory, Backup.from_json(point.database))

    def _finish_undo(self, reason: str) -> Outcome:
        self._try_to_start()
        outcome = self._failed("rolled-back", reason)
        self._record(outcome)
        backup = self._staged.backup
        edited = backup / "edited"
        if edited.is_dir() and any(path.name.endswith(".during-update") for path in edited.rglob("*")):
            for entry in backup.iterdir():
                if entry != edited:
                    remove_tree(entry) if entry.is_dir() else entry.unlink()
        else:
            remove_tree(backup)
        self._sweep()
        self._journal.end(self._transaction.id)
        self._say(Phase.ROLLBACK, "done", "The old version is back.")
        return outcome

    def _try_to_start(self) -> None:
        """Start the old version again; that it does not come up is told, but there is no further way back."""
        restart, health = self._config.restart, self._config.health
        version = self._transaction.from_version
        try:
            if restart.command or restart.touch or restart.signal:
                restart_app(restart, self._site.path)
            if version is not None and health.url:
                wait_until_healthy(health, version, cwd=self._site.tree(self._transaction.layout))
        except InstallError as error:
            self._warn(Phase.ROLLBACK, f"The old version's files are back, but it does not answer: {error}")

    # recovery

    def resume(self) -> Outcome:
        """Continue from the journal after a crash: back before the commit point, forward after it.

        Raises UpdaterError or OSError when that fails; it can be tried again.
        """
        match self._state():
            case State.PREPARED | State.STOPPING:
                interrupted = InstallError("It was interrupted before anything was changed.")
                self._discard(interrupted)
                return self._failed("discarded", interrupted)
            case State.COMMITTED:
                return self._finish()
            case State.UNDONE:
                return self._finish_undo("it was interrupted")
            case _:
                self._say(Phase.RECOVER, "start", "An interrupted update is being undone.")
                return self.undo("it was interrupted")

    # small helpers

    def _database(self) -> Database:
        return open_database(self._config.database, self._site.tree(self._transaction.layout), self._environ)

    def _state(self) -> State | None:
        last = self._journal.last()
        return None if last is None else last.state

    def _enter(self, state: State, **details: Any) -> None:
        self._journal.append(self._transaction.id, state, **details)

    def _failed(self, result: Literal["rolled-back", "discarded"], reason: BaseException | str) -> Outcome:
        transaction = self._transaction
        return Outcome(
            result=result,
            id=transaction.id,
            from_version=transaction.from_version,
            to_version=transaction.to_version,
            warnings=tuple(self._warnings),
            reason=str(reason),
        )

    def _record(self, outcome: Outcome) -> None:
        """One line of history, once: a crash after writing it must not write it again."""
        path = self._site.history_path
        if any(entry.get("id") == outcome.id for entry in read_history(path)[-5:]):
            return
        append_history(
            path,
            self._now(),
            self._transaction.purpose,
            id=outcome.id,
            result=outcome.result,
            **{"from": outcome.from_version, "to": outcome.to_version},
            edited=list(outcome.edited),
            warnings=list(outcome.warnings),
            reason=outcome.reason,
        )

    def _sweep(self) -> None:
        remove_tree(self._staged.directory)
        remove_tree(self._staged.code)

    def _say(
        self,
        phase: Phase,
        kind: Literal["start", "message", "done"],
        message: str = "",
        *,
        done: int = 0,
        total: int | None = None,
        unit: Unit = "",
    ) -> None:
        self._report(Event(phase, kind, message, done, total, unit))

    def _warn(self, phase: Phase, message: str) -> None:
        self._warnings.append(message)
        self._report(Event(phase, "warning", message))

    def _tell_line(self, phase: Phase) -> Callable[[str], None]:
        return lambda line: self._report(Event(phase, "message", line))
