"""Plugins and themes of a site: following the feed of one, and no longer (docs/components.md)."""

from __future__ import annotations

import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from updater.client import Updater
from updater.errors import BlockedError, ConfigError
from updater.feeds import read_feed, read_root
from updater.frozen import frozen
from updater.schema.feed import Feed
from updater.schema.site_config import ComponentConfig
from updater.schema.text import CORE, check_name
from updater.site import Site, SiteLock
from updater.site.files import make_private_directory, remove_tree, write_atomic
from updater.toml_edit import with_component, with_component_enabled, without_component
from updater.trust import FeedLocation, fingerprint, obtain_root

__all__ = ["Followed", "follow_component", "forget_component", "set_enabled"]


@frozen
class Followed:
    """A component whose feed the site follows now. ``fingerprint`` is that of the root it is trusted by."""

    name: str
    directory: str
    fingerprint: str


def follow_component(
    updater: Updater,
    feed_url: str,
    *,
    directory: str | None = None,
    root: bytes | None = None,
    root_sha256: str | None = None,
    confirm_root: Callable[[str], bool] = lambda _: True,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Followed:
    """Begin to trust a component's feed, and write it into updater.toml. Nothing is installed.

    Nobody is asked about the root that the app itself is trusted by. ``directory``: its folder below the app's files;
    by default the one that its newest release wants. Raises BlockedError, ConfigError, and what reading a feed raises;
    then nothing was changed.
    """
    site, location, transport = updater.site, FeedLocation.parse(feed_url), updater.transport()
    trusted = obtain_root(location, transport, root=root, sha256=root_sha256)
    vouched = root is not None or root_sha256 is not None or trusted == read_root(site.directory / "root.json")
    if not vouched and not confirm_root(fingerprint(trusted)):
        raise BlockedError("The root of trust was not confirmed; nothing was changed.")
    made = site.components / ".new"
    with SiteLock(site.lock_path):
        try:
            remove_tree(made)
            make_private_directory(made.parent)
            make_private_directory(made)
            write_atomic(made / "root.json", trusted)
            feed = read_feed(feed_url, made, transport, now=now(), app=site.state().app, component=None).feed
            _refuse(site, feed.component, location.url)
            folder = directory or _wanted_folder(feed)
            home = site.component(feed.component)
            remove_tree(home)  # what is left of the last time: the feed was not followed
            made = made.rename(home)
            _edit(site, lambda text: with_component(text, feed.component, ComponentConfig(location.url, folder)))
        except BaseException:
            remove_tree(made)
            raise
    return Followed(feed.component, folder, fingerprint(trusted))


def _wanted_folder(feed: Feed) -> str:
    found = next((release.directory for release in feed.releases if release.directory), None)
    if found is None:
        what = f"{feed.component} does not say which folder it belongs into."
        raise ConfigError(what, hint="Say it with --directory FOLDER.")
    return found


def _refuse(site: Site, name: str, url: str) -> None:
    check_name(name)
    if name == CORE:
        raise BlockedError(
            f"{url} is the feed of an app, not of a component.", hint="`updater install` makes a site of it."
        )
    if name in site.config().components:
        raise BlockedError(
            f"This site follows {name} already: {site.config().components[name].feed_url}.",
            hint=f"`updater component enable {name}` installs it; its feed is in updater.toml.",
        )


def set_enabled(site: Site, name: str, *, enabled: bool) -> bool:
    """Write into updater.toml whether a component shall be there; its files are for an update. Returns whether it was
    enabled before. Raises BlockedError for one that is not followed, ConfigError."""
    config = site.config().components.get(name)
    if config is None:
        known = ", ".join(site.config().components) or "none"
        raise BlockedError(f"This site has no component {name!r} (it has {known}).")
    if config.enabled != enabled:
        with SiteLock(site.lock_path):
            _edit(site, lambda text: with_component_enabled(text, name, enabled=enabled))
    return config.enabled


def forget_component(site: Site, name: str) -> None:
    """Follow a component's feed no longer: its part of updater.toml goes, and what it was trusted by."""
    with SiteLock(site.lock_path):
        _edit(site, lambda text: without_component(text, name))
        remove_tree(site.component(name))


def _edit(site: Site, change: Callable[[str], str]) -> None:
    path: Path = site.config_path
    text = change(path.read_text(encoding="utf-8"))
    write_atomic(path, text.encode(), mode=stat.S_IMODE(path.stat().st_mode))
