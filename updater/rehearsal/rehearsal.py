"""Trying a release on a copy of the site: its migrations, its commands and its check, with nothing live changed.

The copy lies in ``.updater/rehearsal/<id>/`` and is removed whatever happens; what a killed rehearsal left is swept by
the next command that changes something. The commands get ``UPDATER_REHEARSAL=1``, so that an app can leave out what
reaches further than files and database (mail, payments). Standard library only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from time import monotonic

from updater.errors import BlockedError, CommandError, InstallError, UpdaterError
from updater.events import Event, Phase, Reporter
from updater.frozen import frozen
from updater.install.changes import Changes
from updater.install.staging import Source
from updater.install.transaction import new_id
from updater.process import plan_commands
from updater.process.run import run
from updater.rehearsal import sandbox
from updater.rehearsal.database import SCRATCH_NAME, DatabaseCopy, copy_database, drop_scratch
from updater.rehearsal.files import Places, copy_site, make_places, moved, moves
from updater.rehearsal.report import RehearsalReport, RehearsedStep
from updater.schema.manifest import Manifest
from updater.schema.site_config import SiteConfig
from updater.site.files import make_private_directory, remove_tree
from updater.site.site import Layout, Site

__all__ = ["VARIABLE", "Rehearsal", "rehearsals", "sweep_rehearsals"]

VARIABLE = "UPDATER_REHEARSAL"
"""Set to 1 for the commands of a rehearsal."""

_ELSEWHERE = {"docker", "docker-compose", "podman", "podman-compose", "nerdctl", "kubectl", "oc", "ssh", "nsenter"}
_ELSEWHERE |= {"machinectl", "lxc", "incus", "systemd-run"}
"""Programs that have the work done by somebody else, where no copy would be used."""


@frozen
class Rehearsal:
    """One release, tried on a copy of one site. The caller holds the site's lock. ``changes`` are those that an update
    would make, ``migrations`` the names of those that it would run."""

    site: Site
    layout: Layout
    from_version: str
    manifest: Manifest
    changes: Changes
    migrations: Sequence[str]
    source: Source
    environ: Mapping[str, str]
    report: Reporter
    now: datetime

    def run(self) -> RehearsalReport:
        """Copy, stage, run, compare, remove. Raises BlockedError when it cannot be made sure that the copy is used, and
        other UpdaterErrors when the copy cannot be made."""
        config = self.site.config()
        self._refuse(config)
        directory = rehearsals(self.site) / new_id(self.now, None)
        try:
            make_private_directory(directory.parent)
            directory.mkdir(mode=0o700)
            return self._run(config, directory)
        except OSError as error:
            raise InstallError(
                f"The rehearsal could not be prepared: {error}", hint="Nothing was changed; free some space, perhaps."
            ) from error
        finally:
            self._clean(config, directory)

    def _refuse(self, config: SiteConfig) -> None:
        words = [*config.commands.runner, *config.health.check[:1], *config.health.command[:1]]
        elsewhere = sorted({Path(word).name for word in words} & _ELSEWHERE)
        if elsewhere:
            raise BlockedError(
                f"A rehearsal is refused: the commands run through {elsewhere[0]}, and so not on a copy.",
                hint="Rehearse on a copy of the whole site, on another machine.",
            )
        planned = plan_commands(self.manifest.post_update_commands, config.commands)
        if config.database.kind == "none" and any(not plan.refusal for plan in planned):
            raise BlockedError(
                "A rehearsal is refused: [database] kind is 'none', and the release runs commands.",
                reasons=("if the app has a database, they would change it and not a copy",),
                hint="Describe the database in updater.toml; updates can then save and restore it as well.",
            )

    def _run(self, config: SiteConfig, directory: Path) -> RehearsalReport:
        began = monotonic()
        places = make_places(self.site, self.layout, self.manifest.version, directory)
        is_confined = sandbox.available()
        self._tell(Phase.BACKUP, "Copying the site's files.")
        file = (
            Path(os.path.realpath(places.live_tree / config.database.path))
            if config.database.kind == "sqlite"
            else None
        )
        made = copy_site(places, self.layout, self.manifest, changes=self.changes, source=self.source, database=file)
        self._tell(Phase.BACKUP, f"Copying the database ({config.database.kind}).")
        database = copy_database(config.database, places, self.environ, is_confined=is_confined)
        seconds = monotonic() - began
        before, content, live = database.size(), database.state(), database.live_state()
        steps, skipped = self._try_out(config, places, database, is_confined=is_confined)
        problems = [f"{step.kind} {step.command!r} failed" for step in steps if not step.ok]
        if not problems and self.migrations and database.state() == content and config.database.kind != "none":
            problems.append(
                "the release has migrations, and its commands left the copy of the database as it was: they were not "
                "run, or they went to another database"
            )
        if database.live_state() != live:
            problems.append("the schema of the live database is not what it was: somebody changed it meanwhile")
        return RehearsalReport(
            from_version=self.from_version,
            to_version=self.manifest.version,
            steps=tuple(steps),
            skipped=tuple(skipped),
            problems=tuple(problems),
            database=config.database.kind,
            database_before=before,
            database_after=database.size(),
            copy_seconds=seconds,
            files=made.files,
            size=made.size,
            linked=tuple(made.linked),
            left_out=made.left_out,
            confined=is_confined,
        )

    def _try_out(
        self, config: SiteConfig, places: Places, database: DatabaseCopy, *, is_confined: bool
    ) -> tuple[list[RehearsedStep], list[str]]:
        env = self._environment(config, places, database)
        pairs = moves(places)
        runner = len(config.commands.runner)
        planned = plan_commands(self.manifest.post_update_commands, config.commands)
        health = config.health
        work = [("check", health.check, config.commands.timeout)] if health.check else []
        work += [("command", plan.argv, config.commands.timeout) for plan in planned if not plan.refusal]
        work += [("health", health.command, health.timeout)] if health.command else []
        steps: list[RehearsedStep] = []
        for kind, given, timeout in work:
            phase = Phase.MIGRATE if kind == "command" else Phase.HEALTH
            command = " ".join(given[runner:] if kind == "command" else given)
            argv = tuple(moved(word, pairs) for word in given)
            self._tell(phase, f"Running `{command}` on the copy.")
            words = sandbox.confined(argv, places.directory) if is_confined else argv
            began = monotonic()
            try:
                done = run(words, cwd=places.tree, env=env, timeout=timeout, on_line=partial(self._tell, phase))
                steps.append(RehearsedStep(kind, command, done.returncode == 0, done.seconds, done.output))
            except CommandError as error:
                said = f"{error}\n{error.output}".strip()
                steps.append(RehearsedStep(kind, command, False, monotonic() - began, said))
            if not steps[-1].ok:
                break
        return steps, [plan.refusal for plan in planned if plan.refusal]

    def _environment(self, config: SiteConfig, places: Places, database: DatabaseCopy) -> dict[str, str]:
        """The environment of the real commands, with every path into the live site made one into the copy."""
        pairs = moves(places)
        env = {name: moved(value, pairs) for name, value in {**self.environ, **config.commands.env}.items()}
        own = {"TMPDIR": str(places.directory / "tmp"), "XDG_CACHE_HOME": str(places.directory / "tmp"), VARIABLE: "1"}
        return {**env, **own, **database.env}

    def _clean(self, config: SiteConfig, directory: Path) -> None:
        try:
            drop_scratch(directory, config.database, self.environ)
            remove_tree(directory)
            if not any(directory.parent.iterdir()):
                directory.parent.rmdir()
        except (OSError, UpdaterError) as error:
            advice = getattr(error, "hint", "")
            self.report(Event(Phase.CLEANUP, "warning", f"The rehearsal's copy is not removed yet: {error} {advice}"))

    def _tell(self, phase: Phase, message: str) -> None:
        self.report(Event(phase, "message", message))


def rehearsals(site: Site) -> Path:
    """Where the copies lie."""
    return site.directory / "rehearsal"


def sweep_rehearsals(site: Site, environ: Mapping[str, str], report: Reporter) -> None:
    """Remove what rehearsals left that were killed, scratch databases included; the caller holds the lock.

    What cannot be removed now is told about, and tried again next time.
    """
    home = rehearsals(site)
    if not home.is_dir():
        return
    for directory in sorted(home.iterdir()):
        try:
            if (directory / SCRATCH_NAME).exists():
                drop_scratch(directory, site.config().database, environ)
            remove_tree(directory)
        except (OSError, UpdaterError) as error:
            advice = getattr(error, "hint", "")
            report(Event(Phase.CLEANUP, "warning", f"A rehearsal's copy is not removed yet: {error} {advice}"))
    try:
        home.rmdir()
    except OSError:
        pass  # something is left, and was told about
