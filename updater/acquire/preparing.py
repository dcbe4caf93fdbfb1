"""Deciding where a release's bytes come from, having learnt no more than that needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from updater.acquire.deltas import DeltaRoute
from updater.acquire.job import Job, wanted_files
from updater.acquire.located import Contents
from updater.acquire.ranges import REQUEST, Located, cover
from updater.acquire.sources import Hop, SourceKind, SourceOption, best_route, choose, saves
from updater.acquire.whole import download_package, open_package
from updater.errors import DownloadError, FeedError, UpdaterError
from updater.events import Event, Phase
from updater.frozen import frozen
from updater.install.changes import Changes
from updater.schema.feed import Release
from updater.schema.manifest import Manifest

__all__ = ["Failures", "Preparation", "Prepared"]


@frozen
class Prepared:
    """Where a release's bytes will come from.

    ``manifest`` is the release's, or an outline of it; ``manifest_bytes`` the signed bytes, None for an outline.
    ``changes``: what installing it does, as far as that is known. ``left``: bytes that are still to be fetched.
    ``options``: every way that was considered, the chosen one first. ``route`` and ``contents`` are what the chosen way
    needs, ``releases`` and ``feed_url`` what another one would.
    """

    kind: SourceKind
    manifest: Manifest
    manifest_bytes: bytes | None
    changes: Changes
    left: int
    options: tuple[SourceOption, ...]
    releases: tuple[Release, ...]
    feed_url: str
    route: tuple[Hop, ...] = ()
    contents: Contents | None = None

    @property
    def option(self) -> SourceOption:
        """The chosen way."""
        return self.options[0]


@dataclass
class Failures:
    """What is not tried again, and the rows of the table that say so."""

    kinds: set[str] = field(default_factory=set)
    deltas: set[str] = field(default_factory=set)
    options: list[SourceOption] = field(default_factory=list)

    def add(self, option: SourceOption, error: UpdaterError) -> None:
        """Remember that a way failed."""
        self.options.append(replace(option, why=f"failed: {error}", failed=True))


class Preparation:
    """One decision."""

    def __init__(self, job: Job, failures: Failures) -> None:
        self._job = job
        self._failures = failures
        self._options: list[SourceOption] = list(failures.options)

    def decide(self) -> Prepared:
        """The cheapest way. Raises DownloadError, FeedError when the release can be had from nowhere."""
        job = self._job
        if job.package_here:
            return self._from_package()
        known = job.known_manifest()
        prepared = self._local(known) or self._deltas(known) or self._single_files(known)
        if prepared is not None:
            return prepared
        if known is not None:
            return self._whole(*known, None)
        urls = job.urls(job.release.package.urls)
        download_package(job.release, urls, job.directory, job.transport, job.report, patience=job.patience)
        return self._from_package()

    # the ways

    def _local(self, known: tuple[Manifest, bytes] | None) -> Prepared | None:
        if known is None:
            return None
        changes = self._job.view.changes_to(known[0])
        wanted = wanted_files(known[0], changes)
        if self._job.not_here(wanted):
            return None
        self._options.append(SourceOption("local", 0, 0, files=len(wanted), why="everything is on this site already"))
        return self._prepared("local", *known, changes, 0)

    def _deltas(self, known: tuple[Manifest, bytes] | None) -> Prepared | None:
        job = self._job
        while True:
            route = best_route(
                job.releases, _version(job.installed), job.release.version, without=self._failures.deltas
            )
            option = _route_option(route)
            cost = sum(job.delta_left(hop) + REQUEST for hop in route)
            if job.installed is None or option is None or not saves(cost, self._full.cost):
                return None
            try:
                return self._delta(route, option, job.installed, known)
            except (DownloadError, FeedError) as error:
                job.report(Event(Phase.DOWNLOAD, "warning", f"The {option.name} cannot be used: {error}"))
                self._failures.deltas.update(hop.delta.sha256 for hop in route)
                self._failures.add(option, error)
                self._options.append(self._failures.options[-1])

    def _delta(
        self, route: tuple[Hop, ...], option: SourceOption, installed: Manifest, known: tuple[Manifest, bytes] | None
    ) -> Prepared | None:
        job = self._job
        left = 0
        with DeltaRoute(route, [job.fetch_delta(hop) for hop in route], installed) as opened:
            manifest, data = known or (opened.outline, None)
            changes = job.view.changes_to(manifest)
            wanted = wanted_files(manifest, changes)
            lacking = {file.path for file in job.not_here(opened.references)}
            built = opened.buildable(lambda file: file.path not in lacking)
        rest = job.not_here(file for file in wanted if file.path not in built)
        contents = None
        size, requests = option.size, option.requests
        if rest:
            contents, located = job.locate(rest)
            ranges = cover(located)
            size += contents.size + sum(item.size for item in ranges)
            requests += contents.requests + len(ranges)
            left = job.members().missing(located)
        self._options.append(SourceOption(option.kind, size, requests, files=len(wanted), versions=option.versions))
        if not saves(left + (requests - option.requests) * REQUEST, self._full.cost):
            return None  # too little is as it was released for a delta to build on
        return self._prepared(option.kind, manifest, data, changes, left, route=route, contents=contents)

    def _single_files(self, known: tuple[Manifest, bytes] | None) -> Prepared | None:
        for kind in self._kinds():
            option = self._least(kind)
            if not saves(option.cost, self._full.cost) and (known is not None or kind == "index"):
                continue  # nothing to be gained, or to be learnt
            try:
                return self._by_contents(kind, known)
            except (DownloadError, FeedError) as error:
                if kind == "index":
                    self._failures.kinds |= {"index", "whole index"}
                    self._job.report(Event(Phase.DOWNLOAD, "warning", f"The package's index cannot be used: {error}"))
                self._failures.add(option, error)
                self._options.append(self._failures.options[-1])
        return None

    def _kinds(self) -> list[SourceKind]:
        kinds: list[SourceKind] = ["directory"] if "directory" not in self._failures.kinds else []
        if self._job.release.package.index is not None and "whole index" not in self._failures.kinds:
            kinds.insert(0, "index")
        return kinds

    def _by_contents(self, kind: SourceKind, known: tuple[Manifest, bytes] | None) -> Prepared:
        job = self._job
        contents = job.read_index(whole="index" in self._failures.kinds) if kind == "index" else job.read_directory()
        manifest, data = known or (contents.manifest, contents.manifest_bytes)
        changes = job.view.changes_to(manifest)
        wanted = wanted_files(manifest, changes)
        rest = job.not_here(wanted)
        located: list[Located] | None = contents.locate(rest)
        if located is None:
            contents, located = job.locate(rest)
        ranges = cover(located)
        size = contents.size + sum(item.size for item in ranges)
        self._options.append(SourceOption(kind, size, contents.requests + len(ranges), files=len(wanted)))
        left = job.members().missing(located)
        # What it took to learn the contents is spent, whichever way is taken now.
        if not saves(left + len(ranges) * REQUEST, self._full.cost):
            return self._whole(manifest, data, contents)
        return self._prepared(kind, manifest, data, changes, left, contents=contents)

    def _whole(self, manifest: Manifest, data: bytes | None, contents: Contents | None) -> Prepared:
        changes = self._job.view.changes_to(manifest)
        return self._prepared("package", manifest, data, changes, self._job.package_left, contents=contents)

    def _from_package(self) -> Prepared:
        with open_package(self._job.release, self._job.directory) as reader:
            manifest, data = reader.manifest, reader.manifest_bytes
        self._options.append(replace(self._full, why="it is here already"))
        return self._prepared("package", manifest, data, self._job.view.changes_to(manifest), 0)

    # the table

    @property
    def _full(self) -> SourceOption:
        """The whole package; what an earlier attempt brought costs nothing."""
        return SourceOption("package", self._job.package_left, 1)

    def _least(self, kind: SourceKind) -> SourceOption:
        """What single files cost at least: learning where they lie."""
        package = self._job.release.package
        if kind == "index" and package.index is not None:
            return SourceOption("index", package.index.head_size, 2, exact=False)
        return SourceOption("directory", package.tail_size, 2, exact=False)

    def _prepared(
        self,
        kind: SourceKind,
        manifest: Manifest,
        data: bytes | None,
        changes: Changes,
        left: int,
        *,
        route: tuple[Hop, ...] = (),
        contents: Contents | None = None,
    ) -> Prepared:
        job = self._job
        return Prepared(
            kind,
            manifest,
            data,
            changes,
            left,
            choose(self._all_options(), kind),
            tuple(job.releases),
            job.feed_url,
            route,
            contents,
        )

    def _all_options(self) -> list[SourceOption]:
        """What was looked into, and of the rest what is known without."""
        options = list(self._options)
        kinds = {option.kind for option in options if not option.failed}
        job = self._job
        installed, to = _version(job.installed), job.release.version
        best = best_route(job.releases, installed, to, without=self._failures.deltas)
        tried = {*self._failures.deltas, *(hop.delta.sha256 for hop in best[-1:])}
        for option in (_route_option(best), _route_option(best_route(job.releases, installed, to, without=tried))):
            if option is not None and all(known.name != option.name for known in options):
                options.append(option)
        options += [self._least(kind) for kind in self._kinds() if kind not in kinds]
        if "package" not in kinds:
            options.append(SourceOption("package", job.release.package.size, 1))
        return options


def _version(manifest: Manifest | None) -> str | None:
    return None if manifest is None else manifest.version


def _route_option(route: Sequence[Hop]) -> SourceOption | None:
    if not route:
        return None
    versions = (*(hop.delta.from_version for hop in route), route[-1].release.version)
    kind: SourceKind = "delta" if len(route) == 1 else "deltas"
    size = sum(hop.delta.size for hop in route)
    return SourceOption(kind, size, len(route), versions=versions)
