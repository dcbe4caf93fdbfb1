"""``updater backup``: the restore points (standard library only)."""

from __future__ import annotations

import argparse
from pathlib import Path

from updater.cli.amounts import moment, size
from updater.cli.console import Console
from updater.cli.exits import Exit
from updater.cli.opening import open_updater
from updater.cli.parser import Verbs
from updater.cli.update import confirm
from updater.errors import ConfigError
from updater.install.restore_points import RestorePoint

__all__ = ["add_verbs"]


def add_verbs(add: Verbs) -> None:
    """Add the verb and its own."""
    verb = add("backup", _help, "list, export and delete restore points")
    actions = verb.add_subparsers(title="commands", metavar="COMMAND", required=True)
    one = actions.add_parser("list", help="all restore points, newest first")
    one.add_argument("--json", action="store_true", help="print them as JSON")
    one.set_defaults(run=_list)
    one = actions.add_parser("export", help="write one to a zip that holds everything needed to go back to it")
    one.add_argument("id", metavar="ID", help="its id, or the version it goes back to")
    one.add_argument("file", metavar="FILE", help="the zip to write; must not exist")
    one.add_argument("--json", action="store_true", help="print the result as JSON")
    one.set_defaults(run=_export)
    one = actions.add_parser("delete", help="remove one (never the only one)")
    one.add_argument("id", metavar="ID", help="its id, or the version it goes back to")
    one.add_argument("--yes", action="store_true", help="ask nothing; needed without a terminal")
    one.add_argument("--json", action="store_true", help="print the result as JSON")
    one.set_defaults(run=_delete)


def _help(args: argparse.Namespace, console: Console) -> Exit:  # noqa: ARG001 - the interface of a verb
    raise ConfigError("`backup` needs a command.", hint="list, export or delete; see `updater backup --help`.")


def _list(args: argparse.Namespace, console: Console) -> Exit:
    points = open_updater(args, console).restore_points()
    if console.json:
        console.document({"schema": "1.0", "restore_points": [_json(point) for point in points]})
        return Exit.DONE
    for point in points:
        console.show(_line(point))
    if not points:
        console.say("There is no restore point yet: every update makes one before it changes anything.")
    return Exit.DONE


def _export(args: argparse.Namespace, console: Console) -> Exit:
    path = Path(args.file)
    point = open_updater(args, console).export_restore_point(args.id, path)
    if console.json:
        told = {"file": str(path.absolute()), "size": path.stat().st_size}
        console.document({"schema": "1.0", "result": "done", "restore_point": _json(point), **told})
    console.say(f"{path} ({size(path.stat().st_size)}) holds everything to go back to {point.version}:", "green")
    console.say(f"`updater rollback {path}`. It contains your site's data: keep it as safe as the site.")
    return Exit.DONE


def _delete(args: argparse.Namespace, console: Console) -> Exit:
    updater = open_updater(args, console)
    point = next((point for point in updater.restore_points() if args.id in (point.id, point.version)), None)
    shown = _line(point) if point is not None else args.id
    result = "declined"
    if confirm(f"Delete the restore point {shown}?", console, yes=args.yes):
        point = updater.delete_restore_point(point.id if point is not None else args.id)
        result = "done"
        console.say(f"Deleted {point.id}.")
    else:
        console.say("Nothing was changed.")
    if console.json:
        told = None if point is None else _json(point)
        console.document({"schema": "1.0", "result": result, "restore_point": told})
    return Exit.DONE


def _line(point: RestorePoint) -> str:
    database = str(point.database.get("kind", "database")) if point.database is not None else "no database"
    way = f"{point.version or 'nothing'} (before {point.replaced_by or 'an update'})"
    return f"{point.id}  {moment(point.created)}  {way}  {database}  {size(point.size)}"


def _json(point: RestorePoint) -> dict[str, object]:
    return {
        "id": point.id,
        "created": point.created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "version": point.version,
        "replaced_by": point.replaced_by,
        "layout": point.layout,
        "database": point.database.get("kind") if point.database is not None else None,
        "size": point.size,
    }
