"""``updater install``: make a site."""

from __future__ import annotations

import argparse
from pathlib import Path

from updater.cli.amounts import count
from updater.cli.console import Console
from updater.cli.exits import Exit
from updater.cli.licensing import add_license, read_license_file
from updater.cli.named_files import read_named
from updater.cli.opening import add_from, mirror_transport
from updater.cli.parser import Verbs
from updater.cli.progress import showing_progress
from updater.errors import ConfigError

__all__ = ["add_trust", "add_verbs", "confirm_root", "read_trust"]

_TEXT = """\
Install an app into DIR, which becomes a site.

The feed is signed, and DIR keeps the root of trust against which every later update is checked. The first one
comes best from the app's maintainer, by another way than the feed: --root FILE or --root-sha256 HEX. Without
either, what the server offers now is trusted (as ssh does with a new host): its fingerprint is shown, and you are
asked. Where nobody can be asked, that needs --yes.
"""
_LARGEST_ROOT = 512_000  # bytes


def add_verbs(add: Verbs) -> None:
    """Add the verb."""
    verb = add("install", _install, "make a site: install an app for the first time", _TEXT)
    verb.add_argument("feed_url", metavar="FEED_URL", help="for example https://acme.github.io/shop/stable.json")
    verb.add_argument("directory", metavar="DIR", help="the site's folder, new, empty, or with your updater.toml in it")
    add_trust(verb)
    add_from(verb)
    add_license(verb)
    verb.add_argument("--version", dest="release", metavar="V", help="install this version (default: the newest)")
    verb.add_argument("--layout", choices=("in-place", "slots"), default="in-place", help="(default: in-place)")
    verb.add_argument("--yes", action="store_true", help="trust on first use without a question")
    verb.add_argument("--json", action="store_true", help="print the result as JSON")


def add_trust(verb: argparse.ArgumentParser) -> None:
    """Who vouches for the root of trust."""
    trust = verb.add_mutually_exclusive_group()
    trust.add_argument("--root", metavar="FILE", help="the root of trust (root.json) that the maintainer gave you")
    trust.add_argument("--root-sha256", metavar="HEX", help="its SHA-256 fingerprint")


def read_trust(args: argparse.Namespace, console: Console, *, vouched: bool = False) -> bytes | None:
    """The root of ``--root``. Raises ConfigError when nobody vouches, and there is nobody to ask either."""
    root = None
    if args.root is not None:
        hint = "--root names the root.json that the maintainer gave you, a few kilobytes."
        root = read_named(args.root, "a root of trust", most=_LARGEST_ROOT, hint=hint)
    vouched = vouched or root is not None or args.root_sha256 is not None
    if not vouched and not args.yes and not console.interactive:
        raise ConfigError(
            "Nobody vouches for the root of trust, and there is no terminal to ask on.",
            hint="Give --root FILE or --root-sha256 HEX (from the app's maintainer), or --yes to trust the server now.",
        )
    return root


def confirm_root(args: argparse.Namespace, console: Console, fingerprint: str) -> bool:
    """Show it, and ask unless --yes was given."""
    console.note(f"Nobody vouches for the root of trust of {args.feed_url}. Its fingerprint is:")
    console.note(f"  {fingerprint}", "bold")
    if args.yes:
        console.note("It is trusted now, because of --yes. Compare it with the one its maintainer publishes.")
        return True
    console.note("Compare it with the one that its maintainer publishes in another place.")
    return console.ask("Trust it?")


def _install(args: argparse.Namespace, console: Console) -> Exit:
    root = read_trust(args, console)
    if getattr(args, "site", None) is not None:
        raise ConfigError("`install` takes the site's folder as DIR, not as --site.", hint="Leave --site away.")

    from updater.setup_site import set_up_site

    with showing_progress(console) as report:
        setup = set_up_site(
            args.feed_url,
            Path(args.directory),
            root=root,
            root_sha256=args.root_sha256,
            version=args.release,
            license=None if args.license is None else read_license_file(args.license),
            layout=args.layout,
            report=report,
            confirm_root=lambda fingerprint: confirm_root(args, console, fingerprint),
            transport=mirror_transport(args, args.feed_url),
        )
    state, outcome = setup.site.state(), setup.outcome
    if console.json:
        console.document(
            {
                "schema": "1.0",
                "result": "done",
                "site": str(setup.site.path),
                "app": state.app,
                "version": outcome.to_version,
                "layout": state.layout,
                "root_sha256": setup.fingerprint,
                "trusted_on_first_use": setup.trusted_on_first_use,
                "warnings": list(outcome.warnings),
            }
        )
    console.say(f"{state.app} {outcome.to_version} is installed in {setup.site.path}.", "green")
    if outcome.warnings:
        console.say(f"There were {count(len(outcome.warnings), 'warning')}; see above.")
    console.say(f"Its settings are in {setup.site.config_path}: look at them once.")
    return Exit.DONE
