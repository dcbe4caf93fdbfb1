"""``updater update``: show the plan, ask, carry it out."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from updater.cli.console import Console
from updater.cli.exits import Exit
from updater.cli.opening import open_updater
from updater.cli.parser import Verbs
from updater.cli.progress import showing_progress
from updater.cli.show_plan import show_outcome, show_plan, show_sources
from updater.cli.show_rehearsal import show_rehearsal
from updater.errors import ConfigError, UpToDateError

if TYPE_CHECKING:
    from updater.client import Updater
    from updater.results import Plan

__all__ = ["add_verbs", "confirm", "finish", "outcome_json"]

_TEXT = """\
Install the newest release that this site can go to, or the one of --to: download, verify, back up, install, migrate,
check the app's health; undo all of it when any step fails.

--yes says that nobody is watching: no question is asked, rollout schedules are obeyed (--to takes a release before its
turn), and a stale feed is refused unless --allow-stale is given.

--rehearse ends with 0 when the update would work and with 1 when it would fail; nothing of the site is changed.
"""


def add_verbs(add: Verbs) -> None:
    """Add the verb."""
    verb = add("update", _update, "install an update", _TEXT)
    verb.add_argument("--to", metavar="V", help="this version (default: the newest that this site can go to)")
    only = verb.add_mutually_exclusive_group()
    only.add_argument("--dry-run", action="store_true", help="show the plan and stop")
    only.add_argument(
        "--rehearse",
        action="store_true",
        help="run the release's commands and the check on a copy of files and database, say how that went, and stop",
    )
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
    with showing_progress(console) as report:
        updater = open_updater(args, console, report)
        try:
            automatic = args.yes and not args.allow_stale and not args.rehearse
            plan = updater.plan(args.to, automatic=automatic)
        except UpToDateError as nothing:
            console.document({"schema": "1.0", "result": "up-to-date", "reasons": list(nothing.reasons)}) if (
                console.json
            ) else console.show("\n".join(nothing.reasons) or str(nothing))
            return Exit.DONE
        if not console.json:
            show_plan(plan, console)
        if args.dry_run:
            show_sources(plan.sources, console)
            finish(console, "planned", plan.to_json())
            console.say("Nothing was changed (--dry-run).")
            return Exit.DONE
        plan.changes.refuse_conflicts(f"The update to {plan.to_version}")
        if args.rehearse:
            return _rehearse(updater, plan, console)
        question = f"Update to {plan.to_version} now?"
        if plan.freshness.state == "stale":
            console.warn(f"The {plan.freshness}.")
            question = f"Update to {plan.to_version} from a stale feed? There may be something newer."
        if not confirm(question, console, yes=args.yes):
            finish(console, "declined", plan.to_json())
            console.say("Nothing was changed.")
            return Exit.DONE
        outcome = updater.install(plan)
    finish(console, "done", plan.to_json(), outcome_json(outcome))
    show_outcome(outcome, console)
    return Exit.DONE


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
