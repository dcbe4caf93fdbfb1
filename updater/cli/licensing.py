"""``updater license``: the licence that a site has for a paid app."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from updater.cli.console import Console
from updater.cli.exits import Exit
from updater.cli.named_files import read_named
from updater.cli.opening import open_updater
from updater.cli.parser import Verbs
from updater.errors import BlockedError
from updater.site import SiteLock

if TYPE_CHECKING:
    from updater.licensing import Entitlement
    from updater.schema.feed import Feed

__all__ = ["add_license", "add_verbs", "read_license_file"]

_TEXT = """\
Keep the licence FILE that the app's maintainer gave you, once it was checked against the signed feed; without FILE, say
what the site's licence covers. No server is asked but the feed's. What is installed stays without a licence, too.
"""
_LARGEST = 1 << 20  # bytes


def add_verbs(add: Verbs) -> None:
    """Add the verb."""
    verb = add("license", _license, "keep or show the licence of a paid app", _TEXT)
    what = verb.add_mutually_exclusive_group()
    what.add_argument("file", nargs="?", metavar="FILE", help="the licence, as the maintainer gave it to you")
    what.add_argument("--remove", action="store_true", help="forget the licence")
    verb.add_argument("--json", action="store_true", help="print what it covers as JSON")


def add_license(verb: argparse.ArgumentParser) -> None:
    """For a first install."""
    verb.add_argument("--license", metavar="FILE", help="the licence of a paid app")


def read_license_file(name: str) -> bytes:
    """What stands in a file that was named. Raises ConfigError."""
    return read_named(name, "a licence", most=_LARGEST, hint="Name the file that the maintainer gave you.")


def _license(args: argparse.Namespace, console: Console) -> Exit:
    from updater.feeds import read_feed
    from updater.licensing import entitlement, read_license, write_license

    updater = open_updater(args, console)
    site = updater.site
    if args.remove:
        with SiteLock(site.lock_path):
            write_license(site.license_path, None)
        console.show("The site has no licence any more.")
        return Exit.DONE
    state = site.state()
    data = read_license(site.license_path) if args.file is None else read_license_file(args.file)
    found = read_feed(
        site.config().feed_url,
        site.directory,
        updater.transport(),
        now=datetime.now(UTC),
        app=state.app,
        component=state.component,
    )
    judged = entitlement(found.feed, data)
    if args.file is not None:
        if judged is not None and judged.problem:
            raise BlockedError(
                f"{args.file} was not kept: {judged.problem}.", hint="Ask the app's maintainer for another one."
            )
        with SiteLock(site.lock_path):
            write_license(site.license_path, data)
    _show(found.feed, judged, console)
    return Exit.DONE if judged is None or not judged.problem else Exit.BLOCKED


def _show(feed: Feed, judged: Entitlement | None, console: Console) -> None:
    from updater.licensing import ending

    held = None if judged is None else judged.license
    problem = "" if judged is None else judged.problem
    until = None if held is None else held.updates_until
    if console.json:
        console.document(
            {
                "schema": "1.0",
                "needed": judged is not None,
                "counts": judged is not None and not problem,
                "problem": problem,
                "id": None if held is None else held.id,
                "holder": None if held is None else held.holder,
                "updates_until": None if until is None else f"{until:%Y-%m-%dT%H:%M:%SZ}",
                "channels": [] if held is None else list(held.channels),
                "components": [] if held is None else list(held.components),
            }
        )
        return
    if judged is None:
        console.show(f"The {feed.channel} feed of {feed.app} needs no licence.")
        return
    if held is not None:
        console.show(f"Licence {held.id} of {held.holder}")
        console.show(f"  updates     {'without end' if until is None else f'published until {until:%Y-%m-%d}'}")
        console.show(f"  channels    {', '.join(held.channels) or 'all'}")
        console.show(f"  components  {', '.join(held.components) or 'all'}")
    if problem:
        console.show(f"No release can be had: {problem}.")
    elif told := ending(judged, datetime.now(UTC)):
        console.show(told)
