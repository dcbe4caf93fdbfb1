"""What a store that has pages for people shows of a release: pure."""

from __future__ import annotations

from packaging.version import Version

from feedgen.publish.store import ReleasePage
from updater.schema import Feed, PublisherConfig

__all__ = ["release_page"]


def release_page(  # noqa: PLR0917 - a record of what is known at one place
    config: PublisherConfig, tag: str, commit: str, version: str, channel: str, notes: str, stable: Feed | None
) -> ReleasePage:
    """The page of ``version``, first listed in ``channel``. ``stable``: the feed before this release, if there is one.

    Visitors are led to the newest stable release of the app itself: a fix for an older series does not take that place,
    nor does a plugin or theme that is published into the same repository.
    """
    component = "" if config.component == "core" else f" {config.component}"
    newer = any(Version(other.version) > Version(version) for other in (stable.releases if stable else ()))
    return ReleasePage(
        tag,
        commit,
        f"{config.app}{component} {version}",
        notes,
        prerelease=channel != "stable",
        latest=config.component == "core" and channel == "stable" and not newer,
    )
