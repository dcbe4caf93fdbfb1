"""``updater mirror``: a verified copy of a feed with its packages, for machines that reach no other."""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path

from updater.cli.amounts import count, size
from updater.cli.console import Console
from updater.cli.exits import Exit
from updater.cli.install import add_trust, confirm_root, read_trust
from updater.cli.parser import Verbs
from updater.cli.progress import showing_progress

__all__ = ["add_verbs"]

_TEXT = """\
Copy the feed and everything that it names into DIR, each file verified. Run again, it fetches only what is new.

DIR can be served by any web server, or carried on a disk to machines without a network: `updater update --from DIR`.
Clients check it like any other server. A mirror must be refreshed before the feed's signature expires (`updater check`
says how fresh a feed is), as the original is.
"""


def add_verbs(add: Verbs) -> None:
    """Add the verb."""
    verb = add("mirror", _mirror, "copy a feed and its packages into a folder, verified", _TEXT)
    verb.add_argument("feed_url", metavar="FEED_URL", help="for example https://acme.github.io/shop/stable.json")
    verb.add_argument("directory", metavar="DIR", help="the folder, new or a mirror already")
    add_trust(verb)
    verb.add_argument(
        "--newest", type=_number, metavar="N", help="packages of the N newest releases only (default: all)"
    )
    verb.add_argument("--prune", action="store_true", help="remove what the feed names no more")
    verb.add_argument("--yes", action="store_true", help="trust on first use without a question")
    verb.add_argument("--json", action="store_true", help="print the result as JSON")


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of releases")
    return int(text)


def _mirror(args: argparse.Namespace, console: Console) -> Exit:
    from updater.credentials import read_credentials
    from updater.mirror import PACKAGES, make_mirror
    from updater.transport import HTTPTransport
    from updater.trust import fingerprint

    directory = Path(args.directory).absolute()
    root = read_trust(args, console, vouched=(directory / "root.json").is_file())
    with showing_progress(console) as report:
        done = make_mirror(
            args.feed_url,
            directory,
            HTTPTransport(headers_for=read_credentials(directory / ".updater", os.environ).headers_for),
            now=datetime.now(UTC),
            root=root,
            root_sha256=args.root_sha256,
            confirm_root=lambda found: confirm_root(args, console, fingerprint(found)),
            newest=args.newest,
            prune=args.prune,
            report=report,
        )
    if console.json:
        told = {"channel": done.channel, "versions": list(done.versions), "fetched": done.fetched}
        console.document({"schema": "1.0", "result": "done", **told, "removed": done.removed})
    else:
        console.show(
            f"{directory} has {count(len(done.versions), 'release')} of {done.app} ({done.channel}), "
            f"{size(done.fetched)} of it new; {count(done.removed, 'file')} removed."
        )
        console.say("From a disk: updater update --from DIR. From a web server, in updater.toml of each site:")
        console.say(f'  [feed] url = "https://SERVER/{done.channel}.json"')
        console.say(f'  [download] mirrors = ["https://SERVER/{PACKAGES}/"]')
    return Exit.DONE
