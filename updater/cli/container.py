"""``updater container``: apps that run as containers (standard library only)."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from updater.cli.console import Console
from updater.cli.exits import Exit
from updater.cli.install import add_trust, confirm_root, read_trust
from updater.cli.opening import open_updater
from updater.cli.parser import Verbs
from updater.cli.progress import showing_progress
from updater.cli.show_plan import BACKUPS
from updater.cli.update import confirm
from updater.errors import BlockedError, ConfigError, UpToDateError
from updater.events import Reporter, ignore_events

if TYPE_CHECKING:
    from updater.containers import ContainerPlan, Containers, ContainerSite

__all__ = ["add_verbs"]

_TEXT = """\
An app whose releases are images: `docker compose`, `podman compose` or a Kubernetes deployment runs them, and an update
pins another image by its digest, backs the database up, waits until the app is healthy, or goes all the way back.

Run it on the machine that starts the containers: what is inside of one cannot replace itself. docs/containers.md
"""


def add_verbs(add: Verbs) -> None:
    """Add the verbs."""
    verb = add("container", _status, "update an app that runs as containers", _TEXT)
    verb.add_argument("--json", action="store_true", help="print what runs as JSON")
    inner = verb.add_subparsers(title="commands", metavar="COMMAND", dest="action")

    def command(name: str, run: object, summary: str) -> argparse.ArgumentParser:
        one: argparse.ArgumentParser = inner.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        one.set_defaults(run=run)
        one.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print it as JSON")
        return one

    command("status", _status, "what runs, and the way back (the same as no command)")
    one = command("adopt", _adopt, "make a site of containers that run already; nothing is started or changed")
    one.add_argument("feed_url", metavar="FEED_URL", help="such as https://acme.github.io/shop/stable.json")
    one.add_argument("directory", metavar="DIR", help="the folder of the compose file")
    one.add_argument("--tool", choices=("docker", "podman", "kubernetes"), default="docker", help="(default: docker)")
    one.add_argument("--file", default="compose.yaml", help="the compose file in DIR (default: compose.yaml)")
    one.add_argument("--pin", default="compose.override.yaml", help="where the image is pinned, beside it")
    one.add_argument(
        "--service", dest="services", action="append", default=[], metavar="NAME", help="runs the image; repeatable"
    )
    one.add_argument("--namespace", default="default", help="Kubernetes: (default: default)")
    one.add_argument("--deployment", default="", metavar="NAME", help="Kubernetes: the deployment")
    one.add_argument("--container", default="", metavar="NAME", help="Kubernetes: its container that runs the image")
    one.add_argument(
        "--version", dest="release", metavar="V", help="the version that runs (default: told by the image)"
    )
    add_trust(one)
    one.add_argument("--yes", action="store_true", help="trust on first use without a question")
    one = command("update", _update, "pin and run the image of the newest release that this site can go to")
    one.add_argument("--to", metavar="V", help="this version")
    only = one.add_mutually_exclusive_group()
    only.add_argument("--print", dest="only_print", action="store_true", help="print the commands, run none")
    only.add_argument("--auto", action="store_true", help="only what the owner's policy lets install itself now")
    one.add_argument("--allow-stale", action="store_true", help="even if the feed may be out of date")
    one.add_argument("--yes", action="store_true", help="ask nothing; needed without a terminal")
    one = command("rollback", _rollback, "run the image before again, on the database of that time")
    one.add_argument("--keep-database", action="store_true", help="leave the database as it is")
    one.add_argument("--yes", action="store_true", help="ask nothing; needed without a terminal")
    command("recover", _recover, "undo what a killed update had begun")


def _open(args: argparse.Namespace, console: Console, report: Reporter = ignore_events) -> ContainerSite:
    from updater.containers import ContainerSite

    updater = open_updater(args, console, report)
    return ContainerSite(updater.site, updater.transport(), report)


def _status(args: argparse.Namespace, console: Console) -> Exit:
    found = _open(args, console).containers()
    if console.json:
        console.document({"schema": "1.0", **found.to_json()})
        return Exit.DONE
    console.show(f"{found.current.version}  {found.current.image}")
    if found.previous is not None:
        kept = " with its database" if found.previous.backup else ""
        console.show(f"way back: {found.previous.version}{kept}  {found.previous.image}")
    if found.pending is not None:
        console.warn(f"A change to {found.pending.version} was interrupted: `updater container recover` undoes it.")
    return Exit.DONE


def _adopt(args: argparse.Namespace, console: Console) -> Exit:
    from updater.containers import adopt
    from updater.credentials import read_credentials
    from updater.schema.container_config import ContainerConfig
    from updater.transport import HTTPTransport

    if (args.tool == "kubernetes") == bool(args.services):
        raise ConfigError(
            "Which containers run the app?",
            hint="Name them: --service NAME of the compose file, or --tool kubernetes --deployment and --container.",
        )
    container = ContainerConfig(
        tool=args.tool,
        file=args.file,
        pin=args.pin,
        services=tuple(args.services),
        namespace=args.namespace,
        deployment=args.deployment,
        container=args.container,
    )
    directory = Path(args.directory).absolute()
    transport = HTTPTransport(headers_for=read_credentials(directory / ".updater", {}).headers_for)
    found = adopt(
        args.feed_url,
        directory,
        container,
        transport,
        version=args.release,
        root=read_trust(args, console),
        root_sha256=args.root_sha256,
        confirm_root=lambda fingerprint: confirm_root(args, console, fingerprint),
    )
    if console.json:
        console.document({"schema": "1.0", **found.to_json()})
        return Exit.DONE
    console.say(f"{directory} is a site now: {found.current.version} runs, nothing was changed.", "green")
    console.say("Look at updater.toml there: [health] tells whether the app is well, [database] what is backed up.")
    return Exit.DONE


def _update(args: argparse.Namespace, console: Console) -> Exit:
    with showing_progress(console) as report:
        site = _open(args, console, report)
        nobody = (args.yes or args.auto) and not args.allow_stale
        try:
            plan = site.plan(args.to, automatic=nobody, unattended=args.auto)
        except BlockedError as error:
            if not isinstance(error, UpToDateError) and not (args.auto and error.reasons):
                raise
            if console.json:
                result = "up-to-date" if isinstance(error, UpToDateError) else "not-now"
                console.document({"schema": "1.0", "result": result, "reasons": list(error.reasons)})
            else:
                console.show("\n".join(error.reasons) or str(error))
            return Exit.DONE
        if args.only_print:
            return _print(plan, console)
        _show(plan, console)
        if plan.freshness is not None and plan.freshness.state == "stale":
            console.warn(f"The {plan.freshness}.")
        code = _carry_out(site, plan, f"Update to {plan.target.version} now?", args, console)
    return code if code is not None else _go_on(args) if plan.further else Exit.DONE


def _print(plan: ContainerPlan, console: Console) -> Exit:
    if console.json:
        console.document({"schema": "1.0", "result": "planned", "plan": plan.to_json()})
    else:
        console.show("\n".join(plan.commands))
    return Exit.DONE


def _go_on(args: argparse.Namespace) -> Exit:
    """The rest of the way, past a release that none may jump over."""
    words = [sys.executable, "-m", "updater", "container", "update", "--auto" if args.auto else "--yes"]
    given = (("--site", getattr(args, "site", None)), ("--to", args.to))
    words += [word for option, value in given if value is not None for word in (option, value)]
    words += [option for option, on in (("--allow-stale", args.allow_stale), ("--json", args.json)) if on]
    return Exit(subprocess.call(words))


def _rollback(args: argparse.Namespace, console: Console) -> Exit:
    with showing_progress(console) as report:
        site = _open(args, console, report)
        plan = site.plan_rollback(keep_database=args.keep_database)
        _show(plan, console)
        if plan.restore:
            console.warn("The database goes back with it: what was written since is lost.")
        elif plan.database != "none":
            console.warn("The database stays as it is: does that release work on it?")
        return _carry_out(site, plan, f"Go back to {plan.target.version} now?", args, console) or Exit.DONE


def _recover(args: argparse.Namespace, console: Console) -> Exit:
    with showing_progress(console) as report:
        site = _open(args, console, report)
        undone = site.recover()
    if console.json:
        console.document({"schema": "1.0", "result": "recovered" if undone else "nothing-to-do"})
    else:
        running = site.containers().current.version
        console.say(f"{running} runs again." if undone else "There is nothing to recover.")
    return Exit.DONE


def _show(plan: ContainerPlan, console: Console) -> None:
    console.say(f"{plan.current.version} -> {plan.target.version}", "bold")
    console.say(f"  image       {plan.target.image}")
    console.say(f"  database    {BACKUPS.get(plan.database, plan.database)}")
    if plan.release is not None and plan.release.critical:
        console.say("  critical    its maintainer says so", "yellow")
    if plan.further:
        console.say(f"  then        {', '.join(plan.further)}, each by an update of its own")
    for command in plan.commands if console.level > 0 else ():
        console.say(f"  command     {command}")
    for reason in plan.reasons if console.level > 0 else ():
        console.say(f"  reason      {reason}")


def _carry_out(
    site: ContainerSite, plan: ContainerPlan, question: str, args: argparse.Namespace, console: Console
) -> Exit | None:
    """None when it was done and said; otherwise the exit code."""
    if not confirm(question, console, yes=args.yes or getattr(args, "auto", False)):
        console.say("Nothing was changed.")
        return Exit.DONE
    done: Containers = site.carry_out(plan)
    if console.json and not plan.further:
        console.document({"schema": "1.0", "result": "done", "plan": plan.to_json(), "outcome": done.to_json()})
    console.say(f"Done: {done.current.version} runs.", "green")
    if plan.purpose == "update":
        console.say("The way back: `updater container rollback`")
    return None
