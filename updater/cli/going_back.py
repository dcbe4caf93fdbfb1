"""``updater rollback`` and ``updater recover`` (standard library only: they work when nothing else does)."""

from __future__ import annotations

import argparse

from updater.cli.console import Console
from updater.cli.exits import Exit
from updater.cli.opening import add_node_role, open_updater
from updater.cli.parser import Verbs
from updater.cli.progress import showing_progress
from updater.cli.show_plan import show_outcome, show_rollback_plan
from updater.cli.update import confirm, finish, outcome_json

__all__ = ["add_verbs"]

_TEXT = """\
Go back to an earlier release: code and, when the restore point holds a backup of it, the database. What was written to
the database since then is lost; you are told since when, and which tables have more or fewer rows than then, and
asked. A rollback makes a restore point first, so it can be taken back as well.

When the database stays (--keep-database, or the restore point holds none), migrations of releases that are left
forbid it, unless those releases declare that earlier code works with them.
"""


def add_verbs(add: Verbs) -> None:
    """Add the verbs."""
    verb = add("rollback", _rollback, "go back to an earlier release", _TEXT)
    verb.add_argument(
        "target",
        nargs="?",
        metavar="ID|VERSION|ZIP",
        help="a restore point (`updater backup list`) or an exported one (default: the newest)",
    )
    database = verb.add_mutually_exclusive_group()
    database.add_argument(
        "--keep-database",
        action="store_true",
        help="go back with the code alone; refused when that code does not fit the database as it is now",
    )
    database.add_argument(
        "--database-restored",
        action="store_true",
        help="so, and you have brought back a database that fits by other means: nothing is checked",
    )
    add_node_role(verb)
    verb.add_argument("--yes", action="store_true", help="ask nothing; needed without a terminal")
    verb.add_argument("--dry-run", action="store_true", help="show what would happen and stop")
    verb.add_argument("--json", action="store_true", help="print plan and result as JSON")
    verb = add("recover", _recover, "finish or undo an interrupted update, which every other command does as well")
    verb.add_argument("--json", action="store_true", help="print the result as JSON")


def _rollback(args: argparse.Namespace, console: Console) -> Exit:
    with showing_progress(console) as report:
        updater = open_updater(args, console, report)
        how = {"keep_database": args.keep_database, "database_restored": args.database_restored}
        plan = updater.plan_rollback(args.target, **how)
        if not console.json:
            show_rollback_plan(plan, console)
        plan.refuse()
        if args.dry_run:
            finish(console, "planned", plan.to_json())
            console.say("Nothing was changed (--dry-run).")
            return Exit.DONE
        if not confirm(f"Roll back to {plan.what} now?", console, yes=args.yes):
            finish(console, "declined", plan.to_json())
            console.say("Nothing was changed.")
            return Exit.DONE
        outcome = updater.rollback(plan.point.id if plan.point else args.target, **how)
    finish(console, "done", plan.to_json(), outcome_json(outcome))
    show_outcome(outcome, console)
    return Exit.DONE


def _recover(args: argparse.Namespace, console: Console) -> Exit:
    with showing_progress(console) as report:
        outcome = open_updater(args, console, report).recover()
    if console.json:
        result = "nothing" if outcome is None else outcome.result
        told = None if outcome is None else outcome_json(outcome)
        console.document({"schema": "1.0", "result": result, "outcome": told})
    elif outcome is None:
        console.say("There is nothing to recover.")
    elif outcome.result == "done":
        console.say(f"The interrupted update was finished: {outcome.to_version} is installed.", "green")
    else:
        back = f"{outcome.from_version} is as it was" if outcome.from_version else "the folder is as it was"
        console.say(f"The interrupted update to {outcome.to_version} was undone: {back}.", "green")
    return Exit.DONE
