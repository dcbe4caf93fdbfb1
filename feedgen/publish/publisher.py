"""Publishing a tag: package, store, feeds, metadata, self-check. Run again after any failure and it completes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from feedgen.build import config_at_tag
from feedgen.errors import ConfigError
from feedgen.keys import KeyRing
from feedgen.operations.describe import describe_changes
from feedgen.operations.state import Entry, ReleaseState
from feedgen.operations.state_file import state_path
from feedgen.operations.tags import tag_of
from feedgen.publish.catalog import Catalog
from feedgen.publish.decisions import FirstDecisions, PublishOptions, read_decisions, record
from feedgen.publish.delta_sources import find_sources
from feedgen.publish.deltas import DeltaMaker, fetch_package
from feedgen.publish.feeds import Rendered, parse_feeds, render
from feedgen.publish.places import Places
from feedgen.publish.preparing import Prepared, Run, prepare
from feedgen.publish.release_page import release_page
from feedgen.publish.signature import minisign_public, new_signature, stored_signature
from feedgen.publish.site import MINISIGN_FILE, Committed, commit
from feedgen.publish.stops import require_stop
from feedgen.publish.store import ReleasePage, Store
from feedgen.publish.writer import SiteWriter, site_lock
from feedgen.repository.compose import Change, Write, compose, role_keys
from feedgen.repository.roles import listed_in
from feedgen.repository.state import RepositoryState, load
from feedgen.source import parse_tag
from updater.schema import PublisherConfig, channel_of

__all__ = ["PublishOptions", "PublishResult", "Publisher"]

Say = Callable[[str], None]


@dataclass(frozen=True)
class PublishResult:
    """What a publish did: ``feeds`` are the channels that changed, ``files`` the written paths, in order.

    ``changes`` are the differences in the feeds, for people. ``proven``: digests of deltas that this run applied.
    """

    version: str
    channel: str
    package: str
    size: int
    feeds: tuple[str, ...]
    files: tuple[str, ...]
    pruned: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    proven: frozenset[str] = frozenset()

    @property
    def changed(self) -> bool:
        """Whether anything was written."""
        return bool(self.files or self.pruned)


@dataclass(frozen=True)
class _Site:
    """What is published now."""

    state: RepositoryState
    catalog: Catalog


@dataclass(frozen=True)
class Publisher:
    """Everything a publish needs. ``say`` is told what happens, a line at a time."""

    repo: Path
    config: PublisherConfig
    site: Path
    store: Store
    ring: KeyRing
    say: Say = lambda _line: None

    def publish(
        self,
        tag: str,
        *,
        now: datetime,
        dry_run: bool = False,
        options: PublishOptions | None = None,
    ) -> PublishResult:
        """Publish ``tag``. A release that is published already is only checked; nothing is written then.

        Raises any ``FeedgenError``: ``FeedRegressionError`` when the version is published with other bytes,
        ``KeyNotFoundError`` before anything is built when a key is missing; and ``OSError``.
        """
        options = options or PublishOptions()
        settings = self._settings(tag) if options.tagged else self.config
        places = Places(self.config, self.store, tag, parse_tag(tag, self.config.tag_prefix))
        with site_lock(self.site), tempfile.TemporaryDirectory(prefix="feedgen-") as scratch:
            there = self._look()
            known = there.catalog.entry(places.version)
            decisions = FirstDecisions(self.site, places.version, known.state if known else None, options)
            channels = listed_in(decisions.channel)
            run = Run(self.repo, places, settings, options, now, Path(scratch), self.say)
            keys = (lambda: None) if dry_run else (lambda: self._require_keys(there.state, channels))
            prepared = prepare(run, known.facts if known else None, keys)
            entry = Entry(prepared.release, decisions.about(prepared.release))
            if prepared.needs_stop is not None and not options.jumps:
                require_stop(there.catalog, entry, prepared.needs_stop)
            rendered = self._render(there.catalog, entry, now)
            if dry_run:
                return self._result(places, entry, rendered, files=self._planned(places, rendered))
            if known is None:
                prepared = self._with_deltas(run, there.catalog, prepared, channels, add=not prepared.waits)
            page = self._page(places, entry, there.catalog, prepared.commit)
            files = self._store(run, page, prepared)
            # The final addresses are known only now.
            entry = replace(entry, facts=places.located(prepared.release))
            rendered = self._render(there.catalog, entry, now)
            committed = self._commit(there, rendered, now)
            decided = self._record(places.version, entry.state)
            files = (*files, *committed.written, *decided)
            return self._result(places, entry, rendered, files=files, pruned=committed.pruned, proven=prepared.proven)

    def add_deltas(
        self, version: str, *, now: datetime, sources: Sequence[str] = (), dry_run: bool = False
    ) -> PublishResult:
        """Make the deltas that the feeds do not list yet for a published release: from the versions ``sources``, or
        from the usual ones. A delta that is listed is never made again.

        Raises what ``publish`` raises, ``ReleaseNotFoundError``, and ``StoreError`` when the store takes no more files.
        """
        tag = tag_of(self.repo, version, self.config.tag_prefix)
        places = Places(self.config, self.store, tag, version)
        with site_lock(self.site), tempfile.TemporaryDirectory(prefix="feedgen-") as scratch:
            there = self._look()
            entry = there.catalog.published(version)
            channels = listed_in(entry.state.channel)
            run = Run(self.repo, places, self.config, PublishOptions(), now, Path(scratch), self.say)
            package = run.scratch / places.package
            fetch_package(places, entry.facts, tag, package)
            prepared = self._with_deltas(run, there.catalog, Prepared(entry.facts, package), channels, sources)
            files: tuple[str, ...] = ()
            if prepared.files and not dry_run:
                self._require_keys(there.state, channels)
                names = self.store.publish(self._page(places, entry, there.catalog, ""), prepared.files)
                files = tuple(self.store.url(tag, name) for name in names)
            entry = replace(entry, facts=prepared.release)
            rendered = self._render(there.catalog, entry, now)
            if dry_run:
                return self._result(places, entry, rendered, files=self._planned(places, rendered))
            committed = self._commit(there, rendered, now)
            files = (*files, *committed.written)
            return self._result(places, entry, rendered, files=files, pruned=committed.pruned, proven=prepared.proven)

    def newest(self) -> tuple[str, ...]:
        """The newest release of each channel, once each."""
        feeds = self._look().catalog.feeds.values()
        return tuple(dict.fromkeys(feed.releases[0].version for feed in feeds if feed.releases))

    def _look(self) -> _Site:
        state = load(self.site)
        feeds = parse_feeds(state.feeds, app=self.config.app, component=self.config.component)
        return _Site(state, Catalog.of_site(self.site, feeds))

    def _render(self, catalog: Catalog, entry: Entry, now: datetime) -> Rendered:
        return render(
            catalog,
            {entry.facts.version: entry},
            app=self.config.app,
            component=self.config.component,
            now=now,
            keep=self.config.feed_releases,
        )

    def _result(
        self,
        places: Places,
        entry: Entry,
        rendered: Rendered,
        *,
        files: Sequence[str] = (),
        pruned: tuple[str, ...] = (),
        proven: frozenset[str] = frozenset(),
    ) -> PublishResult:
        return PublishResult(
            version=places.version,
            channel=channel_of(places.version),
            package=places.package,
            size=entry.facts.package.size,
            feeds=tuple(rendered.feeds),
            files=tuple(files),
            pruned=pruned,
            changes=describe_changes(rendered.changes),
            proven=proven,
        )

    def _with_deltas(
        self,
        run: Run,
        catalog: Catalog,
        prepared: Prepared,
        channels: Sequence[str],
        named: Sequence[str] = (),
        *,
        add: bool = True,
    ) -> Prepared:
        """With the deltas that are not listed yet: made, or as an interrupted run left them in the store."""
        if prepared.package is None:
            return prepared
        settings = self.config.deltas
        sources = find_sources(catalog, prepared.release, channels, settings, self.site, named)
        known = {delta.from_version for delta in prepared.release.deltas}
        maker = DeltaMaker(
            run.places,
            settings,
            lambda version: tag_of(self.repo, version, self.config.tag_prefix),
            run.scratch,
            run.say,
        )
        wanted = [source for source in sources if source.version not in known]
        made = maker.make(prepared.release, prepared.package, wanted, add=add)
        return replace(
            prepared,
            release=maker.listed_in(prepared.release, made),
            files={**prepared.files, **made.files},
            replaceable=(*prepared.replaceable, *made.files),
            proven=frozenset(delta.sha256 for delta in made.listed),
        )

    def _page(self, places: Places, entry: Entry, catalog: Catalog, commit_id: str) -> ReleasePage:
        stable = catalog.feeds.get("stable")
        notes = entry.state.notes.markdown
        return release_page(self.config, places.tag, commit_id, places.version, entry.state.channel, notes, stable)

    def _commit(self, there: _Site, rendered: Rendered, now: datetime) -> Committed:
        for channel in rendered.feeds:
            self.say(f"Signing {channel}.json")
        documents = {channel: feed.to_bytes() for channel, feed in rendered.feeds.items()}
        # Signing comes before the first write: without the keys nothing has happened.
        writes = compose(there.state, Change(feeds=documents), self.ring, now)
        grace = timedelta(days=self.config.grace_days)
        return commit(SiteWriter(self.site), [*rendered.pages, *writes], now=now, grace=grace)

    def _record(self, version: str, state: ReleaseState) -> list[str]:
        """The file of decisions, last: until the release is listed, there is nothing that it could be about."""
        found = read_decisions(self.site, version)
        if found is None:
            return record(SiteWriter(self.site), version, state)
        if found != state:
            self.say(f"Note: {state_path(version)} says more than is published: see 'feedgen diff'")
        return []

    def _settings(self, tag: str) -> PublisherConfig:
        """How the release is built and described is settled by its tag; where it goes, by the file as it is now."""
        config = config_at_tag(self.repo, tag)
        if (config.app, config.component) != (self.config.app, self.config.component):
            raise ConfigError(
                f"At {tag}, feedgen.toml is of {config.app}/{config.component};"
                f" now it is of {self.config.app}/{self.config.component}",
                hint="Releases of another app or component have a feed of their own.",
            )
        return config

    def _require_keys(self, state: RepositoryState, channels: Sequence[str]) -> None:
        """Find out about missing keys and a wrong passphrase before a long build."""
        for channel in channels:
            self.ring.signers(channel, *role_keys(state.targets.signed, channel))
        for role in ("snapshot", "timestamp"):
            self.ring.signers(role, *role_keys(state.root.signed, role))
        minisign_public(self.site, self.ring)

    def _planned(self, places: Places, rendered: Rendered) -> list[str]:
        missing = [name for name in (places.package, places.signature) if self.store.find(places.tag, name) is None]
        files = [self.store.url(places.tag, name) for name in missing]
        return [*files, *(f"{channel}.json (sequence {feed.sequence})" for channel, feed in rendered.feeds.items())]

    def _store(self, run: Run, page: ReleasePage, prepared: Prepared) -> tuple[str, ...]:
        """Put everything of a release into the store, the package last; returns what was written."""
        if prepared.package is None:
            return ()
        places = run.places
        written: list[str] = []
        text = stored_signature(self.store, places.tag, places.signature, prepared.package, self.site)
        if text is None:
            text = new_signature(prepared.package, self.ring, file_name=places.package, now=run.now)
            public = minisign_public(self.site, self.ring)
            written += SiteWriter(self.site).put([Write(MINISIGN_FILE, public.encode())])
        signature = run.scratch / places.signature
        signature.write_bytes(text)
        # A package that is there tells the next run that everything before it is there as well.
        files = {**prepared.files, places.signature: signature, places.package: prepared.package}
        names = self.store.publish(page, files, replaceable=(places.signature, *prepared.replaceable))
        return (*(self.store.url(places.tag, name) for name in names), *written)
