"""Finding the site that a verb works on, and making sure that this user may (standard library only)."""

from __future__ import annotations

import argparse
import os
import pwd
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from updater.cli.console import Console
from updater.client import Updater
from updater.errors import ConfigError, StateError
from updater.events import Reporter, ignore_events
from updater.site import Site, find_site
from updater.site.platform import give_memory_back

if TYPE_CHECKING:
    from updater.transport import Transport

__all__ = ["add_from", "add_node_role", "mirror_transport", "open_site", "open_updater", "owner_of"]


def open_updater(args: argparse.Namespace, console: Console, report: Reporter = ignore_events) -> Updater:
    """The library's object for the site of ``--site``, or of the nearest folder above that is one.

    Raises ConfigError, with the command to use instead, when the site belongs to somebody else.
    """
    give_memory_back()  # a command has a process of its own, of which it may decide that
    site = open_site(args)
    _check_owner(site, console)
    transport = mirror_transport(args, site.config().feed_url) if getattr(args, "mirror", None) else None
    role = getattr(args, "node_role", None)
    environ = None if role is None else {**os.environ, "UPDATER_FLEET_ROLE": role}
    return Updater(site, report=report, transport=transport, environ=environ)


def add_from(verb: argparse.ArgumentParser) -> None:
    """The option of verbs that can work without a network."""
    verb.add_argument("--from", dest="mirror", metavar="DIR", help="take all from this mirror (`updater mirror`)")


def add_node_role(verb: argparse.ArgumentParser) -> None:
    """The option of verbs that may change the database, or may not."""
    verb.add_argument(
        "--node-role",
        choices=("single", "lead", "follow"),
        help="of several servers on one database, the one that changes it leads (default: [fleet] role)",
    )


def mirror_transport(args: argparse.Namespace, feed_url: str) -> Transport | None:
    """What answers for the feed's server with ``--from DIR``; None without."""
    if args.mirror is None:
        return None
    from updater.mirror import MirrorTransport

    return MirrorTransport(feed_url, Path(args.mirror).absolute())


def open_site(args: argparse.Namespace) -> Site:
    """The site, without a look at who owns it."""
    given: str | None = getattr(args, "site", None)
    if given is None:
        return find_site(Path.cwd())
    path = Path(given).absolute()
    try:
        found = path.is_dir()
    except OSError as error:
        raise StateError(
            f"The site {path} cannot be looked at: {error.strerror}",
            hint="Nothing was changed; an interrupted update waits for the next start. Check the disk and permissions.",
        ) from error
    if not found:
        raise ConfigError(f"{path} is not a directory.", hint="--site names the folder that holds updater.toml.")
    site = Site(path)
    if not os.path.lexists(site.directory) and not os.path.lexists(site.config_path):
        raise ConfigError(
            f"{path} is not a site: it has neither {site.config_path.name} nor {site.directory.name}.",
            hint="--site names the folder that holds updater.toml; `updater install FEED_URL DIR` makes a site.",
        )
    return site


def owner_of(site: Site) -> str | None:
    """The name of the user whose site it is, when that is not the user who runs this."""
    try:
        uid = site.directory.lstat().st_uid
    except OSError:
        return None
    if uid == os.geteuid():
        return None
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"  # what sudo -u understands


def _check_owner(site: Site, console: Console) -> None:
    owner = owner_of(site)
    if owner is None:
        return
    words = sys.argv[1:] if Path(sys.argv[0]).name == "updater" else []
    command = f"sudo -u {shlex.quote(owner)} updater {shlex.join(words) or '...'}"
    if os.geteuid() == 0:
        console.warn(
            f"{site.path} belongs to {owner}, and this runs as root: what is written to {site.directory.name} "
            f"will belong to root, and the commands in {site.config_path.name} run as root.\n"
            f"         Better: {command}"
        )
    elif not os.access(site.directory, os.R_OK | os.W_OK | os.X_OK):
        error = ConfigError if site.directory.is_dir() else StateError
        raise error(f"{site.directory} belongs to the user {owner}.", hint=f"Run `{command}`.")
