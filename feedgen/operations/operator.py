"""Carrying decisions into the signed feeds, and looking at them. Everything goes through the one compose and commit.

The signed feeds say what is published; the files in ``releases/`` say what shall be. An operation changes its release
in both, and leaves edits of people in those files alone; ``apply`` publishes such edits. The file is written before
the feeds, so that after an interruption it holds what was begun, and never less than what sites have seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from feedgen.errors import PublishError
from feedgen.keys import KeyRing
from feedgen.operations.describe import describe_changes
from feedgen.operations.edits import Edit
from feedgen.operations.feed_edits import FeedEdit, changed
from feedgen.operations.pending import Pending, read_pending
from feedgen.operations.state import Entry, ReleaseState, differences
from feedgen.operations.state_file import STATE_FOLDER, state_path, state_text
from feedgen.publish.catalog import Catalog
from feedgen.publish.decisions import read_decisions
from feedgen.publish.feeds import parse_feeds, render
from feedgen.publish.places import Places
from feedgen.publish.site import commit
from feedgen.publish.store import Store
from feedgen.publish.writer import SiteWriter, site_lock
from feedgen.repository.compose import Change, Write, compose
from feedgen.repository.state import RepositoryState, load
from updater.schema import Feed, PublisherConfig, channel_of

__all__ = ["Operator", "Result"]


@dataclass(frozen=True)
class Result:
    """What an operation did, or with ``dry_run`` would do.

    ``changes``: differences in the feeds; ``remarks``: what else is worth knowing, both as lines for people.
    ``written`` and ``pruned`` are paths, in order. ``version`` and ``urls``: the release, when it was one, and where
    its package is.
    """

    changes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    pruned: tuple[str, ...] = ()
    version: str = ""
    urls: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether sites see something else now."""
        return bool(self.changes)


@dataclass(frozen=True)
class _Look:
    """What is published now."""

    repository: RepositoryState
    catalog: Catalog


@dataclass(frozen=True)
class _Edited:
    """One release: as it shall be listed, its file when that changes, and what is worth knowing."""

    entry: Entry
    text: Mapping[str, str]
    waiting: tuple[str, ...]


@dataclass(frozen=True)
class Operator:
    """Everything that operations on one site need."""

    config: PublisherConfig
    site: Path
    ring: KeyRing
    now: datetime

    def edit(self, version: str, edit: Edit, *, dry_run: bool = False) -> Result:
        """Make one edit of one release. An edit that is made already changes nothing.

        Raises ``ReleaseNotFoundError``, what the edit raises, ``ConfigError`` for mistakes in the release's file,
        ``SigningError``, ``FeedRegressionError`` and ``OSError``.
        """
        with site_lock(self.site):
            look = self._look()
            edited = self._edited(version, edit, look.catalog.published(version))
            return self._publish(look, {version: edited.entry}, edited.text, edited.waiting, dry_run=dry_run)

    def edit_several(self, edits: Mapping[str, Edit], *, dry_run: bool = False) -> Result:
        """Make edits of several releases at once, in one signature. For one that is not published yet, the file is
        written that its publication will follow. Raises what ``edit`` raises, but for missing releases."""
        with site_lock(self.site):
            look = self._look()
            published = look.catalog.entries()
            edited = {
                name: self._edited(name, edit, published[name]) for name, edit in edits.items() if name in published
            }
            texts = {name: text for one in edited.values() for name, text in one.text.items()}
            for version in [name for name in edits if name not in published]:
                file = read_decisions(self.site, version)
                wanted = edits[version](version, file or ReleaseState(channel_of(version)))
                texts |= {} if wanted == file else {version: state_text(version, wanted)}
            waiting = tuple(line for one in edited.values() for line in one.waiting)
            entries = {version: one.entry for version, one in edited.items()}
            return self._publish(look, entries, texts, waiting, dry_run=dry_run)

    def _edited(self, version: str, edit: Edit, old: Entry) -> _Edited:
        new = edit(version, old.state)
        file = read_decisions(self.site, version, published_in=old.state.channel)
        begun = {name: getattr(new, name) for name in differences(old.state, new)}
        if file and "notes" in begun:  # somebody may be at work on another language
            begun["notes"] = edit(version, file).notes
        wanted = replace(file, **begun) if file else new
        text = {version: state_text(version, wanted)} if begun and wanted != file else {}
        waiting = () if wanted == new else (f"{state_path(version)} says more: see 'feedgen diff'",)
        return _Edited(Entry(old.facts, new), text, waiting)

    def edit_feeds(self, edit: FeedEdit, what: str, *, dry_run: bool = False) -> Result:
        """Change what all channels say beside their releases; ``what`` that is, for people. Raises ``PublishError``,
        ``SigningError``."""
        with site_lock(self.site):
            look = self._look()
            feeds = {name: changed(feed, edit, self.now) for name, feed in look.catalog.feeds.items()}
            new = {name: feed for name, feed in feeds.items() if feed is not None}
            result = Result(tuple(f"{name}: {what}" for name in new))
            if dry_run or not new:
                return result
            documents = {name: feed.to_bytes() for name, feed in new.items()}
            writes = compose(look.repository, Change(feeds=documents), self.ring, self.now)
            grace = timedelta(days=self.config.grace_days)
            committed = commit(SiteWriter(self.site), writes, now=self.now, grace=grace)
            return replace(result, written=committed.written, pruned=committed.pruned)

    def apply(self, *, dry_run: bool = False) -> Result:
        """Publish what the files in ``releases/`` say, and write those that are missing.

        Raises ``ConfigError`` with every mistake in every file before anything is changed.
        """
        with site_lock(self.site):
            look = self._look()
            published = look.catalog.entries()
            pending = self._pending(published)
            entries = {version: Entry(published[version].facts, state) for version, state in pending.files.items()}
            missing = {
                version: state_text(version, entry.state)
                for version, entry in published.items()
                if version not in pending.files
            }
            return self._publish(look, entries, missing, pending.remarks, dry_run=dry_run)

    def diff(self) -> Result:
        """What ``apply`` would change in the feeds."""
        return self.apply(dry_run=True)

    def republish(self, version: str, store: Store, tag: str, *, dry_run: bool = False) -> Result:
        """List a release as its file says, with its files where ``store`` and the mirrors have them.

        Raises ``PublishError`` when the store does not have the published bytes, and what ``edit`` raises.
        """
        with site_lock(self.site):
            look = self._look()
            old = look.catalog.published(version)
            places = Places(self.config, store, tag, version)
            name = places.package
            stored = store.find(tag, name)
            if stored is None or not stored.public or stored.sha256 != old.facts.package.sha256:
                what = "does not have" if stored is None or not stored.public else "has other bytes as"
                raise PublishError(
                    f"The store {what} {name}",
                    hint=f"'feedgen publish {tag}' builds the package and stores it; its bytes must be the same.",
                )
            facts = places.located(old.facts)
            file = read_decisions(self.site, version, published_in=old.state.channel)
            texts = {} if file else {version: state_text(version, old.state)}
            return self._publish(look, {version: Entry(facts, file or old.state)}, texts, (), dry_run=dry_run)

    def prune(self, older_than: timedelta, *, dry_run: bool = False) -> Result:
        """Remove files that have been superseded for that long."""
        with site_lock(self.site):
            live = load(self.site).live_files()
            writer = SiteWriter(self.site)
            if dry_run:
                return Result(pruned=writer.plan(live, now=self.now, grace=older_than).delete)
            return Result(pruned=writer.prune(live, now=self.now, grace=older_than))

    def published(self) -> tuple[Mapping[str, Feed], Mapping[str, Entry], Mapping[str, ReleaseState]]:
        """The feeds with all releases, these by version, and what the files say that is not published yet."""
        catalog = self._look().catalog
        entries = catalog.entries()
        pending = self._pending(entries)
        waiting = {version: state for version, state in pending.files.items() if state != entries[version].state}
        return catalog.whole(), entries, waiting

    def state(self, version: str) -> ReleaseState:
        """What is published of one release."""
        return self._look().catalog.published(version).state

    def _look(self) -> _Look:
        repository = load(self.site)
        feeds = parse_feeds(repository.feeds, app=self.config.app, component=self.config.component)
        return _Look(repository, Catalog.of_site(self.site, feeds))

    def _pending(self, entries: Mapping[str, Entry]) -> Pending:
        channels = {version: entry.state.channel for version, entry in entries.items()}
        return read_pending(self.site / STATE_FOLDER, channels)

    def _publish(
        self,
        look: _Look,
        entries: Mapping[str, Entry],
        texts: Mapping[str, str],
        remarks: tuple[str, ...],
        *,
        dry_run: bool,
    ) -> Result:
        """Write the files ``texts`` and the feeds that ``entries`` change."""
        app, component, keep = self.config.app, self.config.component, self.config.feed_releases
        rendered = render(look.catalog, entries, app=app, component=component, now=self.now, keep=keep)
        files = [Write(state_path(version), text.encode()) for version, text in texts.items()]
        result = Result(describe_changes(rendered.changes), remarks, tuple(write.path for write in files))
        if len(entries) == 1:
            ((version, entry),) = entries.items()
            result = replace(result, version=version, urls=entry.facts.package.urls)
        if dry_run:
            return result
        documents = {channel: feed.to_bytes() for channel, feed in rendered.feeds.items()}
        # Signing comes before the first write: without the keys nothing has happened.
        writes = compose(look.repository, Change(feeds=documents), self.ring, self.now)
        grace = timedelta(days=self.config.grace_days)
        committed = commit(SiteWriter(self.site), [*files, *rendered.pages, *writes], now=self.now, grace=grace)
        return replace(result, written=committed.written, pruned=committed.pruned)
