"""What an update would do: the feed's answer, the release to go to, and its changes to this site. Changes nothing."""

from __future__ import annotations

import os
import platform
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from packaging.version import Version

from updater.acquire import Job, addresses_of, changes_together, prepare, whole_manifest
from updater.beforehand import ask_app, look
from updater.database import open_database
from updater.errors import BlockedError, ConfigError, DownloadError, FeedError, UpdaterError, UpToDateError
from updater.events import Reporter, about
from updater.feeds import SiteFeed, read_feed
from updater.grouping import Candidate, choose_together
from updater.install.component_changes import name_of
from updater.install.migrations import migrations_between
from updater.install.restore_points import list_restore_points
from updater.install.rollback_guards import newer_database, refuse_misfit
from updater.licensing import ending, entitlement, read_license
from updater.members import SiteMember, as_member, members_of
from updater.notices import notices_for
from updater.process import plan_commands
from updater.process.interpreter import Interpreter
from updater.requirements import check_packages
from updater.results import CheckResult, Plan, PlannedPart
from updater.schema.feed import Release
from updater.schema.manifest import Manifest
from updater.schema.text import CORE
from updater.selection import Selection, hops, select
from updater.site import Site, SiteState
from updater.site.failed_releases import read_failures
from updater.site.reading import read_file
from updater.transport import Transport
from updater.tree_view import TreeView
from updater.trust import FeedLocation, Freshness

__all__ = ["Planner", "database_size", "read_approvals"]

_MOST_APPROVALS = 1 << 20
_MOST_OFFERS = 20
"""Releases of one component that are considered, the newest first, when they have to go with those of others."""


@dataclass(frozen=True)
class _Asked:
    """What the feed of one component says, and what of it this site may have, the best first. ``selection`` is the
    first answer; it tells the reasons."""

    member: SiteMember
    found: SiteFeed
    app: Interpreter | None
    options: Mapping[str, Any]
    selection: Selection
    offers: tuple[Release, ...]


@dataclass(frozen=True)
class Planner:
    """Decides for one site at one moment."""

    site: Site
    transport: Transport
    now: datetime
    report: Reporter
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    view: TreeView | None = None

    # what waits

    def check(self, state: SiteState) -> CheckResult:
        """Whether an update waits, and why or why not; for the core, and with it for every other component."""
        core, *others = members_of(state, self.site.config(), self._view(state).parts)
        asked = self._ask(core, state, self._feed(core, state), several=bool(others))
        all_asked, results = [asked], []
        for member in others:
            if member.installed is None or not member.enabled:
                continue
            try:
                all_asked.append(self._ask_again(member, state))
            except UpdaterError as error:
                results.append(self._untold(member, str(error)))
        chosen, reasons = self._together(all_asked, [core, *others])
        results += [self._checked(one, chosen, reasons) for one in all_asked[1:]]
        results.sort(key=lambda result: result.component)
        return replace(self._checked(asked, chosen, reasons), components=tuple(results))

    def _ask_again(self, member: SiteMember, state: SiteState) -> _Asked:
        why = _not_followed(member)
        if why:
            raise BlockedError(why)
        return self._ask(member, state, self._feed(member, state), several=True)

    def _untold(self, member: SiteMember, why: str) -> CheckResult:
        """Of a component whose feed was not asked, or did not answer."""
        channel = "" if member.feed_url is None else FeedLocation.parse(member.feed_url).channel
        freshness = Freshness("stale", why, self.now)
        return CheckResult(member.installed, channel, None, None, freshness, (why,), component=member.name)

    def _checked(
        self, asked: _Asked, chosen: Mapping[str, Candidate], reasons: Mapping[str, tuple[str, ...]]
    ) -> CheckResult:
        member, found, app, selection = asked.member, asked.found, asked.app, asked.selection
        choice = chosen[member.name]
        release = _release_of(asked, choice)
        unattended = select(found.feed, member.installed, **asked.options, unattended=True)
        told = ending(asked.options["entitled"], self.now)
        return CheckResult(
            installed=member.installed,
            channel=found.feed.channel,
            release=release,
            newest=selection.newest,
            freshness=found.freshness,
            reasons=(*((told,) if told else ()), *_why(asked, release, reasons.get(member.name, ()))),
            download_url=addresses_of(release.package.urls, found.location.url)[0] if release else None,
            critical=_any_critical(found, member.installed),
            packages=check_packages(release.requires.packages, app) if release else (),
            passed=tuple(_passed(found, member.installed, release)) if release else (),
            not_unattended=_what_differs(selection, unattended) if release else (),
            notices=notices_for(found.feed, member.installed, self.now),
            component=member.name,
        )

    # what an update would do

    def plan(
        self,
        state: SiteState,
        to: str | None,
        *,
        automatic: bool,
        unattended: bool = False,
        downgrade: bool = False,
        components: Collection[str] = (),
    ) -> Plan:
        """See `Updater.plan`."""
        members = members_of(state, self.site.config(), self._view(state).parts)
        wanted, warnings = _wanted(members, components), []
        single = wanted[0].name if len(wanted) == 1 else CORE
        asked: list[_Asked] = []
        for member in wanted:
            own = to if member.name == single else None
            try:
                found = self._feed(member, state, own)
            except (FeedError, DownloadError) as error:
                if member.is_core or member.name in components:
                    raise
                warnings.append(f"{member.name} stays as it is: {error}")
                continue
            if automatic and found.freshness.state == "stale":
                if member.is_core or len(wanted) == 1:
                    raise _stale(found)
                warnings.append(f"{member.name} stays as it is: {found.freshness}.")
                continue
            more = {"automatic": automatic, "unattended": unattended, "to": own, "downgrade": downgrade}
            asked.append(self._ask(member, state, found, several=len(members) > 1, **more))
        chosen, passed = self._together(asked, members)
        changing = [(one, release) for one in asked if (release := _release_of(one, chosen[one.member.name]))]
        reasons = _all_reasons(asked, chosen, passed)
        if not changing:
            blocked = any(one.selection.blocked or one.offers for one in asked)
            if not blocked or (to is not None and to == asked[0].member.installed):
                raise UpToDateError("There is no update to install.", reasons=reasons)
            raise BlockedError("No update can be installed now.", reasons=reasons)
        planned = self._plan(state, changing, (*reasons,), tuple(warnings))
        if planned.downgrade:
            self._refuse_newer_database(planned)
        return planned

    def plan_removal(self, state: SiteState, component: str) -> Plan:
        """See `Updater.plan_removal`."""
        view = self._view(state)
        members = {member.name: member for member in members_of(state, self.site.config(), view.parts)}
        member = members.get(component)
        if component == CORE or member is None or member.installed is None:
            names = ", ".join(name for name, one in members.items() if name != CORE and one.installed) or "none"
            raise BlockedError(f"{component!r} is no installed component of this site (it has {names}).")
        needed = [one.name for one in members.values() if one.installed and component in one.requires]
        if needed:
            raise BlockedError(
                f"{component} cannot be taken away.",
                reasons=tuple(f"{name} needs it." for name in needed),
                hint="Take that away first.",
            )
        part = PlannedPart(component, member.directory, member.installed, None)
        return self._assembled(state, (part,), {}, freshness=Freshness("fresh", "", self.now))

    def _refuse_newer_database(self, planned: Plan) -> None:
        """The database stays in a downgrade: refuse one whose code is not known to work on it. Raises BlockedError."""
        points = list_restore_points(self.site)
        refusals = newer_database(self.site.manifest(), planned.manifest, points[-1] if points else None, points)
        hint = "`updater rollback` goes back to a restore point, with the database of that time."
        refuse_misfit(planned.what, refusals, hint, keeps_database=True)

    def _plan(
        self,
        state: SiteState,
        changing: Sequence[tuple[_Asked, Release]],
        reasons: tuple[str, ...],
        warnings: tuple[str, ...],
    ) -> Plan:
        parts, manifests = [], {}
        for asked, release in changing:
            before = look(self.site, state, release, asked.app, self.environ)
            url, member = asked.found.location.url, asked.member
            own_view = self._view(state).of(member.name, member.directory)
            settings = self.site.config().download
            report = self.report if member.is_core else about(member.name, self.report)
            job = Job(release, asked.found.feed.releases, url, own_view, self.transport, report, settings)
            prepared = prepare(job)
            _check_manifest(prepared.manifest, release.version, asked.found)
            manifests[member.name] = prepared.manifest
            warnings = tuple(dict.fromkeys((*warnings, *self._warnings(member, release), *before.warnings)))
            parts.append(
                PlannedPart(
                    component=member.name,
                    directory=member.directory,
                    from_version=member.installed,
                    release=release,
                    prepared=prepared,
                    package_urls=addresses_of(release.package.urls, url),
                    packages=before.packages,
                    further=hops(asked.found.feed, release, **asked.options),
                    passed=tuple(_passed(asked.found, member.installed, release)),
                )
            )
        worst = max((asked.found.freshness for asked, _ in changing), key=lambda found: found.state == "stale")
        return self._assembled(state, tuple(parts), manifests, freshness=worst, reasons=reasons, warnings=warnings)

    def _assembled(
        self,
        state: SiteState,
        parts: tuple[PlannedPart, ...],
        manifests: Mapping[str, Manifest],
        *,
        freshness: Freshness,
        reasons: tuple[str, ...] = (),
        warnings: tuple[str, ...] = (),
    ) -> Plan:
        """The plan of all parts together; ``manifests`` are those of the parts that stay or come."""
        view, config = self._view(state), self.site.config()
        manifest = whole_manifest(parts, manifests, view.parts)
        own = [manifests[part.component] for part in parts if part.component in manifests]
        commands = dict.fromkeys(command for one in own for command in one.post_update_commands)
        core = next((part for part in parts if part.component == CORE), None)
        passed = {name_of(part.component, one.version): one.migrations for part in parts for one in part.passed}
        versions = [(part.from_version, part.to_version) for part in parts]
        return Plan(
            parts=parts,
            from_version=state.version,
            to_version=str(core.to_version if core else state.version),
            manifest=manifest,
            changes=changes_together(parts, manifest, view),
            migrations=migrations_between(view.installed, manifest, passed),
            commands=tuple(plan_commands(tuple(commands), config.commands)),
            freshness=freshness,
            reasons=reasons,
            app_will_stop=bool(config.restart.stop),
            database="lead" if config.fleet.role == "follow" else config.database.kind,
            warnings=warnings,
            downgrade=any(old and new and Version(new) < Version(old) for old, new in versions),
        )

    def _warnings(self, member: SiteMember, release: Release) -> tuple[str, ...]:
        attempts = member.failures(read_failures(self.site.failed_path)).get(release.version, ())
        if not attempts:
            return ()
        times = "once" if len(attempts) == 1 else f"{len(attempts)} times"
        return (f"{release.version} failed on this site {times} before: {attempts[-1].reason}",)

    # what both ask

    def _view(self, state: SiteState) -> TreeView:
        return self.view or TreeView(self.site, state)

    def _feed(self, member: SiteMember, state: SiteState, to: str | None = None) -> SiteFeed:
        config = self.site.config()
        if config.app is not None and config.app != state.app:
            raise ConfigError(
                f"{self.site.config_path} says [feed] app = {config.app!r}, but this site runs {state.app!r}.",
                hint="Correct the line, or remove it.",
            )
        return read_feed(
            str(member.feed_url),
            self.site.directory if member.is_core else self.site.component(member.name),
            self.transport,
            now=self.now,
            app=state.app,
            component=state.component if member.is_core else member.name,
            installed=member.installed,
            to=to,
        )

    def _ask(self, member: SiteMember, state: SiteState, found: SiteFeed, *, several: bool, **more: Any) -> _Asked:
        app = ask_app(self.site, state, found.feed, self.environ)
        options = self._options(member, found, state, app) | more
        selection = select(found.feed, member.installed, **options)
        offers = [] if selection.release is None else [selection.release]
        while several and options.get("to") is None and offers and len(offers) < _MOST_OFFERS:
            over = {release.version for release in offers}
            following = select(found.feed, member.installed, **options, passed_over=over).release
            if following is None:
                break
            offers.append(following)
        return _Asked(member, found, app, options, selection, tuple(offers))

    def _together(
        self, asked: Sequence[_Asked], members: Sequence[SiteMember]
    ) -> tuple[dict[str, Candidate], dict[str, tuple[str, ...]]]:
        """What goes together; components that were not asked, or not about, stay."""
        answers = {one.member.name: one for one in asked}
        present = [member for member in members if member.installed is not None or member.name in answers]
        return choose_together(
            [
                as_member(member, answers[member.name].found.feed.releases, answers[member.name].offers)
                if member.name in answers
                else as_member(member, (), ())
                for member in present
            ]
        )

    def _options(
        self, member: SiteMember, found: SiteFeed, state: SiteState, app: Interpreter | None
    ) -> dict[str, Any]:
        """What `select` is told about this site and its owner."""
        policy = self.site.config().policy
        approved = read_approvals(self.site.path / policy.approvals) if policy.approvals else frozenset()
        return {
            "site_id": state.site_id,
            "now": self.now,
            "python": platform.python_version() if app is None else app.python,
            "failed": member.failures(read_failures(self.site.failed_path)),
            "app": app,
            "policy": member.policy(policy),
            "entitled": entitlement(found.feed, read_license(self.site.license_path)),
            "approved": member.of_its_own(approved),
        }


def _not_followed(member: SiteMember) -> str:
    """Why nothing is offered for a component, as a sentence; empty when there is no reason."""
    if member.feed_url is None:
        return f"updater.toml says nothing of {member.name}; `updater component add FEED_URL` follows its feed again."
    if not member.enabled:
        return f"It is disabled; `updater component enable {member.name}` brings it back."
    if member.installed is None:
        return f"It is not installed; `updater component enable {member.name}` installs it."
    return ""


def _wanted(members: Sequence[SiteMember], names: Collection[str]) -> list[SiteMember]:
    """The components that an update is about: those of ``names``, or all that are installed. Raises BlockedError."""
    known = {member.name: member for member in members}
    unknown = [name for name in names if name not in known or known[name].feed_url is None]
    if unknown:
        raise BlockedError(
            f"This site has no component {unknown[0]!r} whose feed it follows; it has {', '.join(known)}.",
            hint="`updater component add FEED_URL` adds one.",
        )
    if names:
        return [member for member in members if member.name in names]
    return [member for member in members if member.is_core or not _not_followed(member)]


def _stale(found: SiteFeed) -> BlockedError:
    return BlockedError(
        f"Not installed automatically: {found.freshness}.",
        reasons=(str(found.freshness),),
        hint="Try again later; a person can decide otherwise with --allow-stale.",
    )


def _release_of(asked: _Asked, choice: Candidate) -> Release | None:
    """The release that was chosen, None when the component stays as it is."""
    if not choice.new:
        return None
    return next(release for release in asked.offers if release.version == choice.version)


def _why(asked: _Asked, release: Release | None, passed: tuple[str, ...]) -> tuple[str, ...]:
    """Why this release, or none, is offered."""
    if release is not None and release == asked.selection.release:
        return asked.selection.reasons
    if release is None and not passed:
        return asked.selection.reasons
    older = () if release is None else (f"{release.version} is the newest that goes with the rest of this site.",)
    return (*passed, *older)


def _all_reasons(
    asked: Sequence[_Asked], chosen: Mapping[str, Candidate], passed: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    """All of them; with the component's name before each when there are several."""
    found = []
    for one in asked:
        name = one.member.name
        start = f"{name}: " if len(asked) > 1 or not one.member.is_core else ""
        found += [f"{start}{text}" for text in _why(one, _release_of(one, chosen[name]), passed[name])]
    return tuple(found)


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
