"""``updater channel``: which channel a site follows, and another one from now on."""

from __future__ import annotations

import argparse
import stat
from datetime import UTC, datetime

from updater.cli.console import Console
from updater.cli.exits import Exit
from updater.cli.opening import open_updater
from updater.cli.parser import Verbs
from updater.errors import ConfigError
from updater.schema.text import CHANNELS
from updater.site import SiteLock
from updater.site.files import write_atomic

__all__ = ["add_verbs"]

_TEXT = """\
Say which channel this site follows; with a NAME, follow that one from now on. The change is made in updater.toml, after
the other feed was read and verified. Nothing is installed: that is for `updater update`.

Back from a less settled channel, a site keeps the version that it has until the settled one has something newer. To go
back at once, `updater rollback` takes the restore point of the version before.
"""


def add_verbs(add: Verbs) -> None:
    """Add the verb."""
    verb = add("channel", _channel, "say which channel is followed, or follow another", _TEXT)
    verb.add_argument("name", nargs="?", choices=CHANNELS, metavar="NAME", help=", ".join(CHANNELS))


def _channel(args: argparse.Namespace, console: Console) -> Exit:
    from updater.feeds import read_feed
    from updater.toml_edit import change_setting, feed_url_for
    from updater.trust import FeedLocation

    updater = open_updater(args, console)
    site, config, state = updater.site, updater.site.config(), updater.site.state()
    now = FeedLocation.parse(config.feed_url).channel
    if args.name in (None, now):
        console.show(f"This site follows {now}." if args.name is None else f"This site follows {now} already.")
        return Exit.DONE
    if "feed.url" in config.overridden:
        raise ConfigError(f"The feed is decided by {config.overridden['feed.url']}.", hint="Change it there.")
    url = feed_url_for(config.feed_url, args.name)
    found = read_feed(
        url, site.directory, updater.transport(), now=datetime.now(UTC), app=state.app, component=state.component
    )
    with SiteLock(site.lock_path):
        path = site.config_path
        text = change_setting(path.read_text(encoding="utf-8"), "feed_url", url)
        write_atomic(path, text.encode(), mode=stat.S_IMODE(path.stat().st_mode))
    newest = found.feed.releases[0].version if found.feed.releases else "nothing yet"
    console.say(f"This site follows {args.name} now, whose newest release is {newest}; installed is {state.version}.")
    return Exit.DONE
