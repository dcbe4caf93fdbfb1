"""``updater component``: the plugins and themes of a site."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from updater.cli.console import Console
from updater.cli.exits import Exit
from updater.cli.install import add_trust, confirm_root, read_trust
from updater.cli.opening import open_updater
from updater.cli.parser import Verbs
from updater.cli.progress import showing_progress
from updater.cli.show_plan import show_outcome, show_plan
from updater.cli.update import confirm
from updater.client import Updater
from updater.results import Plan
from updater.site import Site

__all__ = ["add_verbs"]

_TEXT = """\
Plugins and themes with feeds and versions of their own, each in its own folder of the app (docs/components.md).

`updater update` updates all that are installed together with the app, or one alone with --component NAME. Taking one
away removes the files of its release; what the app or you put beside them stays, and so does its data. Each of these is
an update like any other: with a backup, a health check, and a way back.
"""


def add_verbs(add: Verbs) -> None:
    """Add the verbs."""
    verb = add("component", _list, "list, add, enable, disable and remove plugins and themes", _TEXT)
    verb.add_argument("--json", action="store_true", help="print the list as JSON")
    inner = verb.add_subparsers(title="commands", metavar="COMMAND", dest="action")
    for name, run, summary in (
        ("list", _list, "what is installed, and what is disabled (the same as no command)"),
        ("add", _add, "follow a component's feed, and install it"),
        ("enable", _enable, "install one that is disabled, or not there"),
        ("disable", _disable, "take its files away, and remember where its feed is"),
        ("remove", _remove, "take its files away, and follow its feed no longer"),
    ):
        one = inner.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        one.set_defaults(run=run)
        if name == "list":
            one.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print it as JSON")
            continue
        if name == "add":
            one.add_argument("feed_url", metavar="FEED_URL", help="such as https://acme.github.io/dark/stable.json")
            one.add_argument("--directory", metavar="FOLDER", help="below the app's files (default: what it asks for)")
            add_trust(one)
        else:
            one.add_argument("name", metavar="NAME")
        one.add_argument("--yes", action="store_true", help="ask nothing; needed without a terminal")


def _list(args: argparse.Namespace, console: Console) -> Exit:
    updater = open_updater(args, console)
    rows = _rows(updater.site)
    if console.json:
        console.document({"schema": "1.0", "components": rows})
        return Exit.DONE
    width = max(len(str(row["component"])) for row in rows)
    for row in rows:
        version = row["version"] or ("disabled" if not row["enabled"] else "not installed")
        place = f"  {row['directory']}/" if row["directory"] else ""
        lost = "" if row["feed"] else "  (updater.toml does not name its feed)"
        console.show(f"{str(row['component']).ljust(width)}  {version}{place}{lost}")
    return Exit.DONE


def _rows(site: Site) -> list[dict[str, object]]:
    """Each component: what is installed, and where its releases come from."""
    from updater.members import members_of

    return [
        {
            "component": member.name,
            "version": member.installed,
            "directory": member.directory,
            "feed": member.feed_url,
            "enabled": member.enabled,
        }
        for member in members_of(site.state(), site.config(), site.parts())
    ]


def _is_there(updater: Updater, name: str) -> bool:
    parts = updater.site.parts()
    return parts is not None and name in parts.components


def _add(args: argparse.Namespace, console: Console) -> Exit:
    from updater.components import follow_component, forget_component

    with showing_progress(console) as report:
        updater = open_updater(args, console, report)
        followed = follow_component(
            updater,
            args.feed_url,
            directory=args.directory,
            root=read_trust(args, console),
            root_sha256=args.root_sha256,
            confirm_root=lambda fingerprint: confirm_root(args, console, fingerprint),
        )
        name = followed.name
        try:
            _carry_out(lambda: updater.plan(components=[name]), updater, args, console)
        finally:
            if not _is_there(updater, name):
                forget_component(updater.site, name)
    return Exit.DONE


def _enable(args: argparse.Namespace, console: Console) -> Exit:
    return _switch(args, console, enabled=True)


def _disable(args: argparse.Namespace, console: Console) -> Exit:
    return _switch(args, console, enabled=False)


def _switch(args: argparse.Namespace, console: Console, *, enabled: bool) -> Exit:
    from updater.components import set_enabled

    with showing_progress(console) as report:
        updater, name = open_updater(args, console, report), args.name
        before = set_enabled(updater.site, name, enabled=enabled)
        if _is_there(updater, name) == enabled:
            console.say(f"{name} is {'installed' if enabled else 'not installed'} already.")
            return Exit.DONE
        try:
            _carry_out(
                lambda: updater.plan(components=[name]) if enabled else updater.plan_removal(name),
                updater,
                args,
                console,
            )
        finally:
            if _is_there(updater, name) != enabled:
                set_enabled(updater.site, name, enabled=before)
    return Exit.DONE


def _remove(args: argparse.Namespace, console: Console) -> Exit:
    from updater.components import forget_component

    with showing_progress(console) as report:
        updater, name = open_updater(args, console, report), args.name
        followed = name in updater.site.config().components
        if _is_there(updater, name) or not followed:
            _carry_out(lambda: updater.plan_removal(name), updater, args, console)
        if followed and not _is_there(updater, name):
            forget_component(updater.site, name)
            console.say(f"The feed of {name} is followed no longer.")
    return Exit.DONE


def _carry_out(make_plan: Callable[[], Plan], updater: Updater, args: argparse.Namespace, console: Console) -> None:
    """Show the plan, ask, install."""
    plan = make_plan()
    show_plan(plan, console)
    plan.changes.refuse_conflicts("This")
    if not confirm("Go on?", console, yes=args.yes):
        console.say("Nothing was changed.")
        return
    show_outcome(updater.install(plan), console)
