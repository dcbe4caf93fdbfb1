"""What an update would do: the feed's answer, the release to go to, and its changes to this site. Changes nothing."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from packaging.version import Version

from updater.acquire import Job, addresses_of, prepare
from updater.beforehand import ask_app, look
from updater.database import open_database
from updater.errors import BlockedError, ConfigError, FeedError, UpToDateError
from updater.events import Reporter
from updater.feeds import SiteFeed, read_feed
from updater.install.migrations import migrations_between
from updater.install.restore_points import list_restore_points
from updater.install.rollback_guards import newer_database, refuse_misfit
from updater.licensing import ending, entitlement, read_license
from updater.notices import notices_for
from updater.process import plan_commands
from updater.process.interpreter import Interpreter
from updater.requirements import check_packages
from updater.results import CheckResult, Plan
from updater.schema.feed import Release
from updater.schema.manifest import Manifest
from updater.selection import Selection, hops, select
from updater.site import Site, SiteState
from updater.site.failed_releases import read_failures
from updater.site.reading import read_file
from updater.transport import Transport
from updater.tree_view import TreeView

__all__ = ["Planner", "database_size", "read_approvals"]

_MOST_APPROVALS = 1 << 20


@dataclass(frozen=True)
class Planner:
    """Decides for one site at one moment."""

    site: Site
    transport: Transport
    now: datetime
    report: Reporter
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    view: TreeView | None = None

    def check(self, state: SiteState) -> CheckResult:
        """Whether an update waits, and why or why not."""
        found = self._feed(state)
        app = ask_app(self.site, state, found.feed, self.environ)
        options = self._options(found, state, app)
        selection = select(found.feed, state.version, **options)
        release = selection.release
        unattended = select(found.feed, state.version, **options, unattended=True)
        told = ending(options["entitled"], self.now)
        return CheckResult(
            installed=state.version,
            channel=found.feed.channel,
            release=release,
            newest=selection.newest,
            freshness=found.freshness,
            reasons=(*((told,) if told else ()), *selection.reasons),
            download_url=addresses_of(release.package.urls, found.location.url)[0] if release else None,
            critical=_any_critical(found, state.version),
            packages=check_packages(release.requires.packages, app) if release else (),
            passed=tuple(_passed(found, state.version, release)) if release else (),
            not_unattended=_what_differs(selection, unattended),
            notices=notices_for(found.feed, state.version, self.now),
        )

    def plan(
        self,
        state: SiteState,
        to: str | None,
        *,
        automatic: bool,
        unattended: bool = False,
        downgrade: bool = False,
    ) -> Plan:
        """See `Updater.plan`."""
        found = self._feed(state, to)
        if automatic and found.freshness.state == "stale":
            raise BlockedError(
                f"Not installed automatically: {found.freshness}.",
                reasons=(str(found.freshness),),
                hint="Try again later; a person can decide otherwise with --allow-stale.",
            )
        app = ask_app(self.site, state, found.feed, self.environ)
        options = self._options(found, state, app) | {"automatic": automatic, "unattended": unattended}
        selection = select(found.feed, state.version, to=to, downgrade=downgrade, **options)
        release = selection.release
        if release is None:
            if not selection.blocked or to == state.version:
                raise UpToDateError("There is no update to install.", reasons=selection.reasons)
            raise BlockedError("No update can be installed now.", reasons=selection.reasons)
        further = hops(found.feed, release, to=to, **options)
        planned = self._plan(found, state, release, app, selection.reasons)
        if planned.downgrade:
            self._refuse_newer_database(planned)
        return replace(planned, further=further)

    def _refuse_newer_database(self, planned: Plan) -> None:
        """The database stays in a downgrade: refuse one whose code is not known to work on it. Raises BlockedError."""
        points = list_restore_points(self.site)
        refusals = newer_database(self.site.manifest(), planned.manifest, points[-1] if points else None, points)
        hint = "`updater rollback` goes back to a restore point, with the database of that time."
        refuse_misfit(planned.to_version, refusals, hint, keeps_database=True)

    def _plan(
        self,
        found: SiteFeed,
        state: SiteState,
        release: Release,
        app: Interpreter | None,
        reasons: tuple[str, ...],
    ) -> Plan:
        before = look(self.site, state, release, app, self.environ)
        config, view = self.site.config(), self.view or TreeView(self.site, state)
        url = found.location.url
        job = Job(release, found.feed.releases, url, view, self.transport, self.report, config.download)
        prepared = prepare(job)
        manifest = prepared.manifest
        _check_manifest(manifest, release.version, found)
        return Plan(
            from_version=state.version,
            release=release,
            manifest=manifest,
            changes=prepared.changes,
            migrations=migrations_between(
                view.installed,
                manifest,
                {passed.version: passed.migrations for passed in _passed(found, state.version, release)},
            ),
            commands=tuple(plan_commands(manifest.post_update_commands, config.commands)),
            freshness=found.freshness,
            reasons=reasons,
            prepared=prepared,
            package_urls=addresses_of(release.package.urls, url),
            app_will_stop=bool(config.restart.stop),
            database="lead" if config.fleet.role == "follow" else config.database.kind,
            warnings=(*self._warnings(release), *before.warnings),
            packages=before.packages,
            downgrade=state.version is not None and Version(release.version) < Version(state.version),
        )

    def _warnings(self, release: Release) -> tuple[str, ...]:
        attempts = read_failures(self.site.failed_path).get(release.version, ())
        if not attempts:
            return ()
        times = "once" if len(attempts) == 1 else f"{len(attempts)} times"
        return (f"{release.version} failed on this site {times} before: {attempts[-1].reason}",)

    def _feed(self, state: SiteState, to: str | None = None) -> SiteFeed:
        config = self.site.config()
        if config.app is not None and config.app != state.app:
            raise ConfigError(
                f"{self.site.config_path} says [feed] app = {config.app!r}, but this site runs {state.app!r}.",
                hint="Correct the line, or remove it.",
            )
        return read_feed(
            config.feed_url,
            self.site.directory,
            self.transport,
            now=self.now,
            app=state.app,
            component=state.component,
            installed=state.version,
            to=to,
        )

    def _options(self, found: SiteFeed, state: SiteState, app: Interpreter | None) -> dict[str, Any]:
        """What `select` is told about this site and its owner."""
        policy = self.site.config().policy
        return {
            "site_id": state.site_id,
            "now": self.now,
            "python": platform.python_version() if app is None else app.python,
            "failed": read_failures(self.site.failed_path),
            "app": app,
            "policy": policy,
            "entitled": entitlement(found.feed, read_license(self.site.license_path)),
            "approved": read_approvals(self.site.path / policy.approvals) if policy.approvals else (),
        }


def read_approvals(path: Path) -> frozenset[str]:
    """The versions in the owner's file of approvals: one a line, ``#`` begins a comment. None when it is not there.

    Raises ConfigError when it cannot be read."""
    try:
        text = read_file(path, most=_MOST_APPROVALS).decode()
    except FileNotFoundError:
        return frozenset()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}, which [policy] approvals names, cannot be read: {error}",
            hint="It must be a UTF-8 text file with a version a line.",
        ) from error
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return frozenset(line for line in lines if line)


def _what_differs(selection: Selection, unattended: Selection) -> tuple[str, ...]:
    """What is said about an update that nobody asked for, beside what is said anyway."""
    if selection.release is None or unattended.release == selection.release:
        return ()
    return tuple(reason for reason in unattended.reasons if reason not in selection.reasons)


def _passed(found: SiteFeed, installed: str | None, release: Release) -> list[Release]:
    """The releases that an update goes past, oldest first: all after the installed one, up to its own."""
    newest = Version(release.version)
    oldest = None if installed is None else Version(installed)
    listed = [r for r in found.feed.releases if Version(r.version) <= newest]
    passed = [r for r in listed if oldest is None or Version(r.version) > oldest]
    return sorted(passed, key=lambda r: Version(r.version))


def database_size(site: Site, state: SiteState, environ: Mapping[str, str]) -> int:
    """The most bytes that a backup of the database will need; 0 when that cannot be told."""
    if state.version is None:
        return 0
    return open_database(site.config().database, site.tree(state.layout), environ).estimate() or 0


def _check_manifest(manifest: Manifest, version: str, found: SiteFeed) -> None:
    named = (manifest.app, manifest.component, manifest.version)
    if named != (found.feed.app, found.feed.component, version):
        raise FeedError(
            f"The package of {version} says it is {manifest.app} {manifest.component} {manifest.version}.",
            hint="Tell the app's maintainer: the feed names a package of something else.",
        )


def _any_critical(found: SiteFeed, installed: str | None) -> bool:
    """Whether any release newer than the installed one is critical: skipping one does not make it less so."""
    return any(
        release.critical and release.yanked is None
        for release in found.feed.releases
        if installed is None or Version(release.version) > Version(installed)
    )
