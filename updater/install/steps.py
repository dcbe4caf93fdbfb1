"""What an update does to the app and its database, forward and back (standard library only)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import datetime
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

from updater.database import Backup, Database, open_database
from updater.database.factory import database_url
from updater.errors import CommandError, InstallError
from updater.events import Phase
from updater.frozen import frozen
from updater.install.environment import build, forget_unused, switch
from updater.install.narrator import Narrator
from updater.install.public_page import PublicPage
from updater.install.records import read_note
from updater.install.restore_points import RestorePoint, list_restore_points
from updater.install.transaction import StagedTransaction
from updater.process import (
    Alert,
    AlertEvent,
    plan_commands,
    restart_app,
    run,
    run_manifest_command,
    send_alert,
    stop_app,
    wait_until_healthy,
)
from updater.schema.manifest import Manifest
from updater.site.lock import lock_handles
from updater.site.looking import exists

__all__ = ["AppSteps"]

_PAUSE = 1.0
"""Seconds between two questions whether the database is ready."""

_NOTHING: Mapping[str, str] = MappingProxyType({})


@frozen
class _Question:
    """A command whose exit code decides whether an update goes on, and what is said about it. Timeout in seconds."""

    command: tuple[str, ...]
    timeout: float
    phase: Phase
    doing: str
    refused: str
    advice: str


class AppSteps:
    """Stops, migrates, starts and probes the app; saves and restores its database. ``tree``: the release's files."""

    def __init__(
        self,
        staged: StagedTransaction,
        tree: Path,
        narrator: Narrator,
        environ: Mapping[str, str],
        now: Callable[[], datetime],
    ) -> None:
        self._staged = staged
        self._site = staged.site
        self._transaction = staged.transaction
        self._config = staged.config()
        self._tree = tree
        self._tell = narrator
        self._environ = environ
        self._lead = ExitStack()
        self._leads = False
        self.page = PublicPage(self._site.path, self._config, narrator, now)

    # forward

    def check_commands(self) -> None:
        """Say which of the release's commands will not run, before anything has changed."""
        if self._config.health.url:
            # now, while every file is where it was: this updater may itself lie in the tree that is replaced
            import_module("updater.process.http_probe")
        for planned in plan_commands(self._transaction.commands, self._config.commands):
            if planned.refusal:
                self._tell.warn(
                    Phase.BACKUP, f"The release asks for `{planned.command}`, which will not run: {planned.refusal}"
                )

    def stop(self) -> None:
        """Turn the maintenance page on, and stop the app, when the owner said how."""
        self.page.on()
        if self._config.restart.stop:
            self._tell.say(Phase.BACKUP, "message", "Stopping the app.")
            stop_app(self._config.restart, self._site.path)

    def save_database(self) -> dict[str, object] | None:
        """Back the database up into the restore point; the record, or None when there is none to save."""
        database = self._database()
        if database.kind == "none":
            return None
        self.page.keep(self._config.database.timeout)
        self._tell.say(Phase.BACKUP, "message", f"Backing up the database ({database.kind}).")
        return database.backup(self._staged.backup / "database").to_json()

    def check_code(self) -> None:
        """Let the owner's check judge the new code in a process of its own: a server that is told to reload onto code
        that cannot be imported goes down (gunicorn's master exits). Raises CommandError."""
        self._ask(
            _Question(
                self._config.health.check,
                self._config.commands.timeout,
                Phase.INSTALL,
                doing="Checking the new code",
                refused="the new code does not pass",
                advice="The app's maintainer should see this; [health] check in updater.toml says what is run.",
            ),
            self._tree,
        )

    def take_lead(self) -> None:
        """Keep other servers from changing the database as long as this one does. Raises DatabaseError."""
        fleet = self._config.fleet
        if fleet.role != "lead" or self._leads:
            return
        from updater.database.pg_lead import leading
        from updater.database.pg_url import connection_environment

        self._tell.say(Phase.BACKUP, "message", "Taking the lead among the servers on this database.")
        env = connection_environment(database_url(self._config.database, self._environ), self._environ)
        self._lead.enter_context(leading(env, self._site.state().app, fleet.wait))
        self._leads = True

    def give_up_lead(self) -> None:
        """Let others lead."""
        self._lead.close()
        self._leads = False

    def ask_before(self) -> None:
        """Let the owner's hook refuse the update, before anything has changed. Raises CommandError."""
        tree = self._site.tree(self._transaction.layout)
        self._hook("before", self._config.hooks.before, Phase.BACKUP, tree if tree.is_dir() else self._site.path)

    def ask_after(self) -> None:
        """Let the owner's hook refuse the new version, which answers and is not committed yet. Raises CommandError."""
        self._hook("after", self._config.hooks.after, Phase.HEALTH, self._tree)

    def _hook(self, name: str, command: tuple[str, ...], phase: Phase, tree: Path) -> None:
        transaction = self._transaction
        told = {
            "UPDATER_EVENT": f"{name}-{transaction.purpose}",
            "UPDATER_SITE": str(self._site.path),
            "UPDATER_FROM": transaction.from_version or "",
            "UPDATER_TO": transaction.to_version or "",
        }
        question = _Question(
            command,
            self._config.hooks.timeout,
            phase,
            doing=f"Asking the site's own hook, [hooks] {name}",
            refused="the site's own hook refuses it:",
            advice=f"[hooks] {name} in updater.toml says what is run.",
        )
        self._ask(question, tree, told)

    def _ask(self, question: _Question, tree: Path, more: Mapping[str, str] = _NOTHING) -> None:
        """Run a command of the owner whose exit code decides; nothing when there is none. Raises CommandError."""
        if not question.command:
            return
        shown = " ".join(question.command)
        if question.phase is not Phase.BACKUP:  # before an update there is no page to keep
            self.page.keep(question.timeout)
        self._tell.say(question.phase, "message", f"{question.doing}: `{shown}`.")
        done = run(
            question.command,
            cwd=tree,
            env={**self._command_environment(), **more},
            timeout=question.timeout,
            on_line=self._tell.line_of(question.phase),
            pass_fds=lock_handles(self._site.lock_path),
        )
        if done.returncode:
            said = f": {done.output.splitlines()[-1].strip()[:500]}" if done.output else ""
            message = f"{question.refused} `{shown}`, which {done.outcome}{said}"
            raise CommandError(message, output=done.output, hint=question.advice)

    def build_environment(self) -> None:
        """Make the environment of the new release's packages, before anything is stopped. Raises CommandError."""
        change = self._transaction.environment
        if change is not None:
            places = (self._staged.files, self._site.tree(self._transaction.layout))
            tell = self._tell.line_of(Phase.BACKUP)
            env = self._command_environment()
            build(self._site, self._config.python, change, places=places, environ=env, say=tell)

    def switch_environment(self, *, back: bool = False) -> None:
        """Let the app's packages be those of the release that runs from now on. Raises OSError."""
        change = self._transaction.environment
        if change is not None:
            switch(self._site, self._config.python, change, back=back)

    def forget_environments(self) -> None:
        """Remove those that no way back needs any more. Raises OSError, StateError."""
        if self._config.python.environment:
            kept = [data for point in list_restore_points(self._site) if (data := point.manifest_bytes()) is not None]
            forget_unused(self._site, self._config.python, map(Manifest.parse, kept))

    def migrate(self) -> None:
        """Run the release's commands; on a rollback, restore the database of that time instead."""
        if self._transaction.purpose == "rollback":
            self._restore_staged_database()
            return
        self._follow()
        planned = plan_commands(self._transaction.commands, self._config.commands)
        runnable = [plan.command for plan in planned if not plan.refusal]
        for index, command in enumerate(runnable):
            self.page.keep(self._config.commands.timeout)
            self._tell.say(Phase.MIGRATE, "start", f"Running `{command}`.", done=index, total=len(runnable))
            # the command holds the lock too: were this process killed, nobody must recover while it still migrates
            run_manifest_command(
                command,
                self._config.commands,
                self._tree,
                self._tell.line_of(Phase.MIGRATE),
                pass_fds=lock_handles(self._site.lock_path),
            )
        if runnable:
            self._tell.say(Phase.MIGRATE, "done", done=len(runnable), total=len(runnable))

    def _follow(self) -> None:
        """Wait until the database is ready for this code, where another server leads. Raises CommandError."""
        fleet = self._config.fleet
        if fleet.role != "follow" or not fleet.migrated:
            return
        shown = " ".join(fleet.migrated)
        self._tell.say(Phase.MIGRATE, "message", f"Waiting for the server that leads: `{shown}`.")
        until = time.monotonic() + fleet.wait
        while True:
            self.page.keep(fleet.wait)
            done = run(
                fleet.migrated,
                cwd=self._tree,
                env=self._command_environment(),
                timeout=self._config.commands.timeout,
                pass_fds=lock_handles(self._site.lock_path),
            )
            if not done.returncode:
                return
            if time.monotonic() >= until:
                raise CommandError(
                    f"the server that leads did not prepare the database within {fleet.wait:g} seconds: "
                    f"`{shown}` {done.outcome}",
                    output=done.output,
                    hint="Update the server that leads first; [fleet] wait in updater.toml says how long to wait.",
                )
            time.sleep(_PAUSE)

    def _restore_staged_database(self) -> None:
        record = self._staged.directory / "database.json"
        if not exists(record):
            return
        self.page.keep(self._config.database.timeout)
        self._tell.say(Phase.MIGRATE, "start", "Restoring the database of the restore point.")
        backup = read_note(record, Backup.read)
        self._database().restore(self._staged.directory / "database", backup)
        self._tell.say(Phase.MIGRATE, "done")

    def start(self) -> None:
        """Start the new release and wait until it answers; the maintenance page stays on for everybody else."""
        self.page.keep(self._config.restart.timeout + self._config.health.timeout)
        self._restart(Phase.HEALTH)
        health, version = self._config.health, self._transaction.to_version
        if version is None or not (health.url or health.command):
            return
        self._tell.say(Phase.HEALTH, "message", f"Waiting until {version} answers.")
        wait_until_healthy(health, version, cwd=self._tree, env=self._command_environment(), token=self.page.token())
        self._tell.say(Phase.HEALTH, "done", f"{version} answers and is healthy.")

    # back

    def stop_to_undo(self) -> None:
        """Stop the app before its files go back. An app that cannot be stopped (it may not run) is no obstacle."""
        self.page.keep(self._config.restart.timeout)  # after a crash this turns it on again, with a new token
        try:
            if self._config.restart.stop:
                stop_app(self._config.restart, self._site.path)
        except InstallError as error:
            self._tell.warn(Phase.ROLLBACK, f"The app could not be stopped: {error}")

    def undo_database(self) -> None:
        """Restore the database as it was before the update; the restore point was complete before it changed."""
        if not self._site.tree(self._transaction.layout).is_dir():
            return  # a first install in slots whose `current` an earlier attempt removed: after the database
        point = RestorePoint.load(self._staged.backup)
        if point.database is not None:
            self.page.keep(self._config.database.timeout)
            self._tell.say(Phase.ROLLBACK, "message", "Restoring the database as it was before the update.")
            self._database().restore(point.database_directory, Backup.from_json(point.database))

    def start_old(self) -> None:
        """Start the old version again; that it does not come up is told, but there is no further way back."""
        health, version = self._config.health, self._transaction.from_version
        try:
            self._restart(Phase.ROLLBACK)
            if version is not None and health.url:
                tree = self._site.tree(self._transaction.layout)
                token = self.page.token()
                wait_until_healthy(health, version, cwd=tree, env=self._command_environment(), token=token)
        except InstallError as error:
            self._tell.warn(Phase.ROLLBACK, f"The old version's files are back, but it does not answer: {error}")

    def alert(self, event: AlertEvent, message: str) -> None:
        """Tell the owner, when the owner said how."""
        transaction = self._transaction
        versions = (transaction.from_version, transaction.to_version)
        failed = send_alert(self._config.alert, Alert(event, str(self._site.path), *versions, message), self._environ)
        if failed:
            self._tell.warn(Phase.ROLLBACK, failed)

    def _command_environment(self) -> dict[str, str]:
        """What a health command runs in: the same as the release's own commands."""
        return {**self._environ, **self._config.commands.env}

    def _restart(self, phase: Phase) -> None:
        restart = self._config.restart
        if restart.command or restart.touch or restart.signal:
            self._tell.say(phase, "message", "Starting the app.")
            restart_app(restart, self._site.path)

    def _database(self) -> Database:
        return open_database(self._config.database, self._site.tree(self._transaction.layout), self._environ)
