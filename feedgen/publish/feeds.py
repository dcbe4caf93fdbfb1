"""What a feed says after a release was added or decided upon anew: pure (docs/formats.md section 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from packaging.version import Version

from feedgen.errors import PublishError
from feedgen.operations.feed_edits import carried_on, following
from feedgen.operations.state import Entry, ReleaseState
from feedgen.publish.archive import Shelves, movable
from feedgen.publish.catalog import Catalog
from feedgen.publish.regression import check_no_regression, check_same_facts
from feedgen.repository.compose import Write
from feedgen.repository.roles import listed_in
from updater.schema import Feed, Release, channel_of
from updater.schema.text import CHANNELS

__all__ = ["Changed", "Rendered", "add_release", "parse_feeds", "render"]

KEEP = 50
"""Releases that a feed holds at least, unless feedgen.toml says otherwise."""


class Changed(NamedTuple):
    """A release in one channel: as it is published (None: not at all), and as it shall be."""

    channel: str
    old: Release | None
    new: Release


@dataclass(frozen=True)
class Rendered:
    """What a change makes of the feeds: those that change, by channel; what that is in them; files to write before."""

    feeds: Mapping[str, Feed] = field(default_factory=dict)
    changes: tuple[Changed, ...] = ()
    pages: tuple[Write, ...] = ()


def parse_feeds(documents: Mapping[str, bytes], *, app: str, component: str) -> dict[str, Feed]:
    """The feeds of a site by channel. Raises ``PublishError`` when they are of another app, ``SchemaError``."""
    feeds = {channel: Feed.parse(data, f"{channel}.json") for channel, data in documents.items()}
    for channel, feed in feeds.items():
        if (feed.app, feed.component, feed.channel) != (app, component, channel):
            raise PublishError(
                f"The site's {channel}.json is the {feed.channel} feed of {feed.app}/{feed.component},"
                f" not the {channel} feed of {app}/{component}",
                hint="Is --site the site of this app? Each app and component has its own.",
            )
    return feeds


def render(
    catalog: Catalog, entries: Mapping[str, Entry], *, app: str, component: str, now: datetime, keep: int = KEEP
) -> Rendered:
    """The feeds that ``entries``, by version, change: each one step newer than the published one.

    Every entry is listed in its channel's feed and in all less settled ones, with what is decided about it; releases
    that are not in ``entries`` stay as they are, but feeds that change hand releases over to their archives. Raises
    ``FeedRegressionError`` as ``add_release`` does.
    """
    feeds: dict[str, Feed] = {}
    changes: list[Changed] = []
    writes: list[Write] = []
    for channel in CHANNELS:
        work = _Channel(catalog, channel, app, component, now)
        for entry in entries.values():
            if channel in listed_in(entry.state.channel):
                work.put(entry)
        if work.changes:
            feed, pages = work.finish(keep)
            feeds[channel] = feed
            changes += work.changes
            writes += pages
    return Rendered(feeds, tuple(changes), tuple(writes))


class _Channel:
    """One channel while it changes."""

    def __init__(self, catalog: Catalog, channel: str, app: str, component: str, now: datetime) -> None:
        self.changes: list[Changed] = []
        self._catalog = catalog
        self._channel = channel
        self._about = (app, component, now)
        self._old = self._feed = catalog.feeds.get(channel)
        self._shelves = None if self._old is None else Shelves(self._old, lambda link: catalog.page(channel, link))

    def put(self, entry: Entry) -> None:
        """List a release, or list it anew: where it is now, in the feed or in the archive."""
        version = entry.facts.version
        link = None
        if self._feed is None or self._feed.release(version) is None:
            link = self._catalog.shelf(self._channel, version)
        if link is not None and self._shelves is not None:
            old = self._catalog.find(self._channel, version)
            if old is not None and (new := _listed_anew(old, entry.facts, entry.state, self._channel)) != old:
                self._shelves.replace(link, new)
                self.changes.append(Changed(self._channel, old, new))
            return
        app, component, now = self._about
        before = self._feed
        self._feed = add_release(
            before, entry.facts, app=app, component=component, channel=self._channel, now=now, state=entry.state
        )
        new_one = self._feed.release(version)
        if self._feed is not before and new_one is not None:
            self.changes.append(Changed(self._channel, before.release(version) if before else None, new_one))

    def finish(self, keep: int) -> tuple[Feed, list[Write]]:
        """The new feed, and its new archive pages."""
        now = self._about[2]
        feed = self._feed
        if feed is None:
            raise AssertionError("nothing was put in")
        if self._old is None:
            feed = carried_on(feed, list(self._catalog.feeds.values()))
        shelves = self._shelves or Shelves(feed, lambda link: self._catalog.page(self._channel, link))
        gone = {release.version for release in shelves.take_over(movable(feed.releases, keep=keep, now=now))}
        feed = replace(feed, releases=tuple(release for release in feed.releases if release.version not in gone))
        feed, pages, writes = shelves.finish(feed)
        feed = following(self._old, feed, now)
        check_no_regression(self._old, feed, page=lambda link: self._catalog.page(self._channel, link), pages=pages)
        return feed, writes


def add_release(
    feed: Feed | None,
    release: Release,
    *,
    app: str,
    component: str,
    channel: str,
    now: datetime,
    state: ReleaseState | None = None,
) -> Feed:
    """The feed with ``release`` in it, newest first; ``feed`` itself when nothing changes.

    ``sequence`` and ``generated`` change only together with ``releases``. A release that is already listed keeps
    everything that was added to it since (fields of newer formats, and without ``state`` what was decided about it),
    except that the URLs of its files become those of ``release``, and that an index and deltas may come in addition.
    Raises ``FeedRegressionError`` when its files are others, and ``ValueError`` when a feed of ``channel`` does not
    list such a release.
    """
    if CHANNELS.index(state.channel if state else channel_of(release.version)) > CHANNELS.index(channel):
        raise ValueError(f"{release.version} does not belong into the {channel} feed")
    listed = None if feed is None else feed.release(release.version)
    new = _listed_anew(listed, release, state, channel)
    if feed is None:
        return following(None, Feed(app, channel, 1, now, (new,), component=component), now)
    if listed is None:
        releases = sorted((*feed.releases, new), key=lambda item: Version(item.version), reverse=True)
    else:
        releases = [new if item is listed else item for item in feed.releases]
    if tuple(releases) == feed.releases:
        return feed
    return following(feed, replace(feed, releases=tuple(releases)), now)


def _listed_anew(listed: Release | None, release: Release, state: ReleaseState | None, channel: str) -> Release:
    """``release`` as it shall be listed, when ``listed`` is how it is."""
    if listed is None:
        return state.applied_to(release) if state else release
    merged = _with_files_of(listed, release)
    check_same_facts(listed, merged, channel)
    return state.applied_to(merged) if state else merged


def _with_files_of(listed: Release, release: Release) -> Release:
    """``listed`` with the files of ``release``: what it has already keeps its unknown fields."""
    new, old = release.package, listed.package
    index = new.index
    if old.index is not None:
        index = old.index if index is None else replace(index, extra=old.index.extra, head_extra=old.index.head_extra)
    known = {delta.from_version: delta for delta in listed.deltas}
    deltas = {**known, **{delta.from_version: delta for delta in release.deltas}}
    for name, delta in known.items():
        deltas[name] = replace(deltas[name], extra=delta.extra)
    package = replace(old, urls=new.urls, sha256=new.sha256, index=index)
    return replace(
        listed,
        package=package,
        manifest_sha256=release.manifest_sha256,
        deltas=tuple(sorted(deltas.values(), key=lambda delta: Version(delta.from_version), reverse=True)),
    )
