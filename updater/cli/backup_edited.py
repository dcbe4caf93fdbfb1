"""``updater backup edited``: files that the owner edited and an update replaced (standard library only)."""

from __future__ import annotations

import argparse
import difflib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from updater.cli.amounts import ago, moment, size
from updater.cli.console import Console
from updater.cli.exits import Exit
from updater.cli.opening import open_updater
from updater.cli.update import confirm
from updater.client import Updater
from updater.errors import StateError
from updater.install.edited import EditedFile, find_edited, place_of
from updater.site.reading import read_file

__all__ = ["add_actions"]

_LARGEST_SHOWN = 2**20  # bytes of a file that a comparison shows
_TEXT = """\
Files of the release that you had edited when an update replaced them. A copy of each is kept, also when its restore
point is gone. Without a command: list them, newest first.
"""


def add_actions(actions: Any) -> None:
    """Add ``edited`` and its own commands to those of ``backup``."""
    edited = actions.add_parser(
        "edited",
        help="list your edited files that an update replaced, compare them, and bring them back",
        description=_TEXT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    edited.add_argument("--json", action="store_true", help="print them as JSON")
    edited.set_defaults(run=_list)
    more = edited.add_subparsers(title="commands", metavar="COMMAND")
    one = more.add_parser("diff", help="show how your copy differs from the file that lies there now")
    _add_which(one)
    one.set_defaults(run=_diff)
    one = more.add_parser("restore", help="write one back; what lies there now is kept aside")
    _add_which(one)
    one.add_argument("--to", metavar="FILE", help="write it to this file instead, which must not exist")
    one.add_argument("--yes", action="store_true", help="ask nothing; needed without a terminal")
    one.set_defaults(run=_restore)


def _add_which(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", help="as the list shows it")
    parser.add_argument(
        "--from", dest="point", metavar="ID", help="the copy of this restore point (default: the newest)"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def _list(args: argparse.Namespace, console: Console) -> Exit:
    found = open_updater(args, console).edited_files()
    if console.json:
        console.document({"schema": "1.0", "edited_files": [_json(file) for file in found]})
        return Exit.DONE
    now = datetime.now(UTC)
    for file in found:
        note = "  written while an update failed" if file.during_update else ""
        when = f"{moment(file.kept)} ({ago((now - file.kept).total_seconds())})"
        console.show(f"{file.restore_point}  {when}  {file.path}  {size(file.size)}{note}")
    if not found:
        console.say("No update has replaced a file that you had edited.")
    return Exit.DONE


def _diff(args: argparse.Namespace, console: Console) -> Exit:
    updater = open_updater(args, console)
    file = find_edited(updater.site, args.path, args.point)
    target = _place(updater, file)
    now, kept = _text(target), _text(file.copy)
    lines = list(difflib.unified_diff(now, kept, f"now {file.path}", f"kept {file.path}", lineterm=""))
    if console.json:
        console.document({"schema": "1.0", "edited_file": _json(file), "differs": bool(lines), "diff": lines})
        return Exit.DONE
    for line in lines:
        console.show(line)
    if not lines:
        console.say("There is no difference.")
    return Exit.DONE


def _restore(args: argparse.Namespace, console: Console) -> Exit:
    updater = open_updater(args, console)
    file = find_edited(updater.site, args.path, args.point)
    to = Path(args.to).absolute() if args.to is not None else None
    target = to or _place(updater, file)
    question = f"Write your copy of {file.path} of {moment(file.kept)} to {target}?"
    if to is None and target.exists():
        question = f"Replace {target} by your copy of {moment(file.kept)}? What lies there now is kept aside."
    if not confirm(question, console, yes=args.yes):
        console.say("Nothing was changed.")
        if console.json:
            console.document({"schema": "1.0", "result": "declined", "edited_file": _json(file)})
        return Exit.DONE
    done = updater.restore_edited_file(file, to)
    if console.json:
        aside = None if done.aside is None else _json(done.aside)
        told = {"target": str(done.target), "kept_aside": aside}
        console.document({"schema": "1.0", "result": "done", "edited_file": _json(file), **told})
    console.say(f"{done.target} is your copy of {moment(file.kept)}.", "green")
    if done.aside is not None:
        back = f"updater backup edited restore {done.aside.path} --from {done.aside.restore_point}"
        console.say(f"What lay there before is kept: `{back}` brings it back.")
    if to is None:
        console.say("[policy] edited in updater.toml decides what the next update does with it.")
    return Exit.DONE


def _place(updater: Updater, file: EditedFile) -> Path:
    return place_of(updater.site, updater.site.state().layout, file.path)


def _text(path: Path) -> list[str]:
    """The lines of a file; a file that is not there has none. Raises StateError for what cannot be shown."""
    if path.is_symlink():
        return [f"-> {path.readlink()}"]
    try:
        return read_file(path, most=_LARGEST_SHOWN).decode("utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(
            f"{path} cannot be shown as text: {error}", hint="Write it elsewhere to look at it: restore PATH --to FILE."
        ) from error


def _json(file: EditedFile) -> dict[str, object]:
    return {
        "path": file.path,
        "restore_point": file.restore_point,
        "kept": file.kept.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "during_update": file.during_update,
        "size": file.size,
        "copy": str(file.copy),
    }
