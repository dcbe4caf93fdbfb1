"""Publishing a tag: package, store, feeds, metadata, self-check. Run again after any failure and it completes."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from feedgen.build import BuiltRelease, build_release, config_at_tag, package_name
from feedgen.errors import ConfigError, FeedRegressionError
from feedgen.keys import KeyRing
from feedgen.operations.describe import describe_changes
from feedgen.operations.state import Entry, ReleaseState, published_entries
from feedgen.operations.state_file import state_path
from feedgen.publish.decisions import FirstDecisions, PublishOptions, read_decisions, record
from feedgen.publish.feeds import parse_feeds, render
from feedgen.publish.prebuilt import take_package
from feedgen.publish.release_page import release_page
from feedgen.publish.signature import minisign_public, new_signature, stored_signature
from feedgen.publish.site import MINISIGN_FILE, commit
from feedgen.publish.store import ReleasePage, Store, StoredFile, sha256_of
from feedgen.publish.writer import SiteWriter, site_lock
from feedgen.repository.compose import Change, Write, compose, role_keys
from feedgen.repository.roles import listed_in
from feedgen.repository.state import RepositoryState, load
from feedgen.source import Repository, parse_tag
from updater.schema import Feed, Notes, Package, PublisherConfig, Release, Requires, channel_of

__all__ = ["PublishOptions", "PublishResult", "Publisher"]

Say = Callable[[str], None]


@dataclass(frozen=True)
class PublishResult:
    """What a publish did: ``feeds`` are the channels that changed, ``files`` the written paths, in order.

    ``changes`` are the differences in the feeds, for people.
    """

    version: str
    channel: str
    package: str
    size: int
    feeds: tuple[str, ...]
    files: tuple[str, ...]
    pruned: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything was written."""
        return bool(self.files or self.pruned)


@dataclass(frozen=True)
class _Run:
    """What is being published."""

    tag: str
    version: str
    config: PublisherConfig
    now: datetime
    options: PublishOptions = field(default_factory=PublishOptions)

    @property
    def channel(self) -> str:
        return channel_of(self.version)

    @property
    def name(self) -> str:
        return package_name(self.config.app, self.config.component, self.version)

    @property
    def signature(self) -> str:
        return f"{self.name}.minisig"


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
        run = _Run(tag, parse_tag(tag, self.config.tag_prefix), settings, now, options)
        with site_lock(self.site):
            state = load(self.site)
            feeds = parse_feeds(state.feeds, app=self.config.app, component=self.config.component)
            known = published_entries(feeds).get(run.version)
            decisions = FirstDecisions(self.site, run.version, known.state if known else None, options)
            with tempfile.TemporaryDirectory(prefix="feedgen-") as scratch:
                channels = () if dry_run else listed_in(decisions.channel)  # those to be signed
                release, built = self._package(run, state, known.facts if known else None, channels, Path(scratch))
                entry = Entry(release, decisions.about(release))
                changed = render(
                    feeds, {run.version: entry}, app=self.config.app, component=self.config.component, now=now
                )
                done = PublishResult(
                    run.version,
                    run.channel,
                    run.name,
                    release.package.size,
                    tuple(changed),
                    (),
                    changes=describe_changes(feeds, changed),
                )
                if dry_run:
                    return replace(done, files=tuple(self._planned(run, changed)))
                page = release_page(
                    self.config,
                    run.tag,
                    built.commit if built else "",
                    run.version,
                    entry.state.channel,
                    entry.state.notes.markdown,
                    feeds.get("stable"),
                )
                files = self._store(run, page, built, Path(scratch))
            # The final address is known only now.
            entry = replace(entry, facts=self._located(run, entry.facts))
            changed = render(feeds, {run.version: entry}, app=self.config.app, component=self.config.component, now=now)
            done = replace(done, feeds=tuple(changed))
            for channel in changed:
                self.say(f"Signing {channel}.json")
            documents = {channel: feed.to_bytes() for channel, feed in changed.items()}
            writes = compose(state, Change(feeds=documents), self.ring, now)
            writer = SiteWriter(self.site)
            committed = commit(writer, writes, now=now, grace=timedelta(days=self.config.grace_days))
            decided = self._record(writer, run, entry.state)
            return replace(done, files=(*files, *committed.written, *decided), pruned=committed.pruned)

    def _record(self, writer: SiteWriter, run: _Run, state: ReleaseState) -> list[str]:
        """The file of decisions, last: until the release is listed, there is nothing that it could be about."""
        found = read_decisions(self.site, run.version)
        if found is None:
            return record(writer, run.version, state)
        if found != state:
            self.say(f"Note: {state_path(run.version)} says more than is published: see 'feedgen diff'")
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

    def _package(
        self, run: _Run, state: RepositoryState, listed: Release | None, channels: tuple[str, ...], scratch: Path
    ) -> tuple[Release, BuiltRelease | None]:
        """The release as it shall be listed, and its package when that had to be built."""
        stored = self.store.find(run.tag, run.name)
        if listed is not None and stored is not None and self._is_stored(run, listed, stored):
            self.say(f"{run.name} is in the store already")
            return self._located(run, listed), None
        if channels:
            self._require_keys(state, channels)
        built = self._build(run, scratch)
        for remark in built.remarks:
            self.say(f"Note: {remark}")
        if listed is None:
            return new_release(built, run.config, self.store.url(run.tag, run.name), run.now), built
        if built.sha256 != listed.package.sha256:
            raise FeedRegressionError(
                f"{built.version} is already published with other contents: its package has the SHA-256"
                f" {listed.package.sha256}, and {run.tag} now gives {built.sha256}",
                hint="Sites may have installed it, so it cannot be exchanged. Give the changed tree a new version"
                " and tag. If the tag did not move, compare the build settings and the feedgen version.",
            )
        return self._located(run, listed), built

    def _located(self, run: _Run, release: Release) -> Release:
        """``release`` with its package where the store has it."""
        return replace(release, package=replace(release.package, urls=(self.store.url(run.tag, run.name),)))

    def _build(self, run: _Run, scratch: Path) -> BuiltRelease:
        if run.options.package is None:
            self.say(f"Building {run.name} from {run.tag}")
            return build_release(self.repo, run.tag, scratch, run.config)
        self.say(f"Verifying {run.options.package}")
        tagged = Repository(self.repo).commit_of_tag(run.tag).id if run.options.tagged else None
        return take_package(run.options.package, scratch, run.tag, run.version, run.config, tagged)

    def _is_stored(self, run: _Run, listed: Release, stored: StoredFile) -> bool:
        """Whether the store serves the published bytes, built from the commit that the tag names now."""
        if stored.sha256 != listed.package.sha256 or not stored.public:
            return False
        signature = None if stored.path else self.store.find(run.tag, run.signature)
        if stored.path is None and (signature is None or not signature.public):
            return False
        if run.options.package is not None:
            return sha256_of(run.options.package) == stored.sha256
        if stored.path is None or not run.options.tagged:
            return True
        try:
            with zipfile.ZipFile(stored.path) as package:
                made_from = json.loads(package.read("version.json")).get("commit")
        except (zipfile.BadZipFile, KeyError, ValueError):
            return False
        return bool(made_from == Repository(self.repo).commit_of_tag(run.tag).id)

    def _require_keys(self, state: RepositoryState, channels: tuple[str, ...]) -> None:
        """Find out about missing keys and a wrong passphrase before a long build."""
        for channel in channels:
            self.ring.signers(channel, *role_keys(state.targets.signed, channel))
        for role in ("snapshot", "timestamp"):
            self.ring.signers(role, *role_keys(state.root.signed, role))
        minisign_public(self.site, self.ring)

    def _planned(self, run: _Run, changed: Mapping[str, Feed]) -> list[str]:
        missing = [name for name in (run.name, run.signature) if self.store.find(run.tag, name) is None]
        files = [self.store.url(run.tag, name) for name in missing]
        return [*files, *(f"{channel}.json (sequence {feed.sequence})" for channel, feed in changed.items())]

    def _store(self, run: _Run, page: ReleasePage, built: BuiltRelease | None, scratch: Path) -> list[str]:
        """Put package and signature into the store; returns what was written."""
        stored = self.store.find(run.tag, run.name)
        package = built.package_path if built is not None else stored.path if stored is not None else None
        if package is None:
            return []
        written = []
        text = stored_signature(self.store, run.tag, run.signature, package, self.site)
        if text is None:
            text = new_signature(package, self.ring, file_name=run.name, now=run.now)
            public = minisign_public(self.site, self.ring)
            written += SiteWriter(self.site).put([Write(MINISIGN_FILE, public.encode())])
        signature = scratch / run.signature
        signature.write_bytes(text)
        files = {run.name: package, run.signature: signature}
        names = self.store.publish(page, files, replaceable=(run.signature,))
        return [*(self.store.url(run.tag, name) for name in names), *written]


def new_release(built: BuiltRelease, config: PublisherConfig, url: str, now: datetime) -> Release:
    """A release as the feed describes it when it is first published. Raises ``ConfigError`` for a bad notes_url."""
    notes_url = None
    if config.notes_url:
        notes_url = config.notes_url.replace("{version}", built.version)
        if "{" in notes_url:
            raise ConfigError("notes_url in feedgen.toml may hold {version} and nothing else in braces")
    return Release(
        version=built.version,
        published=now.replace(microsecond=0),
        package=Package((url,), built.size, built.sha256, built.tail_offset, built.tail_size),
        manifest_sha256=built.manifest_sha256,
        manifest_size=len(built.manifest_bytes),
        notes=Notes(markdown=built.notes_markdown, url=notes_url),
        requires=Requires(config.python, config.packages, config.from_version),
        migrations=built.migrations,
    )
