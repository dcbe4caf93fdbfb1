"""Sites with thousands of releases that have no packages: for what the publisher and the client do with the lists."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from packaging.version import Version

from feedgen.keys import KeyRing
from feedgen.operations.state import state_of
from feedgen.operations.state_file import state_path, state_text
from feedgen.publish.archive import Shelves, movable
from feedgen.publish.site import commit
from feedgen.publish.writer import SiteWriter
from feedgen.repository.compose import Change, Write, compose
from feedgen.repository.roles import listed_in
from feedgen.repository.state import load
from updater.schema import (
    CHANNELS,
    ArchiveLink,
    ArchivePage,
    Delta,
    Feed,
    Notes,
    Package,
    PackageIndex,
    Release,
    channel_of,
)

__all__ = ["FIRST", "made_up_release", "publish_made_up"]

FIRST = datetime(2016, 1, 20, 10, tzinfo=UTC)


def made_up_release(number: int, version: str = "") -> Release:
    """The release with that number in the order of publishing: 0.0.0, 0.0.1 … 0.1.0 …; with notes, index and deltas."""
    version = version or f"{number // 100}.{number // 10 % 10}.{number % 10}"
    name = f"https://files.acme.example/shop-{version}"
    digest = f"{number:064x}"
    index = PackageIndex((f"{name}.index",), 12_000, 900, digest)
    before = (f"{n // 100}.{n // 10 % 10}.{n % 10}" for n in range(number - 1, max(-1, number - 6), -1))
    deltas = tuple(
        Delta(old, (f"https://files.acme.example/shop-{old}-{version}.delta",), 1234, digest) for old in before
    )
    return Release(
        version=version,
        published=FIRST + timedelta(hours=8 * number),
        package=Package((f"{name}.zip",), 1_000_000, digest, 999_000, 1000, index),
        manifest_sha256=digest,
        manifest_size=500,
        notes=Notes(markdown=f"### Fixed\n\n- Carts keep what is in them ({number}).\n- Prices are shown with tax.\n"),
        deltas=deltas,
    )


def publish_made_up(
    site: Path,
    ring: KeyRing,
    releases: Sequence[Release],
    *,
    now: datetime,
    keep: int = 50,
    channel: Callable[[Release], str] = lambda release: channel_of(release.version),
) -> None:
    """List releases in the feeds of a site, as publishing them one after the other would, and write their files."""
    states = {release.version: state_of(release, channel(release)) for release in releases}
    documents, writes = {}, [Write(state_path(name), state_text(name, one).encode()) for name, one in states.items()]
    for name in CHANNELS:
        listed = [release for release in releases if name in listed_in(states[release.version].channel)]
        if listed:
            feed, pages = _with_archive(name, listed, now, keep)
            documents[name] = feed.to_bytes()
            writes += pages
    writes += compose(load(site), Change(feeds=documents), ring, now)
    with patch.object(os, "fsync", lambda _handle: None):  # tens of thousands of small files, one by one
        commit(SiteWriter(site), writes, now=now, grace=timedelta(days=7))


def _with_archive(channel: str, releases: Iterable[Release], now: datetime, keep: int) -> tuple[Feed, list[Write]]:
    """All at once: what publishing them one by one leads to, in a time that allows for thousands."""
    listed = sorted(releases, key=lambda release: Version(release.version), reverse=True)
    feed = Feed("shop", channel, len(listed), now, tuple(listed))
    shelves = Shelves(feed, _no_page)
    gone = {release.version for release in shelves.take_over(movable(listed, keep=keep, now=now))}
    rest = tuple(release for release in listed if release.version not in gone)
    feed, _, pages = shelves.finish(replace(feed, releases=rest))
    return feed, pages


def _no_page(link: ArchiveLink) -> ArchivePage:
    raise KeyError(link.url)
