"""Carrying decisions into the signed feeds, and looking at them. Everything goes through the one compose and commit.

The signed feeds say what is published; the files in ``releases/`` say what shall be. An operation changes its release
in both, and leaves edits of people in those files alone; ``apply`` publishes such edits. The file is written before
the feeds, so that after an interruption it holds what was begun, and never less than what sites have seen.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from feedgen.build import package_name
from feedgen.errors import PublishError, ReleaseNotFoundError
from feedgen.keys import KeyRing
from feedgen.operations.describe import describe_changes
from feedgen.operations.edits import Edit
from feedgen.operations.pending import Pending, read_pending
from feedgen.operations.state import Entry, ReleaseState, differences, published_entries
from feedgen.operations.state_file import STATE_FOLDER, state_path, state_text
from feedgen.publish.decisions import read_decisions
from feedgen.publish.feeds import parse_feeds, render
from feedgen.publish.site import commit
from feedgen.publish.store import Store
from feedgen.publish.writer import SiteWriter, site_lock
from feedgen.repository.compose import Change, Write, compose
from feedgen.repository.state import RepositoryState, load
from updater.schema import Feed, PublisherConfig

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
    feeds: Mapping[str, Feed]
    entries: Mapping[str, Entry]

    def entry(self, version: str) -> Entry:
        """The published release. Raises ``ReleaseNotFoundError``."""
        if version in self.entries:
            return self.entries[version]
        near = difflib.get_close_matches(version, self.entries, n=1)
        advice = f"Did you mean {near[0]}? " if near else ""
        raise ReleaseNotFoundError(
            f"No feed lists a release {version}", hint=f"{advice}'feedgen list' shows what is published."
        )


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
            old = look.entry(version)
            new = edit(version, old.state)
            file = read_decisions(self.site, version, published_in=old.state.channel)
            begun = {name: getattr(new, name) for name in differences(old.state, new)}
            if file and "notes" in begun:  # somebody may be at work on another language
                begun["notes"] = edit(version, file).notes
            wanted = replace(file, **begun) if file else new
            texts = {version: state_text(version, wanted)} if begun and wanted != file else {}
            waiting = () if wanted == new else (f"{state_path(version)} says more: see 'feedgen diff'",)
            return self._publish(look, {version: Entry(old.facts, new)}, texts, waiting, dry_run=dry_run)

    def apply(self, *, dry_run: bool = False) -> Result:
        """Publish what the files in ``releases/`` say, and write those that are missing.

        Raises ``ConfigError`` with every mistake in every file before anything is changed.
        """
        with site_lock(self.site):
            look = self._look()
            pending = self._pending(look)
            entries = {version: Entry(look.entries[version].facts, state) for version, state in pending.files.items()}
            missing = {
                version: state_text(version, entry.state)
                for version, entry in look.entries.items()
                if version not in pending.files
            }
            return self._publish(look, entries, missing, pending.remarks, dry_run=dry_run)

    def diff(self) -> Result:
        """What ``apply`` would change in the feeds."""
        return self.apply(dry_run=True)

    def republish(self, version: str, store: Store, tag: str, *, dry_run: bool = False) -> Result:
        """List a release as its file says, with its package where ``store`` has it.

        Raises ``PublishError`` when the store does not have the published bytes, and what ``edit`` raises.
        """
        with site_lock(self.site):
            look = self._look()
            old = look.entry(version)
            name = package_name(self.config.app, self.config.component, version)
            stored = store.find(tag, name)
            if stored is None or not stored.public or stored.sha256 != old.facts.package.sha256:
                what = "does not have" if stored is None or not stored.public else "has other bytes as"
                raise PublishError(
                    f"The store {what} {name}",
                    hint=f"'feedgen publish {tag}' builds the package and stores it; its bytes must be the same.",
                )
            facts = replace(old.facts, package=replace(old.facts.package, urls=(store.url(tag, name),)))
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
        """The feeds, the releases in them, and what the files say that is not published yet, by version."""
        look = self._look()
        pending = self._pending(look)
        waiting = {version: state for version, state in pending.files.items() if state != look.entries[version].state}
        return look.feeds, look.entries, waiting

    def state(self, version: str) -> ReleaseState:
        """What is published of one release."""
        return self._look().entry(version).state

    def _look(self) -> _Look:
        repository = load(self.site)
        feeds = parse_feeds(repository.feeds, app=self.config.app, component=self.config.component)
        return _Look(repository, feeds, published_entries(feeds))

    def _pending(self, look: _Look) -> Pending:
        channels = {version: entry.state.channel for version, entry in look.entries.items()}
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
        app, component = self.config.app, self.config.component
        changed = render(look.feeds, entries, app=app, component=component, now=self.now)
        files = [Write(state_path(version), text.encode()) for version, text in texts.items()]
        result = Result(describe_changes(look.feeds, changed), remarks, tuple(write.path for write in files))
        if len(entries) == 1:
            ((version, entry),) = entries.items()
            result = replace(result, version=version, urls=entry.facts.package.urls)
        if dry_run:
            return result
        documents = {channel: feed.to_bytes() for channel, feed in changed.items()}
        # Signing comes before the first write: without the keys nothing has happened.
        writes = compose(look.repository, Change(feeds=documents), self.ring, self.now)
        grace = timedelta(days=self.config.grace_days)
        committed = commit(SiteWriter(self.site), [*files, *writes], now=self.now, grace=grace)
        return replace(result, written=committed.written, pruned=committed.pruned)
