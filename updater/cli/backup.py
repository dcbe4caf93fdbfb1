"""``updater backup``: the restore points (standard library only)."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from updater.cli import backup_edited
from updater.cli.amounts import ago, count, moment, size
from updater.cli.console import Console
from updater.cli.exits import Exit
from updater.cli.opening import open_updater
from updater.cli.parser import Verbs
from updater.cli.progress import showing_progress
from updater.cli.update import confirm
from updater.errors import ConfigError
from updater.install.component_changes import describe
from updater.install.overview import PointOverview

__all__ = ["add_verbs"]

_TEXT = """\
Restore points: every update makes one before it changes anything. It holds the code, the database and the record of
the release that was left; `updater rollback ID` goes back to it. [backup] in updater.toml says how many are kept.
"""


def add_verbs(add: Verbs) -> None:
    """Add the verb and its own."""
    verb = add("backup", _help, "list, verify, export and delete restore points; bring edited files back", _TEXT)
    actions = verb.add_subparsers(title="commands", metavar="COMMAND", required=True)
    one = actions.add_parser("list", help="all restore points, newest first")
    one.add_argument("--json", action="store_true", help="print them as JSON")
    one.set_defaults(run=_list)
    one = actions.add_parser("verify", help="read them again, to the last byte, and say what is damaged")
    which = one.add_mutually_exclusive_group()
    which.add_argument(
        "id", nargs="?", metavar="ID", help="its id, or the version it goes back to (default: the newest)"
    )
    which.add_argument("--all", action="store_true", help="all of them")
    one.add_argument("--json", action="store_true", help="print the result as JSON")
    one.set_defaults(run=_verify)
    one = actions.add_parser("export", help="write one to a zip that holds everything needed to go back to it")
    one.add_argument("id", metavar="ID", help="its id, or the version it goes back to")
    one.add_argument("file", metavar="FILE", help="the zip to write; must not exist")
    one.add_argument("--json", action="store_true", help="print the result as JSON")
    one.set_defaults(run=_export)
    one = actions.add_parser("delete", help="remove one (never the last good one)")
    one.add_argument("id", metavar="ID", help="its id, or the version it goes back to")
    one.add_argument("--yes", action="store_true", help="ask nothing; needed without a terminal")
    one.add_argument("--json", action="store_true", help="print the result as JSON")
    one.set_defaults(run=_delete)
    backup_edited.add_actions(actions)


def _help(args: argparse.Namespace, console: Console) -> Exit:  # noqa: ARG001 - the interface of a verb
    raise ConfigError(
        "`backup` needs a command.", hint="list, verify, export, delete or edited; see `updater backup --help`."
    )


def _list(args: argparse.Namespace, console: Console) -> Exit:
    found = open_updater(args, console).describe_restore_points()
    now = datetime.now(UTC)
    if console.json:
        listed = [_json(point, now) for point in found.points]
        console.document({"schema": "1.0", "restore_points": listed, "unreadable": list(found.unreadable)})
        return Exit.DONE
    for point in found.points:
        console.show(_line(point, now))
        for problem in point.problems[: None if console.level > 0 else 3]:
            console.show(f"  DAMAGED: {problem}", "red")
    for name in found.unreadable:
        console.show(f"{name}  DAMAGED: its record cannot be read", "red")
    if not found.points and not found.unreadable:
        console.say("There is no restore point yet: every update makes one before it changes anything.")
    return Exit.DONE


def _verify(args: argparse.Namespace, console: Console) -> Exit:
    with showing_progress(console) as report:
        updater = open_updater(args, console, report)
        newest = next((point.id for point in updater.restore_points()), None)
        found = updater.verify_restore_points(None if args.all or newest is None else args.id or newest)
    damaged = {name: problems for name, problems in found.items() if problems}
    if console.json:
        points = [{"id": name, "ok": not problems, "problems": list(problems)} for name, problems in found.items()]
        console.document({"schema": "1.0", "ok": not damaged, "restore_points": points})
    else:
        for name, problems in found.items():
            console.show(f"{name}  {'DAMAGED' if problems else 'good'}", "red" if problems else "")
            for problem in problems:
                console.show(f"  {problem}")
        if not found:
            console.say("There is no restore point yet: every update makes one before it changes anything.")
        elif damaged:
            console.say("Do not count on what is damaged: take another restore point, or an exported one.", "bold")
        else:
            console.say(f"{count(len(found), 'restore point')} read again: everything is what was saved.", "green")
    return Exit.VERIFICATION if damaged else Exit.DONE


def _export(args: argparse.Namespace, console: Console) -> Exit:
    path = Path(args.file)
    updater = open_updater(args, console)
    point = updater.export_restore_point(args.id, path)
    if console.json:
        shown = next(found for found in updater.describe_restore_points().points if found.point.id == point.id)
        told = {"file": str(path.absolute()), "size": path.stat().st_size}
        restore_point = _json(shown, datetime.now(UTC))
        console.document({"schema": "1.0", "result": "done", "restore_point": restore_point, **told})
    console.say(f"{path} ({size(path.stat().st_size)}) holds everything to go back to {point.version}:", "green")
    console.say(f"`updater rollback {path}`. It contains your site's data: keep it as safe as the site.")
    return Exit.DONE


def _delete(args: argparse.Namespace, console: Console) -> Exit:
    updater = open_updater(args, console)
    now = datetime.now(UTC)
    points = updater.describe_restore_points().points
    shown = next((found for found in points if args.id in (found.point.id, found.point.version)), None)
    result = "declined"
    if confirm(f"Delete the restore point {_line(shown, now) if shown else args.id}?", console, yes=args.yes):
        point = updater.delete_restore_point(shown.point.id if shown is not None else args.id)
        result = "done"
        console.say(f"Deleted {point.id}.")
    else:
        console.say("Nothing was changed.")
    if console.json:
        told = None if shown is None else _json(shown, now)
        console.document({"schema": "1.0", "result": result, "restore_point": told})
    return Exit.DONE


def _line(found: PointOverview, now: datetime) -> str:
    point = found.point
    when = f"{moment(point.created)} ({ago((now - point.created).total_seconds())})"
    followed = describe(point.components) if point.components else point.replaced_by or "an update"
    way = f"{point.version or 'nothing'} (before {followed})"
    what = [count(found.files, "file"), _database(found)]
    if found.edited:
        what.append(count(found.edited, "edited file"))
    taken = size(found.disk.size)
    if found.disk.used != found.disk.size:
        taken += f" ({size(found.disk.used)} on disk)"
    return f"{point.id}  {when}  {way}  {', '.join(what)}  {taken}"


def _database(found: PointOverview) -> str:
    if found.database_kind is None:
        return "no database"
    if found.point.database is not None and found.point.database.get("absent"):
        return f"{found.database_kind} (there was none yet)"
    return f"{found.database_kind} {size(found.database_size or 0)}"


def _json(found: PointOverview, now: datetime) -> dict[str, object]:
    point = found.point
    return {
        "id": point.id,
        "created": point.created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "age_seconds": int((now - point.created).total_seconds()),
        "version": point.version,
        "replaced_by": point.replaced_by,
        "components": [change.to_json() for change in point.components],
        "layout": point.layout,
        "files": found.files,
        "files_saved": found.saved,
        "edited_files": found.edited,
        "database": found.database_kind,
        "database_size": found.database_size,
        "size": found.disk.size,
        "size_on_disk": found.disk.used,
        "good": not found.problems,
        "problems": list(found.problems),
    }
