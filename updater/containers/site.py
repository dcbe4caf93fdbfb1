"""Changing the image that a site runs: fetch, back up, stop, start, check the app's health, or go all the way back.

    fetched -> (stopped, backed up) -> started -> healthy -> current
                any failure -> stopped, database restored, old image started

What was begun is written down before it begins (`updater.containers.record`), so that a killed update is undone by the
next command.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from updater.asking import Asking
from updater.containers.orchestrator import Orchestrator, open_orchestrator
from updater.containers.record import Containers, Pinned, read_containers, write_containers
from updater.database import Backup, Database, open_database
from updater.errors import (
    BlockedError,
    CommandError,
    ConfigError,
    InstallError,
    RollbackError,
    RolledBackError,
    StateError,
    UpToDateError,
)
from updater.events import Event, Phase, Reporter, ignore_events
from updater.feeds import read_feed
from updater.frozen import frozen
from updater.install.container import find_container
from updater.members import members_of
from updater.planning import refuse_stale
from updater.process import Alert, send_alert
from updater.process.health import wait_until_healthy
from updater.process.run import run
from updater.schema.container_config import ContainerConfig
from updater.schema.feed import Release
from updater.schema.site_config import SiteConfig
from updater.selection import hops
from updater.site import Site, SiteLock, SiteState, append_history
from updater.site.failed_releases import Attempt, forget_failures, record_failure
from updater.site.files import make_private_directory, remove_tree, write_atomic
from updater.site.reading import read_json
from updater.transport import Transport
from updater.trust import FeedLocation, Freshness, fingerprint, obtain_root

__all__ = ["ContainerPlan", "ContainerSite", "adopt"]


@frozen
class ContainerPlan:
    """What a change would do. ``restore``: the id of the database backup that it brings back ("": none is).

    ``commands``: the same for a person to do. ``further``: the versions that follow, each by an update of its own.
    """

    purpose: str
    current: Pinned
    target: Pinned
    commands: tuple[str, ...]
    database: str
    release: Release | None = None
    reasons: tuple[str, ...] = ()
    freshness: Freshness | None = None
    further: tuple[str, ...] = ()
    restore: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": "1.0",
            "from": self.current.version,
            "to": self.target.version,
            "image_before": self.current.image,
            "image": self.target.image,
            "database": self.database,
            "database_restored": bool(self.restore),
            "commands": list(self.commands),
            "reasons": list(self.reasons),
            "further": list(self.further),
        }


@frozen
class ContainerSite:
    """A site whose app runs as containers. Nothing of it is read before it is needed."""

    site: Site
    transport: Transport
    report: Reporter = ignore_events
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def containers(self) -> Containers:
        """What runs, ran before, and was begun. Raises StateError."""
        return read_containers(self._record_path)

    # deciding

    def plan(self, to: str | None = None, *, automatic: bool = False, unattended: bool = False) -> ContainerPlan:
        """What an update would do: as `Updater.plan` decides for files. Changes nothing."""
        record = self.containers()
        state = self.site.state().with_version(record.current.version)
        asking = Asking(self.site, state, self.transport, self.now(), self.environ)
        member = members_of(state, self.site.config(), None)[0]
        found = asking.feed(member, to)
        if automatic or unattended:
            refuse_stale(found)
        answer = asking.ask(member, found, several=False, automatic=automatic, unattended=unattended, to=to)
        release, reasons = answer.selection.release, answer.selection.reasons
        if release is None:
            if answer.selection.blocked and to != state.version:
                raise BlockedError("No update can be installed now.", reasons=reasons)
            raise UpToDateError("There is no update to install.", reasons=reasons)
        return self._planned(
            "update",
            record.current,
            Pinned(release.version, str(release.container)),
            release=release,
            reasons=reasons,
            freshness=found.freshness,
            further=hops(found.feed, release, **answer.options),
        )

    def plan_rollback(self, *, keep_database: bool = False) -> ContainerPlan:
        """What going back to the release before would do. Raises BlockedError when there is none to go back to."""
        record = self.containers()
        if record.previous is None:
            raise BlockedError("There is nothing to go back to: no update was made from here yet.")
        restore = "" if keep_database else record.previous.backup
        return self._planned("rollback", record.current, replace(record.previous, backup=""), restore=restore)

    def _planned(self, purpose: str, current: Pinned, target: Pinned, **more: Any) -> ContainerPlan:
        commands = tuple(self._orchestrator().describe(target.image))
        database = self.site.config().database.kind
        return ContainerPlan(purpose, current, target, commands=commands, database=database, **more)

    # doing

    def carry_out(self, plan: ContainerPlan) -> Containers:
        """Do it. Raises RolledBackError when it failed and what ran before runs again, RollbackError when that failed
        too, and another error when nothing was changed."""
        self._refuse_inside()
        with SiteLock(self.site.lock_path):
            self._recover()
            record = self.containers()
            if record.current != plan.current:
                raise BlockedError(
                    f"{record.current.version} runs now, the plan was made at {plan.current.version}.",
                    hint="Make a new plan.",
                )
            self._hook("before", plan)
            orchestrator = self._orchestrator()
            orchestrator.running()  # refuses a pin file that is not ours before anything changes
            self._say(Phase.DOWNLOAD, "start", f"Fetching {plan.target.image}.")
            orchestrator.fetch(plan.target.image)
            self._write(replace(record, pending=plan.target))
            try:
                self._back_up(orchestrator, plan)
                self._say(Phase.INSTALL, "start", f"Starting {plan.target.version}.")
                orchestrator.start(plan.target.image)
                self._healthy(plan.target.version)
                self._hook("after", plan)
            except BaseException as error:
                raise self._undo_after(error, plan) from error
            return self._commit(plan)

    def recover(self) -> bool:
        """Undo what a killed update had begun; whether there was something. Raises as `carry_out`."""
        self._refuse_inside()
        with SiteLock(self.site.lock_path):
            return self._recover()

    def _recover(self) -> bool:
        record = self.containers()
        if record.pending is None:
            return False
        self._say(Phase.RECOVER, "start", f"An interrupted change to {record.pending.version} is being undone.")
        self._undo(record)
        self._remember("recover", record, record.pending, "rolled-back", "it was interrupted")
        return True

    def _back_up(self, orchestrator: Orchestrator, plan: ContainerPlan) -> None:
        """Stop the app and save its database, which a way back restores from now on."""
        database, record = self._database(), self.containers()
        if database.kind == "none":
            return
        backup_id = self.now().astimezone(UTC).strftime("%Y%m%d-%H%M%S-%f")
        home = self._backups / backup_id
        make_private_directory(home)
        orchestrator.stop()
        self._say(Phase.BACKUP, "start", f"Backing up the database ({database.kind}).")
        made = database.backup(home / "database")
        write_atomic(home / "database.json", json.dumps(made.to_json()).encode())
        self._write(replace(record, current=replace(record.current, backup=backup_id)))
        if plan.restore:
            self._restore(plan.restore)

    def _restore(self, backup_id: str) -> None:
        home = self._backups / backup_id
        try:
            made = Backup.from_json(read_json(home / "database.json"))
        except (OSError, ValueError) as error:
            raise StateError(f"The record of the database backup {backup_id} cannot be read: {error}") from error
        self._say(Phase.ROLLBACK, "message", "Restoring the database.")
        self._database().restore(home / "database", made)

    def _healthy(self, version: str) -> None:
        health = self.site.config().health
        if health.url or health.command:
            self._say(Phase.HEALTH, "start", f"Waiting until {version} answers.")
            wait_until_healthy(health, version, cwd=self.site.path, env=self._environment())

    def _commit(self, plan: ContainerPlan) -> Containers:
        record = self.containers()
        done = Containers(plan.target, previous=record.current)
        self._write(done)
        self.site.write_state(self.site.state().with_version(plan.target.version))
        forget_failures(self.site.failed_path, plan.target.version)
        self._remember(plan.purpose, record, plan.target, "done", "")
        self._forget_backups(done)
        self._say(Phase.COMMIT, "done", f"{plan.target.version} runs.")
        return done

    # back

    def _undo_after(self, error: BaseException, plan: ContainerPlan) -> InstallError:
        """Undo, and give back the error that tells how that went."""
        what, record = str(error) or type(error).__name__, self.containers()
        self._say(Phase.ROLLBACK, "start", f"It failed: {what}")
        try:
            self._undo(record)
        except Exception as second:  # noqa: BLE001 - whatever it is, the owner must hear of both
            failed = f"The {plan.purpose} failed ({what}), and undoing it failed too: {second}"
            self._alert("stuck", record, plan.target, failed)
            return RollbackError(failed, hint="Remove the cause, then run `updater container recover`.")
        at = self.now()
        if plan.purpose == "update":
            record_failure(self.site.failed_path, plan.target.version, Attempt(f"{at:%Y%m%d-%H%M%S}", at, what))
        self._remember(plan.purpose, record, plan.target, "rolled-back", what)
        self._alert("rolled-back", record, plan.target, f"The change to {plan.target.version} was undone: {what}")
        return RolledBackError(
            f"The {plan.purpose} to {plan.target.version} failed and was undone; {record.current.version} runs again. "
            f"Reason: {what}",
            hint=getattr(error, "hint", "") or "The app's maintainer should see this reason.",
        )

    def _undo(self, record: Containers) -> None:
        """Run the old image on the old database. Can be repeated after a crash at any point."""
        orchestrator = self._orchestrator()
        if record.current.backup:
            orchestrator.stop()
            self._restore(record.current.backup)
        orchestrator.start(record.current.image)
        back = Containers(replace(record.current, backup=""), record.previous)
        self._write(back)
        self._forget_backups(back)
        try:
            self._healthy(record.current.version)
        except InstallError as error:
            self.report(Event(Phase.ROLLBACK, "warning", f"The old image runs, but it does not answer: {error}"))

    # small helpers

    @property
    def _record_path(self) -> Path:
        return self.site.directory / "container.json"

    @property
    def _backups(self) -> Path:
        return self.site.directory / "container"

    def _write(self, record: Containers) -> None:
        write_containers(self._record_path, record)

    def _orchestrator(self) -> Orchestrator:
        return open_orchestrator(self.site.config().container, self.site.path, self.environ)

    def _database(self) -> Database:
        return open_database(self.site.config().database, self.site.path, self._environment())

    def _environment(self) -> dict[str, str]:
        return {**self.environ, **self.site.config().commands.env}

    def _say(self, phase: Phase, kind: Any, message: str) -> None:
        self.report(Event(phase, kind, message))

    def _hook(self, name: str, plan: ContainerPlan) -> None:
        """Ask the owner's own command, which may refuse. Raises CommandError."""
        hooks = self.site.config().hooks
        command = hooks.before if name == "before" else hooks.after
        if not command:
            return
        told = {
            "UPDATER_EVENT": f"{name}-{plan.purpose}",
            "UPDATER_SITE": str(self.site.path),
            "UPDATER_FROM": plan.current.version,
            "UPDATER_TO": plan.target.version,
        }
        done = run(command, cwd=self.site.path, env={**self._environment(), **told}, timeout=hooks.timeout)
        if done.returncode:
            said = f": {done.output.splitlines()[-1].strip()[:500]}" if done.output else ""
            raise CommandError(
                f"the site's own hook refuses it: [hooks] {name} {done.outcome}{said}", output=done.output
            )

    def _remember(self, event: str, record: Containers, target: Pinned, result: str, reason: str) -> None:
        append_history(
            self.site.history_path,
            self.now(),
            event,
            result=result,
            **{"from": record.current.version, "to": target.version},
            image=target.image,
            reason=reason,
        )

    def _alert(self, event: Any, record: Containers, target: Pinned, message: str) -> None:
        config = self.site.config().alert
        failed = send_alert(
            config, Alert(event, str(self.site.path), record.current.version, target.version, message), self.environ
        )
        if failed:
            self.report(Event(Phase.ROLLBACK, "warning", failed))

    def _forget_backups(self, record: Containers) -> None:
        """Keep those that a way back needs."""
        kept = {pinned.backup for pinned in (record.current, record.previous) if pinned is not None}
        if self._backups.is_dir():
            for entry in self._backups.iterdir():
                if entry.name not in kept:
                    remove_tree(entry)

    def _refuse_inside(self) -> None:
        inside = find_container(Path("/"), self.environ, self.site.path)
        if inside is not None and inside.mount == "/":
            raise BlockedError(
                "This runs inside of a container, which cannot replace itself.",
                hint="Run `updater container` on the machine that starts the containers (docs/containers.md).",
            )


def adopt(
    feed_url: str,
    directory: Path,
    container: ContainerConfig,
    transport: Transport,
    *,
    version: str | None = None,
    root: bytes | None = None,
    root_sha256: str | None = None,
    confirm_root: Callable[[str], bool] = lambda _: True,
    now: datetime | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Containers:
    """Make a site of containers that run already: trust the feed, and write down which release runs. Nothing is
    started or changed. ``version``: what runs; by default it is told by the digest of the image.

    Raises BlockedError, ConfigError, and what reading a feed raises; then nothing was made.
    """
    location, site = FeedLocation.parse(feed_url), Site(directory.absolute())
    if site.exists and site.manifest_path.exists():
        raise ConfigError(f"{site.path} is a site of files, not of containers.", hint="Choose another folder.")
    trusted = obtain_root(location, transport, root=root, sha256=root_sha256)
    if root is None and root_sha256 is None and not confirm_root(fingerprint(trusted)):
        raise BlockedError("The root of trust was not confirmed; nothing was changed.")
    owned = _owned(site, location)
    config = owned.container if owned is not None else container
    running = open_orchestrator(config, site.path, environ).running()
    new = not site.directory.exists()
    try:
        make_private_directory(site.directory)
        write_atomic(site.directory / "root.json", trusted)
        moment = now or datetime.now(UTC)
        app = owned.app if owned is not None else None
        found = read_feed(location.url, site.directory, transport, now=moment, app=app, component=None, to=version)
        release = _release_that_runs(found.feed.releases, version, running)
        if owned is None:
            write_atomic(site.config_path, _new_config(location.url, found.feed.app, config), mode=0o644)
        state = SiteState.new(found.feed.app, found.feed.component, "in-place")
        site.write_state(state.with_version(release.version))
        record = Containers(Pinned(release.version, str(release.container)))
        write_containers(site.directory / "container.json", record)
    except BaseException:
        if new:
            remove_tree(site.directory)
        raise
    return record


def _owned(site: Site, location: FeedLocation) -> SiteConfig | None:
    """The settings that are there already. Raises ConfigError when they are of something else."""
    if not site.config_path.exists():
        return None
    config = site.config()
    if config.feed_url != location.url:
        raise ConfigError(
            f"{site.config_path} names the feed {config.feed_url}, the command {location.url}.",
            hint="Make them agree.",
        )
    return config


def _release_that_runs(releases: tuple[Release, ...], version: str | None, running: str | None) -> Release:
    if version is not None:
        found = next((release for release in releases if release.version == version), None)
        if found is None:
            raise BlockedError(f"The feed has no release {version}.")
    else:
        digest = (running or "").rpartition("@")[2]
        found = next((one for one in releases if digest and (one.container or "").endswith(f"@{digest}")), None)
        if found is None:
            raise ConfigError(
                "Which release runs cannot be told by its image.",
                hint="Say it with --version V: the one that runs now.",
            )
    if found.container is None:
        raise BlockedError(
            f"{found.version} was published without an image.",
            hint="Its maintainer adds one with `feedgen publish --container IMAGE@sha256:…`.",
        )
    return found


def _new_config(url: str, app: str, container: ContainerConfig) -> bytes:
    defaults = ContainerConfig()
    lines = [
        "# The settings of this site. They are yours: an update never changes this file.\n",
        "[feed]",
        f"url = {json.dumps(url)}",
        f"app = {json.dumps(app)}\n",
        "[container]",
    ]
    for name, value in container.__dict__.items():
        if value != getattr(defaults, name):
            lines.append(f"{name} = {json.dumps(list(value) if isinstance(value, tuple) else value)}")
    more = """
# [health]
# url = "http://127.0.0.1:8000/health/"

# [database]
# kind = "command"
# backup = ["sh", "-c", "docker compose exec -T db pg_dump -U app -Fc app > {file}"]
# restore = ["sh", "-c", "docker compose exec -T db pg_restore -U app --clean --if-exists -d app < {file}"]
"""
    return ("\n".join(lines) + "\n" + more).encode()
