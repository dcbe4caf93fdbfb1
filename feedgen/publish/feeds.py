"""What a feed says after a release was added or decided upon anew: pure (docs/formats.md section 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from packaging.version import Version

from feedgen.errors import FeedRegressionError, PublishError
from feedgen.operations.state import Entry, ReleaseState
from feedgen.repository.roles import listed_in
from updater.schema import Feed, Release, channel_of
from updater.schema.text import CHANNELS

__all__ = ["add_release", "check_no_regression", "parse_feeds", "render"]


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
    feeds: Mapping[str, Feed], entries: Mapping[str, Entry], *, app: str, component: str, now: datetime
) -> dict[str, Feed]:
    """The feeds that ``entries``, by version, change, by channel: each one step newer than the published one.

    Every entry is listed in its channel's feed and in all less settled ones, with what is decided about it; releases
    that are not in ``entries`` stay as they are. Raises ``FeedRegressionError`` as ``add_release`` does.
    """
    changed = {}
    for channel in CHANNELS:
        old = feeds.get(channel)
        feed = old
        for entry in entries.values():
            if channel in listed_in(entry.state.channel):
                feed = add_release(
                    feed, entry.facts, app=app, component=component, channel=channel, now=now, state=entry.state
                )
        if feed is None or feed is old:
            continue
        feed = replace(feed, sequence=1 if old is None else old.sequence + 1)
        check_no_regression(old, feed)
        changed[channel] = feed
    return changed


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
    except that its package's URLs become those of ``release``. Raises ``FeedRegressionError`` when its package or
    manifest is another one, and ``ValueError`` when a feed of ``channel`` does not list such a release.
    """
    if CHANNELS.index(state.channel if state else channel_of(release.version)) > CHANNELS.index(channel):
        raise ValueError(f"{release.version} does not belong into the {channel} feed")
    generated = now.astimezone(UTC).replace(microsecond=0)
    listed = None if feed is None else feed.release(release.version)
    new = state.applied_to(listed or release) if state else listed or release
    if feed is None:
        return Feed(app, channel, 1, generated, (new,), component=component)
    if listed is None:
        releases = sorted((*feed.releases, new), key=lambda item: Version(item.version), reverse=True)
    else:
        _check_same_bytes(listed, release, channel)
        merged = replace(new, package=replace(listed.package, urls=release.package.urls))
        releases = [merged if item is listed else item for item in feed.releases]
    if tuple(releases) == feed.releases:
        return feed
    return replace(feed, sequence=feed.sequence + 1, generated=max(generated, feed.generated), releases=tuple(releases))


def check_no_regression(old: Feed | None, new: Feed) -> None:
    """Raise ``FeedRegressionError`` when ``new`` takes back what sites that read ``old`` have seen."""
    if old is None or new == old:
        return
    if new.sequence <= old.sequence or new.generated < old.generated:
        raise FeedRegressionError(f"The new {new.channel} feed would not be newer than the published one", hint=_ADVICE)
    for release in old.releases:
        kept = new.release(release.version)
        if kept is None:
            raise FeedRegressionError(
                f"The new {new.channel} feed would drop {release.version}, which is published", hint=_ADVICE
            )
        _check_same_bytes(release, kept, new.channel)


_ADVICE = "Published releases stay in the feed for good: a release that is bad gets withdrawn, not removed."


def _check_same_bytes(published: Release, other: Release, channel: str) -> None:
    if published.package.sha256 != other.package.sha256 or published.manifest_sha256 != other.manifest_sha256:
        raise FeedRegressionError(
            f"{published.version} is already published in {channel} with other contents:"
            f" its package has the SHA-256 {published.package.sha256}, the new one {other.package.sha256}",
            hint="Sites may have installed it, so it cannot be exchanged. Give the changed tree a new version and tag."
            " If the tag did not move, compare the feedgen versions and the build settings.",
        )
