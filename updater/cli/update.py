"""``updater update``: show the plan, ask, carry it out."""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from updater.cli.console import Console
from updater.cli.exits import Exit
from updater.cli.opening import add_from, add_node_role, open_site, open_updater
from updater.cli.parser import Verbs
from updater.cli.progress import showing_progress
from updater.cli.show_plan import show_outcome, show_plan, show_sources
from updater.cli.show_rehearsal import show_rehearsal
from updater.errors import BlockedError, ConfigError, UpToDateError

if TYPE_CHECKING:
    from updater.client import Updater
    from updater.reporting import Moment
    from updater.results import Plan

__all__ = ["add_verbs", "confirm", "finish", "outcome_json"]

_TEXT = """\
Install the newest release that this site can go to, or the one of --to: download, verify, back up, install, migrate,
check the app's health; undo all of it when any step fails.

--yes says that nobody is watching: no question is asked, rollout schedules are obeyed (--to takes a release before its
turn), and a stale feed is refused unless --allow-stale is given.

--auto is for cron and timers: it is --yes, and installs only what [policy] of updater.toml lets install itself, when it
lets it. When that is nothing now, it says why and ends with 0.

A site with plugins and themes updates all that is installed, together or not at all (docs/components.md); --component
names one or more of them.

--rehearse ends with 0 when the update would work and with 1 when it would fail; nothing of the site is changed.
"""


def add_verbs(add: Verbs) -> None:
    """Add the verb."""
    verb = add("update", _update, "install an update", _TEXT)
    verb.add_argument("--to", metavar="V", help="this version (default: the newest that this site can go to)")
    verb.add_argument(
        "--downgrade",
        action="store_true",
        help="let --to name an older version; the database stays as it is",
    )
    only = verb.add_mutually_exclusive_group()
    only.add_argument("--dry-run", action="store_true", help="show the plan and stop")
    only.add_argument(
        "--rehearse",
        action="store_true",
        help="run the release's commands and the check on a copy of files and database, say how that went, and stop",
    )
    only.add_argument("--auto", action="store_true", help="install what the owner's policy lets install itself now")
    verb.add_argument(
        "--component",
        dest="components",
        action="append",
        default=[],
        metavar="NAME",
        help="update only this one (core is the app itself); repeatable (default: all that are installed)",
    )
    add_from(verb)
    add_node_role(verb)
    verb.add_argument("--yes", action="store_true", help="ask nothing; needed without a terminal")
    verb.add_argument("--allow-stale", action="store_true", help="install even if the feed may be out of date")
    verb.add_argument("--json", action="store_true", help="print plan and result as JSON")


def confirm(question: str, console: Console, *, yes: bool) -> bool:
    """Ask, unless --yes was given. Raises ConfigError when there is nobody to ask."""
    if yes:
        return True
    if not console.interactive:
        raise ConfigError(
            "There is no terminal to ask for your consent on; nothing was changed.",
            hint="Run it again with --yes, or with --dry-run to see what it would do.",
        )
    return console.ask(question)


def outcome_json(outcome: Any) -> dict[str, Any]:
    """How it ended, for ``--json``."""
    return asdict(outcome)


def _update(args: argparse.Namespace, console: Console) -> Exit:
    url = open_site(args).config().report.ping if args.auto else ""
    if not url:
        return _update_now(args, console)
    from updater.reporting import ping

    def tell(moment: Moment, said: str = "") -> None:
        if failed := ping(url, moment, said):
            console.warn(failed)

    tell("start")
    try:
        code = _update_now(args, console)
    except Exception as error:
        tell("fail", str(error))
        raise
    tell("success" if code is Exit.DONE else "fail", code.meaning)
    return code


def _update_now(args: argparse.Namespace, console: Console) -> Exit:
    with showing_progress(console) as report:
        updater = open_updater(args, console, report)
        plan = _plan(args, updater, console)
        if plan is None:
            return Exit.DONE
        if not console.json:
            show_plan(plan, console)
        if args.dry_run:
            for part in plan.parts:
                show_sources(part, console)
            finish(console, "planned", plan.to_json())
            console.say("Nothing was changed (--dry-run).")
            return Exit.DONE
        plan.changes.refuse_conflicts(f"The update to {plan.what}")
        if args.rehearse:
            return _rehearse(updater, plan, console)
        way = " then ".join((f"{plan.what},", *plan.further)) if plan.further else plan.what
        question = f"Update to {way} now?"
        if plan.freshness.state == "stale":
            console.warn(f"The {plan.freshness}.")
            question = f"Update to {plan.what} from a stale feed? There may be something newer."
        if not confirm(question, console, yes=args.yes or args.auto):
            finish(console, "declined", plan.to_json())
            console.say("Nothing was changed.")
            return Exit.DONE
        outcome = updater.install(plan)
    if plan.further:
        show_outcome(outcome, console)
        return _go_on(args)
    finish(console, "done", plan.to_json(), outcome_json(outcome))
    show_outcome(outcome, console)
    return Exit.DONE


def _go_on(args: argparse.Namespace) -> Exit:
    """The rest of the way, in a new process: the release just installed may have brought another updater along."""
    words = [sys.executable, "-m", "updater", "update", "--yes"]
    given = (
        ("--site", getattr(args, "site", None)),
        ("--to", args.to),
        ("--from", args.mirror),
        ("--node-role", args.node_role),
    )
    words += [word for option, value in given if value is not None for word in (option, value)]
    words += [word for name in args.components for word in ("--component", name)]
    flags = (("--quiet", "quiet"), ("--verbose", "verbose"), ("--json", "json"), ("--allow-stale", "allow_stale"))
    words += [option for option, name in flags if getattr(args, name, False)]
    words = [word for word in words if not args.auto or word != "--yes"] + (["--auto"] if args.auto else [])
    return Exit(subprocess.call(words))


def _plan(args: argparse.Namespace, updater: Updater, console: Console) -> Plan | None:
    """The plan; None when there is nothing to do, which was said."""
    automatic = (args.yes or args.auto) and not args.allow_stale and not args.rehearse
    if args.downgrade and (args.to is None or args.auto):
        raise ConfigError(
            "--downgrade needs --to VERSION, and does not go with --auto.",
            hint="`updater rollback` goes back to a restore point, with its database.",
        )
    try:
        return updater.plan(
            args.to,
            automatic=automatic,
            unattended=args.auto,
            downgrade=args.downgrade,
            components=args.components,
        )
    except BlockedError as error:
        why, result = error, "up-to-date" if isinstance(error, UpToDateError) else "not-now"
        if result == "not-now" and not (args.auto and error.reasons):
            raise
    if console.json:
        console.document({"schema": "1.0", "result": result, "reasons": list(why.reasons)})
    else:
        console.show("\n".join(why.reasons) or str(why))
    return None


def _rehearse(updater: Updater, plan: Plan, console: Console) -> Exit:
    report = updater.rehearse(plan)
    if console.json:
        told = {"schema": "1.0", "result": "rehearsed", "plan": plan.to_json(), "rehearsal": report.to_json()}
        console.document(told)
    else:
        show_rehearsal(report, console)
    return Exit.DONE if report.ok else Exit.FAILED


def finish(console: Console, result: str, plan: dict[str, Any], outcome: dict[str, Any] | None = None) -> None:
    """With ``--json``: the one document that says how an update or a rollback ended."""
    if console.json:
        console.document({"schema": "1.0", "result": result, "plan": plan, "outcome": outcome})
