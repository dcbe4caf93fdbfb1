"""A site's feed: fetched, verified, and refused when it is of another app, component or channel, or an older one."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from updater.errors import DowngradeError, FeedError, StateError
from updater.frozen import frozen
from updater.schema.feed import Feed
from updater.site.files import write_atomic
from updater.site.reading import read_file, read_json
from updater.transport import Transport
from updater.trust import FeedClient, FeedLocation, Freshness
from updater.trust.archive import ARCHIVE_FOLDER, needed_links, with_older_releases

__all__ = ["SiteFeed", "read_feed", "read_root"]


@frozen
class SiteFeed:
    """A feed this site may act on, and how fresh it is."""

    feed: Feed
    freshness: Freshness
    location: FeedLocation


def read_feed(
    feed_url: str,
    state_directory: Path,
    transport: Transport,
    *,
    now: datetime,
    app: str | None,
    component: str | None,
    installed: str | None = None,
    to: str | None = None,
) -> SiteFeed:
    """Fetch and check the feed, and those older releases that a site needs which runs ``installed``, or is asked to go
    ``to`` a version. ``app`` and ``component`` are None before the first install: the feed says them.

    Raises ConfigError for a wrong URL, FeedError and DownloadError as `FeedClient.fetch` does, StateError when the
    site's root of trust is missing.
    """
    location = FeedLocation.parse(feed_url)
    seen_path = state_directory / "sequences.json"
    seen = _read_sequences(seen_path)

    def accept(data: bytes) -> None:
        _check(Feed.parse(data, f"the feed {location.url}"), location, app, component, seen.get(location.channel, 0))

    client = FeedClient(location, state_directory / "trust", read_root(state_directory / "root.json"), transport)
    trusted = client.fetch(now=now, accept=accept)
    feed = Feed.parse(trusted.data, f"the feed {location.url}")
    if feed.sequence > seen.get(location.channel, 0):
        write_atomic(seen_path, json.dumps({**seen, location.channel: feed.sequence}).encode())
    links = needed_links(feed, installed, to)
    folder = state_directory / "trust" / ARCHIVE_FOLDER
    feed = with_older_releases(feed, links, folder, transport, feed_url=location.url)
    return SiteFeed(feed, trusted.freshness, location)


def _check(feed: Feed, location: FeedLocation, app: str | None, component: str | None, seen: int) -> None:
    if app is not None and feed.app != app:
        raise FeedError(
            f"The feed {location.url} is of the app {feed.app!r}, this site runs {app!r}.",
            hint="Correct [feed] url in updater.toml.",
        )
    if component is not None and feed.component != component:
        raise FeedError(
            f"The feed {location.url} is of the component {feed.component!r}, this site expects {component!r}.",
            hint="Correct [feed] url in updater.toml.",
        )
    if feed.channel != location.channel:
        raise FeedError(
            f"The feed {location.url} says it is the channel {feed.channel!r}.",
            hint="Tell the app's maintainer: a feed of one channel was published under the name of another.",
        )
    if feed.sequence < seen:
        raise DowngradeError(
            f"The feed {location.url} has sequence {feed.sequence}, but this site has already seen {seen}.",
            hint="An old feed was signed again; tell the app's maintainer.",
        )


def _read_sequences(path: Path) -> dict[str, int]:
    try:
        found = read_json(path)
        if not all(isinstance(number, int) for number in found.values()):
            raise ValueError("a sequence is not a whole number")
        return {str(channel): int(number) for channel, number in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise StateError(
            f"{path} cannot be read: {error}", hint="Remove it: the signed metadata still refuses older feeds."
        ) from error


def read_root(path: Path) -> bytes:
    """The root of trust that a site was installed with. Raises StateError."""
    try:
        return read_file(path)
    except OSError as error:
        raise StateError(
            f"The site's root of trust, {path}, cannot be read: {error.strerror}",
            hint="Restore it from a backup, or install the app anew beside this site with --root or --root-sha256.",
        ) from error
