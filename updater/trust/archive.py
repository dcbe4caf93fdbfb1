"""Older releases of a feed, from its archive pages: fetched when the site needs them (docs/formats.md section 2.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urljoin

from packaging.version import Version

from updater.errors import FeedError, TargetMismatchError
from updater.schema.feed import ArchiveLink, ArchivePage, Feed, Release
from updater.transport import Transport
from updater.transport.fetch_file import download
from updater.trust.storage import read_verified

__all__ = ["ARCHIVE_FOLDER", "check_page", "needed_links", "with_older_releases"]

ARCHIVE_FOLDER = "archive"
"""Where pages are kept, in the trust directory."""

MOST_BYTES = 1 << 26
"""Bytes of all pages that one site needs at once."""


def needed_links(feed: Feed, installed: str | None, to: str | None = None) -> tuple[ArchiveLink, ...]:
    """The pages that a site which runs ``installed`` needs: all that hold its version or newer ones. Pure.

    They say whether the installed release was withdrawn, and where an update must not jump. A site without a release
    needs none, or the one that holds the version which it was asked to go ``to``.
    """
    if installed is not None:
        return tuple(link for link in feed.archive if Version(link.newest) >= Version(installed))
    if to is None or feed.release(to) is not None:
        return ()
    return tuple(link for link in feed.archive if Version(link.oldest) <= Version(to) <= Version(link.newest))


def with_older_releases(
    feed: Feed, links: Sequence[ArchiveLink], folder: Path, transport: Transport, *, feed_url: str
) -> Feed:
    """``feed`` with the releases of the pages behind ``links``, which its ``archive`` lists no more.

    Pages are kept in ``folder`` for the next time; those that ``feed`` does not link to are removed. Raises FeedError
    (TargetMismatchError, SchemaError) for a page that is not what the feed says, DownloadError, StateError.
    """
    _forget(folder, {link.sha256 for link in feed.archive})
    if not links:
        return feed
    if sum(link.size for link in links) > MOST_BYTES:
        raise FeedError(
            f"The feed {feed_url} has more than {MOST_BYTES >> 20} MiB of older releases that this site needs.",
            hint="Tell the app's maintainer. A new install of the newest release needs none of them.",
        )
    releases = list(feed.releases)
    for link in links:
        releases += check_page(_page(link, folder, transport, feed_url), link, feed)
    _refuse_twins(releases, feed_url)
    releases.sort(key=lambda release: Version(release.version), reverse=True)
    rest = tuple(link for link in feed.archive if link not in links)
    return replace(feed, releases=tuple(releases), archive=rest)


def check_page(data: bytes, link: ArchiveLink, feed: Feed) -> tuple[Release, ...]:
    """The releases of a page, which must be the one that ``link`` of ``feed`` names. Raises FeedError."""
    name = f"the archive page {link.url}"
    if len(data) != link.size or hashlib.sha256(data).hexdigest() != link.sha256:
        raise TargetMismatchError(f"{name} does not have the signed size and SHA-256", hint="Tell the publisher.")
    page = ArchivePage.parse(data, name)
    versions = [Version(release.version) for release in page.releases]
    fits = versions and (max(versions), min(versions)) == (Version(link.newest), Version(link.oldest))
    same = (page.app, page.component, page.channel) == (feed.app, feed.component, feed.channel)
    if not (fits and same and len(versions) == link.count):
        raise FeedError(f"{name} does not hold what the feed says", hint="Tell the app's maintainer.")
    return page.releases


def _page(link: ArchiveLink, folder: Path, transport: Transport, feed_url: str) -> bytes:
    path = folder / f"{link.sha256}.json"
    data = read_verified(path, link.sha256)
    if data is None:
        path.unlink(missing_ok=True)
        download(transport, [urljoin(feed_url, link.url)], path, size=link.size, sha256=link.sha256)
        data = read_verified(path, link.sha256)
    if data is None:
        raise TargetMismatchError(f"{path} changed while it was read", hint="Check the disk.")
    return data


def _refuse_twins(releases: Iterable[Release], feed_url: str) -> None:
    seen: set[str] = set()
    for release in releases:
        if release.version in seen:
            raise FeedError(f"The feed {feed_url} lists {release.version} twice.", hint="Tell the app's maintainer.")
        seen.add(release.version)


def _forget(folder: Path, linked: set[str]) -> None:
    """Remove pages that the feed does not link to any more."""
    with suppress(OSError):
        for path in folder.iterdir():
            if path.name.partition(".")[0] not in linked:
                path.unlink()
