"""What an update would do: the releases to go to, and what they change on this site. Changes nothing."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime
from functools import cached_property
from itertools import takewhile

from packaging.version import Version

from updater.acquire import Job, addresses_of, changes_together, prepare, whole_manifest
from updater.asking import Answer, Asking
from updater.beforehand import look
from updater.database import open_database
from updater.errors import BlockedError, DownloadError, FeedError, UpdaterError, UpToDateError
from updater.events import Reporter, about
from updater.feeds import SiteFeed
from updater.frozen import frozen
from updater.grouping import Candidate, choose_together, goes_with
from updater.install.component_changes import name_of
from updater.install.migrations import migrations_between
from updater.install.restore_points import list_restore_points
from updater.install.rollback_guards import newer_database, refuse_misfit
from updater.licensing import ending
from updater.members import SiteMember, as_member, members_of
from updater.notices import notices_for
from updater.process import plan_commands
from updater.requirements import check_packages
from updater.results import CheckResult, Plan, PlannedPart
from updater.schema.assembly import Parts
from updater.schema.feed import Release
from updater.schema.manifest import Manifest
from updater.schema.text import CORE
from updater.selection import Selection, hops, select
from updater.site import Site, SiteState
from updater.site.failed_releases import read_failures
from updater.transport import Transport
from updater.tree_view import TreeView
from updater.trust import FeedLocation, Freshness

__all__ = ["Planner", "database_size", "refuse_stale"]


@frozen
class Planner:
    """Decides for one site at one moment."""

    site: Site
    state: SiteState
    transport: Transport
    now: datetime
    report: Reporter
    view: TreeView
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    # what waits

    def check(self) -> CheckResult:
        """Whether an update waits, and why or why not; for the core, and with it for every other component."""
        core, *others = self._members(looking=True)
        answers = [self._asking.ask(core, self._asking.feed(core), several=bool(others))]
        results = []
        for member in others:
            if member.installed is None or not member.enabled:
                continue
            try:
                if member.feed_url is None:
                    raise BlockedError(f"updater.toml says nothing of {member.name}: no feed is followed.")
                answers.append(self._asking.ask(member, self._asking.feed(member), several=True))
            except UpdaterError as error:
                results.append(self._untold(member, str(error)))
        chosen, passed = _together(answers, [core, *others])
        first, *more = (self._checked(answer, chosen, passed) for answer in answers)
        results = sorted([*results, *more], key=lambda result: result.component)
        return replace(first, components=tuple(results))

    def _untold(self, member: SiteMember, why: str) -> CheckResult:
        """Of a component whose feed is not followed, or did not answer."""
        channel = "" if member.feed_url is None else FeedLocation.parse(member.feed_url).channel
        freshness = Freshness("stale", why, self.now)
        return CheckResult(member.installed, channel, None, None, freshness, (why,), component=member.name)

    def _checked(
        self, answer: Answer, chosen: Mapping[str, Candidate], passed: Mapping[str, tuple[str, ...]]
    ) -> CheckResult:
        member, found, app, selection = answer.member, answer.found, answer.app, answer.selection
        release = answer.release_of(chosen[member.name])
        unattended = select(found.feed, member.installed, **answer.options, unattended=True)
        told = ending(answer.options["entitled"], self.now)
        return CheckResult(
            installed=member.installed,
            channel=found.feed.channel,
            release=release,
            newest=selection.newest,
            freshness=found.freshness,
            reasons=(*((told,) if told else ()), *_why(answer, release, passed[member.name])),
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
        to: str | None,
        *,
        automatic: bool,
        unattended: bool = False,
        downgrade: bool = False,
        components: Collection[str] = (),
    ) -> Plan:
        """See `Updater.plan`."""
        if self.site.config().container.is_used:
            raise BlockedError(
                "This site's app runs as containers: its files are in an image.",
                hint="Use `updater container update`.",
            )
        members = self._members()
        wanted, warnings = _wanted(members, components), []
        single = wanted[0].name if len(wanted) == 1 else CORE
        answers: list[Answer] = []
        for member in wanted:
            own = to if member.name == single else None
            try:
                found = self._asking.feed(member, own)
                if automatic:
                    refuse_stale(found)
            except (FeedError, DownloadError, BlockedError) as error:
                if member.is_core or member.name in components:
                    raise
                warnings.append(f"{member.name} stays as it is: {error}")
                continue
            more = {"automatic": automatic, "unattended": unattended, "to": own, "downgrade": downgrade}
            answers.append(self._asking.ask(member, found, several=len(members) > 1, **more))
        chosen, passed = _together(answers, members, self._listed_of_the_core(members, wanted))
        changing = [(one, release) for one in answers if (release := one.release_of(chosen[one.member.name]))]
        reasons = (*_all_reasons(answers, chosen, passed), *warnings)
        if not changing:
            blocked = any(one.selection.blocked or one.offers for one in answers)
            if not blocked or (to is not None and to == wanted[0].installed):
                raise UpToDateError("There is no update to install.", reasons=reasons)
            raise BlockedError("No update can be installed now.", reasons=reasons)
        planned = self._plan(changing, chosen, reasons, warnings)
        if planned.downgrade:
            self._refuse_newer_database(planned)
        return planned

    def _listed_of_the_core(self, members: Sequence[SiteMember], wanted: Sequence[SiteMember]) -> Sequence[Release]:
        """What the core's feed lists, when an update is about others alone: the installed core may not fit them all."""
        core = members[0]
        return () if core in wanted else self._asking.feed(core).feed.releases

    def plan_removal(self, component: str) -> Plan:
        """See `Updater.plan_removal`."""
        members = {member.name: member for member in self._members()}
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
        return self._assembled((part,), {}, freshness=Freshness("fresh", "", self.now))

    def _refuse_newer_database(self, planned: Plan) -> None:
        """The database stays in a downgrade: refuse one whose code is not known to work on it. Raises BlockedError."""
        points = list_restore_points(self.site)
        refusals = newer_database(self.site.manifest(), planned.manifest, points[-1] if points else None, points)
        hint = "`updater rollback` goes back to a restore point, with the database of that time."
        refuse_misfit(planned.what, refusals, hint, keeps_database=True)

    def _plan(
        self,
        changing: Sequence[tuple[Answer, Release]],
        chosen: Mapping[str, Candidate],
        reasons: tuple[str, ...],
        warnings: Sequence[str],
    ) -> Plan:
        parts, manifests = [], {}
        for asked, release in changing:
            before = look(self.site, self.state, release, asked.app, self.environ)
            url, member = asked.found.location.url, asked.member
            own_view = self.view.of(member.name, member.directory)
            settings = self.site.config().download
            report = self.report if member.is_core else about(member.name, self.report)
            job = Job(release, asked.found.feed.releases, url, own_view, self.transport, report, settings)
            prepared = prepare(job)
            _check_manifest(prepared.manifest, release.version, asked.found)
            manifests[member.name] = prepared.manifest
            warnings = [*warnings, *self._warnings(member, release), *before.warnings]
            parts.append(
                PlannedPart(
                    component=member.name,
                    directory=member.directory,
                    from_version=member.installed,
                    release=release,
                    prepared=prepared,
                    packages=before.packages,
                    further=_further(asked, release, chosen),
                    passed=tuple(_passed(asked.found, member.installed, release)),
                )
            )
        worst = max((asked.found.freshness for asked, _ in changing), key=lambda found: found.state == "stale")
        return self._assembled(tuple(parts), manifests, freshness=worst, reasons=reasons, warnings=_each_once(warnings))

    def _assembled(
        self,
        parts: tuple[PlannedPart, ...],
        manifests: Mapping[str, Manifest],
        *,
        freshness: Freshness,
        reasons: tuple[str, ...] = (),
        warnings: tuple[str, ...] = (),
    ) -> Plan:
        """The plan of all parts together; ``manifests`` are those of the parts that stay or come."""
        view, config = self.view, self.site.config()
        manifest = whole_manifest(parts, manifests, view.parts)
        own = [manifests[part.component] for part in parts if part.component in manifests]
        commands = _each_once(command for one in own for command in one.post_update_commands)
        core = next((part for part in parts if part.component == CORE), None)
        passed = {name_of(part.component, one.version): one.migrations for part in parts for one in part.passed}
        versions = [(part.from_version, part.to_version) for part in parts]
        return Plan(
            parts=parts,
            from_version=self.state.version,
            to_version=str(core.to_version if core else self.state.version),
            manifest=manifest,
            changes=changes_together(parts, manifest, view),
            migrations=migrations_between(view.installed, manifest, passed),
            commands=tuple(plan_commands(commands, config.commands)),
            freshness=freshness,
            reasons=reasons,
            app_will_stop=bool(config.restart.stop),
            database="lead" if config.fleet.role == "follow" else config.database.kind,
            warnings=warnings,
            downgrade=any(old and new and Version(new) < Version(old) for old, new in versions),
            requirements=", ".join(_new_requirements(parts, manifests, view.parts))
            if config.python.environment
            else "",
        )

    def _warnings(self, member: SiteMember, release: Release) -> Iterator[str]:
        attempts = member.failures(read_failures(self.site.failed_path)).get(release.version, ())
        if attempts:
            times = "once" if len(attempts) == 1 else f"{len(attempts)} times"
            what = name_of(member.name, release.version)
            yield f"{what} failed on this site {times} before: {attempts[-1].reason}"
        if member.elsewhere:
            yield (
                f"{member.name} lies in {member.directory}/ and stays there, although updater.toml says "
                f"{member.elsewhere}/: to move it, take it away and add it again."
            )

    @cached_property
    def _asking(self) -> Asking:
        return Asking(self.site, self.state, self.transport, self.now, self.environ)

    def _members(self, *, looking: bool = False) -> list[SiteMember]:
        """The components. ``looking``: a site that never had any is not read to learn that it has none."""
        config = self.site.config()
        parts = self.view.parts if not looking or config.components or self.site.components.is_dir() else None
        return members_of(self.state, config, parts)


def _together(
    answers: Sequence[Answer], members: Sequence[SiteMember], core_lists: Sequence[Release] = ()
) -> tuple[dict[str, Candidate], dict[str, tuple[str, ...]]]:
    """What goes together; components that did not answer, or were not asked, stay."""
    told = {one.member.name: one for one in answers}
    found = []
    for member in members:
        answer = told.get(member.name)
        if answer is not None:
            found.append(as_member(member, answer.found.feed.releases, answer.offers))
        elif member.installed is not None:
            found.append(as_member(member, core_lists if member.is_core else (), ()))
    return choose_together(found)


def _further(answer: Answer, release: Release, chosen: Mapping[str, Candidate]) -> tuple[str, ...]:
    """The versions that follow, as far as they go with what the other components will be."""
    listed = {one.version: one for one in answer.found.feed.releases}
    following = hops(answer.found.feed, release, **answer.options)
    return tuple(
        takewhile(
            lambda version: goes_with(
                answer.member.name, Candidate(version, listed[version].requires.components, new=True), chosen
            ),
            following,
        )
    )


def _wanted(members: Sequence[SiteMember], names: Collection[str]) -> list[SiteMember]:
    """The components that an update is about: those of ``names``, or all that are installed. Raises BlockedError."""
    known = {member.name: member for member in members}
    for name in names:
        if name not in known or known[name].feed_url is None:
            raise BlockedError(
                f"This site has no component {name!r} whose feed it follows; it has {', '.join(known)}.",
                hint="`updater component add FEED_URL` adds one.",
            )
        if not known[name].enabled:
            raise BlockedError(f"{name} is disabled.", hint=f"`updater component enable {name}` installs it.")
    if names:
        return [member for member in members if member.name in names]
    return [member for member in members if member.is_core or (member.installed and member.feed_url and member.enabled)]


def refuse_stale(found: SiteFeed) -> None:
    """What nobody is there to decide on is not installed from a feed that may be out of date. Raises BlockedError."""
    if found.freshness.state == "stale":
        raise BlockedError(
            f"Not installed automatically: {found.freshness}.",
            reasons=(str(found.freshness),),
            hint="Try again later; a person can decide otherwise with --allow-stale.",
        )


def _new_requirements(
    parts: Iterable[PlannedPart], manifests: Mapping[str, Manifest], present: Parts | None
) -> Iterator[str]:
    """The files that the app's packages are installed from anew: those that are not as they were."""
    for part in parts:
        new = manifests.get(part.component)
        if new is None or new.python is None:
            continue
        old = None if present is None else present.manifest_of(part.component)
        before = None if old is None or old.python is None else old.files.get(old.python.requirements)
        file = new.files.get(new.python.requirements)
        if file is None or before is None or not file.has_content(before.sha256, before.size):
            yield f"{part.directory}/{new.python.requirements}".lstrip("/")


def _each_once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


def _why(asked: Answer, release: Release | None, passed: tuple[str, ...]) -> tuple[str, ...]:
    """Why this release, or none, is offered."""
    if release is not None and release == asked.selection.release:
        return asked.selection.reasons
    if release is None and not passed:
        return asked.selection.reasons
    older = () if release is None else (f"{release.version} is the newest that goes with the rest of this site.",)
    return (*passed, *older)


def _all_reasons(
    asked: Sequence[Answer], chosen: Mapping[str, Candidate], passed: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    """All of them; with the component's name before each when there are several."""
    found = []
    for one in asked:
        name = one.member.name
        start = f"{name}: " if len(asked) > 1 or not one.member.is_core else ""
        found += [f"{start}{text}" for text in _why(one, one.release_of(chosen[name]), passed[name])]
    return tuple(found)


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
