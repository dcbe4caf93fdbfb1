"""What an update would do: the feed's answer, the release to go to, and its changes to this site. Changes nothing."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from packaging.version import Version

from updater.acquire import package_path, package_urls, read_manifest
from updater.beforehand import ask_app, look
from updater.database import open_database
from updater.errors import BlockedError, ConfigError, FeedError, UpToDateError
from updater.events import Reporter
from updater.feeds import SiteFeed, read_feed
from updater.install.changes import Changes, compute_changes
from updater.install.migrations import migrations_between
from updater.install.observe import observe
from updater.process import plan_commands
from updater.process.interpreter import Interpreter
from updater.requirements import check_packages
from updater.results import CheckResult, Plan
from updater.schema.feed import Release
from updater.schema.manifest import Manifest
from updater.selection import Selection, select
from updater.site import Site, SiteState
from updater.site.failed_releases import read_failures
from updater.transport import Transport

__all__ = ["Planner", "changes_to", "database_size"]


@dataclass(frozen=True)
class Planner:
    """Decides for one site at one moment."""

    site: Site
    transport: Transport
    now: datetime
    report: Reporter
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def check(self, state: SiteState) -> CheckResult:
        """Whether an update waits, and why or why not."""
        found = self._feed(state)
        app = ask_app(self.site, state, found.feed, self.environ)
        selection = self._select(found, state, app, to=None, automatic=False)
        release = selection.release
        return CheckResult(
            installed=state.version,
            channel=found.feed.channel,
            release=release,
            newest=selection.newest,
            freshness=found.freshness,
            reasons=selection.reasons,
            download_url=package_urls(release, found.location.url)[0] if release else None,
            critical=_any_critical(found, state.version),
            packages=check_packages(release.requires.packages, app) if release else (),
            passed=tuple(_passed(found, state.version, release)) if release else (),
        )

    def plan(self, state: SiteState, to: str | None, *, automatic: bool) -> Plan:
        """See `Updater.plan`."""
        found = self._feed(state, to)
        if automatic and found.freshness.state == "stale":
            raise BlockedError(
                f"Not installed automatically: {found.freshness}.",
                reasons=(str(found.freshness),),
                hint="Try again later; a person can decide otherwise with --allow-stale.",
            )
        app = ask_app(self.site, state, found.feed, self.environ)
        selection = self._select(found, state, app, to=to, automatic=automatic)
        release = selection.release
        if release is None:
            if not selection.blocked or to == state.version:
                raise UpToDateError("There is no update to install.", reasons=selection.reasons)
            raise BlockedError("No update can be installed now.", reasons=selection.reasons)
        return self._plan(found, state, release, app, selection.reasons)

    def _plan(
        self,
        found: SiteFeed,
        state: SiteState,
        release: Release,
        app: Interpreter | None,
        reasons: tuple[str, ...],
    ) -> Plan:
        before = look(self.site, state, release, app, self.environ)
        urls = package_urls(release, found.location.url)
        config, downloads = self.site.config(), self.site.downloads
        manifest, manifest_bytes = read_manifest(
            release, urls, downloads, self.transport, self.report, deadline=config.download.deadline
        )
        _check_manifest(manifest, release.version, found)
        return Plan(
            from_version=state.version,
            release=release,
            manifest=manifest,
            manifest_bytes=manifest_bytes,
            changes=changes_to(self.site, state, manifest),
            migrations=migrations_between(
                self.site.manifest(),
                manifest,
                {passed.version: passed.migrations for passed in _passed(found, state.version, release)},
            ),
            commands=tuple(plan_commands(manifest.post_update_commands, config.commands)),
            freshness=found.freshness,
            reasons=reasons,
            download_size=0 if package_path(downloads, release).exists() else release.package.size,
            package_urls=urls,
            app_will_stop=bool(config.restart.stop),
            database=config.database.kind,
            warnings=(*self._warnings(release), *before.warnings),
            packages=before.packages,
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

    def _select(
        self, found: SiteFeed, state: SiteState, app: Interpreter | None, *, to: str | None, automatic: bool
    ) -> Selection:
        return select(
            found.feed,
            state.version,
            site_id=state.site_id,
            now=self.now,
            python=platform.python_version() if app is None else app.python,
            automatic=automatic,
            to=to,
            failed=read_failures(self.site.failed_path),
            app=app,
        )


def _passed(found: SiteFeed, installed: str | None, release: Release) -> list[Release]:
    """The releases that an update goes past, oldest first: all after the installed one, up to its own."""
    newest = Version(release.version)
    oldest = None if installed is None else Version(installed)
    listed = [r for r in found.feed.releases if Version(r.version) <= newest]
    passed = [r for r in listed if oldest is None or Version(r.version) > oldest]
    return sorted(passed, key=lambda r: Version(r.version))


def changes_to(site: Site, state: SiteState, new: Manifest) -> Changes:
    """What going to ``new`` changes, given what lies on this site's disk now."""
    old = site.manifest()
    first_slot = state.layout == "slots" and state.version is None
    paths = sorted(set(new.files) | set(old.files if old else ()))
    tree = site.releases / ".none" if first_slot else site.tree(state.layout)
    seen = observe(tree, paths, shared=site.shared if state.layout == "slots" else None)
    return compute_changes(old, new, seen, site.config().edited)


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
