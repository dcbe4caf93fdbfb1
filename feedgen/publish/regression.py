"""What a new feed must never take back from the one that sites have read: pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from feedgen.errors import FeedRegressionError
from updater.schema import ArchiveLink, ArchivePage, Feed, Release

__all__ = ["check_no_regression", "check_same_facts"]

_ADVICE = "Published releases stay in the feed for good: a release that is bad gets withdrawn, not removed."


def _no_page(link: ArchiveLink) -> ArchivePage:
    raise KeyError(link.url)


def check_no_regression(
    old: Feed | None,
    new: Feed,
    *,
    page: Callable[[ArchiveLink], ArchivePage] = _no_page,
    pages: Iterable[ArchivePage] = (),
) -> None:
    """Raise ``FeedRegressionError`` when ``new`` takes back what sites that read ``old`` have seen.

    Releases may move between a feed and its archive, so all of both count. ``page`` reads published pages, and is asked
    for those alone that ``new`` links to no longer; ``pages`` are the new ones.
    """
    if old is None or new == old:
        return
    if new.sequence <= old.sequence or new.generated < old.generated:
        raise FeedRegressionError(f"The new {new.channel} feed would not be newer than the published one", hint=_ADVICE)
    kept_links = {link.sha256 for link in new.archive}
    seen = [*old.releases, *_on(page(link) for link in old.archive if link.sha256 not in kept_links)]
    offered: Mapping[str, Release] = {release.version: release for release in (*new.releases, *_on(pages))}
    for release in seen:
        if release.version not in offered:
            raise FeedRegressionError(
                f"The new {new.channel} feed would drop {release.version}, which is published", hint=_ADVICE
            )
        check_same_facts(release, offered[release.version], new.channel)


def check_same_facts(published: Release, other: Release, channel: str) -> None:
    """Raise ``FeedRegressionError`` unless ``other`` names the same bytes as the published release: its package, its
    manifest, and the index and the deltas that are published (there may be more of them)."""
    if published.package.sha256 != other.package.sha256 or published.manifest_sha256 != other.manifest_sha256:
        raise FeedRegressionError(
            f"{published.version} is already published in {channel} with other contents:"
            f" its package has the SHA-256 {published.package.sha256}, the new one {other.package.sha256}",
            hint="Sites may have installed it, so it cannot be exchanged. Give the changed tree a new version and tag."
            " If the tag did not move, compare the feedgen versions and the build settings.",
        )
    index = published.package.index
    if index is not None and (other.package.index is None or other.package.index.head_sha256 != index.head_sha256):
        raise FeedRegressionError(
            f"The new {channel} feed would exchange the index of {published.version}", hint=_ADVICE
        )
    deltas = {delta.from_version: delta.sha256 for delta in other.deltas}
    for delta in published.deltas:
        if deltas.get(delta.from_version) != delta.sha256:
            raise FeedRegressionError(
                f"The new {channel} feed would exchange the delta from {delta.from_version} to {published.version}",
                hint="Sites may have begun to download it. Deltas are added, and never changed.",
            )


def _on(pages: Iterable[ArchivePage]) -> Iterable[Release]:
    return (release for page in pages for release in page.releases)
