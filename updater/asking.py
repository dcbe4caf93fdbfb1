"""Asking the feed of one component: what it says, and what of it this site may have. Changes nothing of the site."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from updater.beforehand import ask_app
from updater.errors import ConfigError
from updater.feeds import SiteFeed, read_feed
from updater.frozen import frozen
from updater.grouping import Candidate
from updater.licensing import entitlement, read_license
from updater.members import SiteMember
from updater.process.interpreter import Interpreter
from updater.schema.feed import Feed, Release
from updater.selection import Selection, select
from updater.site import Site, SiteState
from updater.site.failed_releases import read_failures
from updater.site.reading import read_file
from updater.transport import Transport

__all__ = ["Answer", "Asking", "read_approvals"]

_MOST_APPROVALS = 1 << 20
_MOST_OFFERS = 20
"""Releases of one component that are considered, the newest first, when they have to go with those of others."""


@frozen
class Answer:
    """What the feed of one component says, and what of it this site may have, the best first. ``selection`` is the
    first answer; it tells the reasons."""

    member: SiteMember
    found: SiteFeed
    app: Interpreter | None
    options: Mapping[str, Any]
    selection: Selection
    offers: tuple[Release, ...]

    def release_of(self, choice: Candidate) -> Release | None:
        """The release that was chosen among the offers, None when the component stays as it is."""
        if not choice.new:
            return None
        return next(release for release in self.offers if release.version == choice.version)


@frozen
class Asking:
    """Asks for one site in one state, at one moment."""

    site: Site
    state: SiteState
    transport: Transport
    now: datetime
    environ: Mapping[str, str]

    def feed(self, member: SiteMember, to: str | None = None) -> SiteFeed:
        """A component's feed, verified. Raises as `read_feed`, and ConfigError."""
        config = self.site.config()
        if config.app is not None and config.app != self.state.app:
            raise ConfigError(
                f"{self.site.config_path} says [feed] app = {config.app!r}, but this site runs {self.state.app!r}.",
                hint="Correct the line, or remove it.",
            )
        found = read_feed(
            str(member.feed_url),
            self.site.directory if member.is_core else self.site.component(member.name),
            self.transport,
            now=self.now,
            app=self.state.app,
            component=self.state.component if member.is_core else member.name,
            installed=member.installed,
            to=to,
        )
        if config.container.is_used:
            return replace(found, feed=_as_images(found.feed))
        if config.python.environment:
            return replace(found, feed=_with_its_packages(found.feed))
        return found

    def ask(self, member: SiteMember, found: SiteFeed, *, several: bool, **more: Any) -> Answer:
        """What of a feed this site may have: the best, or, where it has to go with ``several`` others, all. ``more``
        are options of `select`."""
        app = ask_app(self.site, self.state, found.feed, self.environ)
        options = self._options(member, found, app) | more
        selection = select(found.feed, member.installed, **options)
        offers = [] if selection.release is None else [selection.release]
        while several and options.get("to") is None and offers and len(offers) < _MOST_OFFERS:
            over = {release.version for release in offers}
            following = select(found.feed, member.installed, **options, passed_over=over).release
            if following is None:
                break
            offers.append(following)
        return Answer(member, found, app, options, selection, tuple(offers))

    def _options(self, member: SiteMember, found: SiteFeed, app: Interpreter | None) -> dict[str, Any]:
        """What `select` is told about this site and its owner."""
        policy = self.site.config().policy
        approved = read_approvals(self.site.path / policy.approvals) if policy.approvals else frozenset()
        return {
            "site_id": self.state.site_id,
            "now": self.now,
            "python": platform.python_version() if app is None else app.python,
            "failed": member.failures(read_failures(self.site.failed_path)),
            "app": app,
            "policy": member.policy(policy),
            "entitled": entitlement(found.feed, read_license(self.site.license_path)),
            "approved": member.of_its_own(approved),
        }


def _with_its_packages(feed: Feed) -> Feed:
    """What a site sees whose updates install the app's packages: none has to be there before."""
    releases = (replace(one, requires=replace(one.requires, packages=())) for one in feed.releases)
    return replace(feed, releases=tuple(releases))


def _as_images(feed: Feed) -> Feed:
    """What a site of containers sees: the releases that come as an image, which brings its own Python and packages."""
    releases = (release for release in feed.releases if release.container)
    return replace(
        feed,
        releases=tuple(
            replace(release, requires=replace(release.requires, python=None, packages=())) for release in releases
        ),
    )


def read_approvals(path: Path) -> frozenset[str]:
    """The versions in the owner's file of approvals: one a line, ``#`` begins a comment. None when it is not there.

    Raises ConfigError when it cannot be read."""
    try:
        text = read_file(path, most=_MOST_APPROVALS).decode()
    except FileNotFoundError:
        return frozenset()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}, which [policy] approvals names, cannot be read: {error}",
            hint="It must be a UTF-8 text file with a version a line.",
        ) from error
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return frozenset(line for line in lines if line)
