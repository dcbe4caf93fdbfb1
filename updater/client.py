"""The library's front door: one object for one site. The CLI and everything else is built on it alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from updater.credentials import read_credentials
from updater.errors import BlockedError, LockedError, RolledBackError, StateError, UpdaterError
from updater.events import Event, Phase, Reporter, about, ignore_events
from updater.install.archives import export_restore_point
from updater.install.begin import stage
from updater.install.edited import EditedFile, RestoredFile, list_edited, restore_edited
from updater.install.engine import Engine
from updater.install.environment import plan_environment
from updater.install.losses import count_losses
from updater.install.observe import observe
from updater.install.outcome import Outcome
from updater.install.overview import Overview, overview, refuse_last_good, verify_points
from updater.install.recovery import pending, recover
from updater.install.restore_points import RestorePoint, delete, find_restore_point, list_restore_points
from updater.install.rollback import prepare_rollback, run_rollback
from updater.install.slots import free_slot
from updater.install.transaction import make_transaction
from updater.probation import Probation
from updater.results import CheckResult, Plan, PlannedPart, RollbackPlan, Verification
from updater.schema.globs import matches_any
from updater.schema.manifest import Manifest
from updater.schema.text import CORE
from updater.site import Site, SiteLock, SiteState, StatusFile, append_history, read_history, read_status
from updater.site.files import write_atomic

if TYPE_CHECKING:
    from updater.acquire import Job, Obtained
    from updater.install.preflight import Finding
    from updater.planning import Planner
    from updater.rehearsal.report import RehearsalReport
    from updater.transport import Transport
    from updater.tree_view import TreeView

__all__ = ["Updater"]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Updater:
    """Checks, updates and rolls back one site.

    ``report`` is called with every progress `Event`. ``transport``, ``now`` and ``environ`` can be replaced; by
    default they are HTTPS, the system clock and the process's environment. Every method first finishes or undoes an
    update that a crash interrupted, unless another process is at work. Methods raise subclasses of `UpdaterError`.
    """

    def __init__(
        self,
        site: Site | Path | str,
        *,
        report: Reporter = ignore_events,
        transport: Transport | None = None,
        now: Callable[[], datetime] = _utc_now,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        found = site if isinstance(site, Site) else Site(Path(site).absolute())
        self.site = found if environ is None else replace(found, environ=environ)
        self.report = report
        self._transport_given = transport
        self._opened_transport: Transport | None = None
        self._now = now
        self._environ = os.environ if environ is None else environ
        self._last_view: TreeView | None = None

    # what is there

    def check(self) -> CheckResult:
        """Ask the feed whether an update waits. Costs two small requests when there is nothing new."""
        self._settle()
        planner = self._planner()
        self._say(Phase.CHECK, "start", f"Asking {self.site.config().feed_url}")
        result = planner.check()
        self._remember_check(result)
        self._show_others()
        return result

    def status(self) -> Mapping[str, Any]:
        """The content of ``status.json``: how far a running update is, or how the last one ended."""
        self._settle(quiet=True)
        return read_status(self.site.status_path)

    def history(self) -> Sequence[Mapping[str, Any]]:
        """Everything that happened to the site, oldest first."""
        self._settle(quiet=True)
        return read_history(self.site.history_path)

    def verify(self) -> Verification:
        """Compare every file of the installed release with the disk."""
        self._settle()
        state, manifest = self._installed()
        seen = observe(self.site.tree(state.layout), manifest.files)  # every byte is read, whatever was seen before
        own = {path for path in manifest.files if matches_any(path, manifest.preserve)}
        listed = [path for path in manifest.files if path not in own]
        return Verification(
            version=manifest.version,
            checked=len(listed),
            missing=tuple(path for path in listed if path not in seen),
            changed=tuple(path for path in listed if path in seen and not seen[path].matches(manifest.files[path])),
            preserved=tuple(sorted(own)),
        )

    # forward

    def plan(
        self,
        to: str | None = None,
        *,
        automatic: bool = False,
        unattended: bool = False,
        downgrade: bool = False,
        components: Collection[str] = (),
    ) -> Plan:
        """Decide on a release (or take ``to``) and work out what installing it would do. Changes nothing.

        ``components``: only of these (``core`` is the app itself); by default of all that are installed. They are
        installed together or not at all. ``to`` is a version of the only one of them, else of the core.

        ``automatic``: nobody asked for it just now, so rollout schedules and freshness are obeyed. ``unattended``: the
        owner's policy says what may install itself as well (``[policy]`` of updater.toml). ``downgrade``: a person lets
        ``to`` be older than what is installed; it is refused where old code would not fit the database, which stays.
        Raises BlockedError, with the reasons, when there is no release to go to; LockedError while an update runs: what
        is installed changes just now.
        """
        self._settle(alone=True)
        return self._planner().plan(
            to,
            automatic=automatic or unattended,
            unattended=unattended,
            downgrade=downgrade,
            components=components,
        )

    def plan_removal(self, component: str) -> Plan:
        """What taking a component's files away would do. Changes nothing. Raises BlockedError when it is not there, or
        another one needs it."""
        self._settle(alone=True)
        return self._planner().plan_removal(component)

    def download(self, plan: Plan) -> Path:
        """Get and verify everything that the plan needs (resuming an earlier attempt), so that `install` finds it here.
        Returns the directory where it lies."""
        with self._obtaining(plan, self.report):
            return self.site.downloads

    def install(self, plan: Plan) -> Outcome:
        """Carry a plan out: download, verify, back up, install, migrate, check health, commit, clean up.

        Raises RolledBackError when it failed and the old version is back; ProbationError when it failed after it was
        committed and stays (see `updater.probation`); any other error before something changed.
        """
        with self._working("update") as status:
            state = self.site.state()
            self._refuse_outdated(plan)
            return self._install(plan, state, status)

    def _refuse_outdated(self, plan: Plan) -> None:
        parts = self._view().parts
        present = {} if parts is None else parts.versions()
        for part in plan.parts:
            now = present.get(part.component)
            if now != part.from_version:
                what = "The site" if part.component == CORE else part.component
                raise BlockedError(
                    f"{what} is at {now} now, the plan was made at {part.from_version}.", hint="Make a new plan."
                )

    def _install(self, plan: Plan, state: SiteState, report: Reporter) -> Outcome:
        from updater.planning import database_size

        config = self.site.config()
        with self._obtaining(plan, report) as obtained:
            changes = obtained.changes
            changes.refuse_conflicts(f"The update to {plan.what}")
            slots = state.layout == "slots"
            transaction = make_transaction(
                self.site,
                "update" if state.version else "install",
                state.layout,
                changes,
                now=self._now(),
                from_version=state.version,
                to_version=plan.to_version,
                manifest=obtained.manifest,
                slot=free_slot(self.site, plan.to_version) if slots else None,
                old_slot=self.site.tree("slots").name if slots and state.version else None,
                migrations=plan.migrations.to_json(),
                commands=tuple(planned.command for planned in plan.commands),
                components=plan.component_changes,
                environment=plan_environment(self.site, obtained.manifest, self._environ),
            )
            needed = obtained.to_write + database_size(self.site, state, self._environ)
            staged = stage(
                self.site, transaction, obtained.source, obtained.manifest_bytes, needed=needed, report=report
            )
        outcome = Engine(staged, report=report, now=self._now, environ=self._environ).run()
        if outcome.from_version is not None:
            Probation(self.site, outcome, config, report=report, now=self._now, environ=self._environ).run()
        return outcome

    def rehearse(self, plan: Plan) -> RehearsalReport:
        """Try a plan on a copy of the site and its database; nothing live is changed, and the copy is removed.

        Raises BlockedError when it cannot be made sure that only the copy is used.
        """
        from updater.rehearsal import Rehearsal

        with SiteLock(self.site.lock_path):
            self._recover(self.report)
            state, _ = self._installed()
            with self._obtaining(plan, self.report) as obtained:
                changes = obtained.changes
                changes.refuse_conflicts(f"The rehearsal of {plan.what}")
                return Rehearsal(
                    site=self.site,
                    layout=state.layout,
                    from_version=str(state.version),
                    manifest=obtained.manifest,
                    changes=changes,
                    migrations=plan.migrations.names,
                    source=obtained.copies,
                    environ=self._environ,
                    report=self.report,
                    now=self._now(),
                ).run()

    # back

    def plan_rollback(
        self, restore_point: str | None = None, *, keep_database: bool = False, database_restored: bool = False
    ) -> RollbackPlan:
        """What going back would do: to a restore point (id or version), to an exported zip (its path), or, for
        None, to the newest restore point. Changes nothing.

        ``keep_database``: code only. ``database_restored``: so is this, and the owner vouches for a database that fits.
        """
        self._settle()
        with ExitStack() as opened:
            prepared = prepare_rollback(
                self.site,
                restore_point,
                opened,
                keep_database=keep_database,
                database_restored=database_restored,
            )
            rows, rows_unknown = count_losses(self.site, prepared, self._environ)
            return RollbackPlan(
                from_version=prepared.from_version,
                to_version=prepared.to_version,
                created=prepared.created,
                changes=prepared.changes,
                point=prepared.point,
                loses_since=prepared.loses_since,
                database=self.site.config().database.kind,
                rows=rows,
                rows_unknown=rows_unknown,
                refusals=prepared.refusals,
                hint=prepared.hint,
                components=prepared.components,
            )

    def rollback(
        self, restore_point: str | None = None, *, keep_database: bool = False, database_restored: bool = False
    ) -> Outcome:
        """Go back, code and database together unless said otherwise (see `plan_rollback`). Raises as `install` does,
        and BlockedError when code and database would not fit together."""
        with self._working("rollback") as status, ExitStack() as opened:
            prepared = prepare_rollback(
                self.site,
                restore_point,
                opened,
                keep_database=keep_database,
                database_restored=database_restored,
            )
            return run_rollback(self.site, prepared, report=status, now=self._now, environ=self._environ)

    def recover(self) -> Outcome | None:
        """Finish or undo an interrupted update; None when there was none. Tries even after earlier failures."""
        with SiteLock(self.site.lock_path) as lock:
            self._tell_of_the_dead(lock)
            return self._recover(self.report, force=True)

    def doctor(self) -> list[Finding]:
        """Everything that would stop an update, each with what to do about it. Changes nothing, recovers nothing."""
        from updater.doctor import examine

        return examine(self.site, now=self._now(), environ=self._environ, transport=self._transport_given)

    # restore points

    def restore_points(self) -> list[RestorePoint]:
        """All restore points, newest first."""
        self._settle(quiet=True)
        return list_restore_points(self.site)

    def export_restore_point(self, restore_point: str, path: Path) -> RestorePoint:
        """Write one to a zip that holds everything to go back to it; returns what was exported."""
        with SiteLock(self.site.lock_path):  # an update would change the live files that belong to the point
            self._recover(self.report)
            point = find_restore_point(self.site, restore_point)
            export_restore_point(self.site, point, path)
        return point

    def delete_restore_point(self, restore_point: str) -> RestorePoint:
        """Remove one; the owner's edited files in it stay. Refuses to remove the last good one."""
        with SiteLock(self.site.lock_path):
            self._recover(self.report)
            point = find_restore_point(self.site, restore_point)
            refuse_last_good(self.site, point)
            delete(self.site, point)
            return point

    def describe_restore_points(self) -> Overview:
        """All restore points with what each can restore and takes of the disk, and the ids of damaged records."""
        self._settle(quiet=True)
        return overview(self.site)

    def verify_restore_points(self, restore_point: str | None = None) -> Mapping[str, Sequence[str]]:
        """Read one restore point again, or all: what is damaged, by id. An empty list means that it is whole."""
        self._settle()
        with SiteLock(self.site.lock_path):
            return verify_points(self.site, restore_point, self._environ, self.report)

    def edited_files(self) -> list[EditedFile]:
        """The kept copies of files that the owner edited and an update replaced, newest first."""
        self._settle(quiet=True)
        return list_edited(self.site)

    def restore_edited_file(self, edited: EditedFile, to: Path | None = None) -> RestoredFile:
        """Write one back to where it came from (what lies there is kept aside first), or to ``to``, which is new."""
        with SiteLock(self.site.lock_path):
            self._recover(self.report)
            return restore_edited(self.site, edited, to, self._now())

    # inside

    def _remember_check(self, result: CheckResult) -> None:
        append_history(
            self.site.history_path,
            self._now(),
            "check",
            installed=result.installed,
            available=result.release.version if result.release else None,
            feed=result.freshness.state,
            critical=result.critical,
            notices=len(result.notices),
            **(
                {"components": {one.component: one.to_version for one in result.components}}
                if result.components
                else {}
            ),
        )

    def _show_others(self) -> None:
        """Monitoring and the maintainer, as the owner wants it. What stands in its way is told, and stops nothing."""
        try:
            wanted = self.site.config().report
            if not (wanted.metrics or wanted.adoption):
                return
            from updater.reporting import metrics_text, tell_adoption
            from updater.trust.names import FeedLocation

            state, now = self.site.state(), self._now()
            channel = FeedLocation.parse(self.site.config().feed_url).channel
            if wanted.metrics:
                points = len(list_restore_points(self.site))
                text = metrics_text(state, channel, read_history(self.site.history_path), points, now)
                write_atomic(self.site.path / wanted.metrics, text.encode(), mode=0o644)
            if wanted.adoption:
                failed = tell_adoption(wanted.adoption, state, channel, self.site.adoption_path, now)
                if failed:
                    self._say(Phase.CLEANUP, "warning", failed)
        except (OSError, UpdaterError) as error:
            self._say(Phase.CLEANUP, "warning", f"What [report] asks for was not done: {error}")

    def _installed(self) -> tuple[SiteState, Manifest]:
        state, manifest = self.site.state(), self.site.manifest()
        if manifest is None or state.version is None:
            raise StateError(
                f"Nothing is installed in {self.site.path} yet.",
                hint="Finish the install: `updater install FEED_URL DIR`.",
            )
        return state, manifest

    def transport(self) -> Transport:
        """What this site asks servers with: its limits and credentials are in it."""
        if self._opened_transport is None:
            settings, transport = self.site.config().download, self._transport_given
            if transport is None:
                from updater.transport import HTTPTransport, Limits

                transport = HTTPTransport(
                    Limits(total=settings.deadline, min_rate=settings.min_rate),
                    headers_for=read_credentials(self.site.directory, self._environ).headers_for,
                )
            if settings.rate_limit:
                from updater.transport.throttle import RateLimit, ThrottledTransport

                transport = ThrottledTransport(transport, RateLimit(settings.rate_limit))
            self._opened_transport = transport
        return self._opened_transport

    @contextmanager
    def _obtaining(self, plan: Plan, report: Reporter) -> Iterator[Obtained]:
        """Everything that a plan installs."""
        from updater.acquire import Job, obtain_together

        settings, view = self.site.config().download, self._view()
        jobs: list[tuple[PlannedPart, Job | None]] = []
        for part in plan.parts:
            job, found = None, part.prepared
            if part.release is not None and found is not None:
                own = view.of(part.component, part.directory)
                tell = report if part.component == CORE else about(part.component, report)
                job = Job(part.release, found.releases, found.feed_url, own, self.transport(), tell, settings)
            jobs.append((part, job))
        with obtain_together(jobs, view) as obtained:
            yield obtained

    def _view(self) -> TreeView:
        """What was seen of the tree so far: planning and installing need not both read it."""
        from updater.tree_view import TreeView

        view = TreeView(self.site, self.site.state())
        if self._last_view is None or self._last_view.tree != view.tree:
            self._last_view = view
        return self._last_view

    def _planner(self) -> Planner:
        from updater.planning import Planner

        state, view = self.site.state(), self._view()
        return Planner(self.site, state, self.transport(), self._now(), self.report, view, self._environ)

    def _settle(self, *, quiet: bool = False, alone: bool = False) -> None:
        """What every verb does first: recover, when an interrupted update is found and nobody else is at work.
        ``alone``: while somebody is, LockedError is raised."""
        try:
            if not self.site.exists or pending(self.site) is None:
                return
            with SiteLock(self.site.lock_path):
                self._recover(ignore_events if quiet else self.report)
        except LockedError:
            if alone:
                raise
            # its owner is alive and at work: not interrupted
        except UpdaterError:
            if not quiet:
                raise  # what only looks must show what is wrong, not fail for it

    def _recover(self, report: Reporter, *, force: bool = False) -> Outcome | None:
        outcome = recover(self.site, report=report, now=self._now, environ=self._environ, force=force)
        if (self.site.directory / "rehearsal").is_dir():
            from updater.rehearsal import sweep_rehearsals

            sweep_rehearsals(self.site, self._environ, report)
        return outcome

    @contextmanager
    def _working(self, run_id: str) -> Iterator[StatusFile]:
        """Hold the lock, recover what was interrupted, and keep ``status.json`` while the work goes on."""
        self.site.state()
        with SiteLock(self.site.lock_path) as lock:
            self._tell_of_the_dead(lock)
            self._recover(self.report)
            started = f"{run_id}-{self._now():%Y%m%d-%H%M%S}"
            status = StatusFile(self.site.status_path, started, self._now, self.report)
            try:
                yield status
            except BaseException as error:
                state = "rolled_back" if isinstance(error, RolledBackError) else "failed"
                status.finish(state, str(error) or type(error).__name__)
                self._show_others()
                raise
            status.finish("done", "Finished.")
            self._show_others()

    def _tell_of_the_dead(self, lock: SiteLock) -> None:
        if lock.died is not None:
            since = f"{datetime.fromtimestamp(lock.died.since, UTC):%Y-%m-%d %H:%M} UTC"
            gone = f"An earlier updater (process {lock.died.pid}, since {since}) ended without a last word."
            self._say(Phase.RECOVER, "message", f"{gone} Its lock is cleared.")

    def _say(self, phase: Phase, kind: Any, message: str) -> None:
        self.report(Event(phase, kind, message))
