"""``updater status``, ``history`` and ``verify``: looking, without the network (standard library only)."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from updater.cli.amounts import count
from updater.cli.console import Console
from updater.cli.exits import Exit
from updater.cli.opening import open_updater
from updater.cli.parser import Verbs
from updater.cli.progress import showing_progress
from updater.errors import UpdaterError
from updater.site import Site

__all__ = ["add_verbs"]

_MOST = 20


def add_verbs(add: Verbs) -> None:
    """Add the verbs."""
    verb = add("verify", _verify, "compare every file of the installed release with the disk")
    verb.add_argument("--json", action="store_true", help="print the result as JSON")
    verb = add("history", _history, "what happened to the site, newest last")
    verb.add_argument("--json", action="store_true", help="print it as JSON")
    verb.add_argument("-n", type=_positive, default=None, metavar="N", help="only the last N entries")
    verb = add("status", _status, "what is installed, and how far a running update is")
    verb.add_argument("--json", action="store_true", help="print it as JSON")


def _positive(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def _verify(args: argparse.Namespace, console: Console) -> Exit:
    with showing_progress(console) as report:
        found = open_updater(args, console, report).verify()
    if console.json:
        console.document(found.to_json())
    else:
        most = None if console.level > 0 else _MOST
        _show_paths("missing", found.missing, most, console)
        _show_paths("changed", found.changed, most, console)
        if found.ok:
            console.say(f"All {count(found.checked, 'file')} of {found.version} are as released.", "green")
        else:
            console.show(f"{len(found.missing) + len(found.changed)} of {count(found.checked, 'file')} differ.", "bold")
            console.say("An update or `updater rollback` replaces them; copies of changed files are kept.")
        if found.preserved:
            console.say(f"Not compared, because they belong to the site: {count(len(found.preserved), 'file')}.")
    return Exit.DONE if found.ok else Exit.VERIFICATION


def _show_paths(label: str, paths: Sequence[str], most: int | None, console: Console) -> None:
    for path in paths[:most]:
        console.show(f"{label}  {path}")
    if most is not None and len(paths) > most:
        console.show(f"{label}  and {len(paths) - most} more (-v lists all)")


def _history(args: argparse.Namespace, console: Console) -> Exit:
    entries = open_updater(args, console).history()
    entries = entries[-args.n :] if args.n is not None else entries
    if console.json:
        console.document({"schema": "1.0", "entries": list(entries)})
        return Exit.DONE
    for entry in entries:
        console.show(_entry_line(entry))
        for warning in _texts(entry.get("warnings")):
            console.show(f"  warning: {warning}")
        if entry.get("reason"):
            console.show(f"  reason: {entry['reason']}")
    if not entries:
        console.say("Nothing has happened yet.")
    return Exit.DONE


def _entry_line(entry: Mapping[str, Any]) -> str:
    at, event = entry.get("at", "?"), str(entry.get("event", "?"))
    if event == "check":
        found = [str(entry["available"])] if entry.get("available") else []
        others = entry.get("components")
        found += (
            [f"{name} {version}" for name, version in others.items() if version] if isinstance(others, dict) else []
        )
        text = f"{', '.join(found)} available" if found else "nothing newer"
        feed = entry.get("feed")
        return f"{at}  {event:9} {text}" + (f" (feed {feed})" if feed and feed != "fresh" else "")
    parts = entry.get("components")
    if isinstance(parts, list) and all(isinstance(part, dict) for part in parts) and parts:
        way = ", ".join(f"{part.get('component')} {_way(part)}" for part in parts)
    else:
        way = _way(entry)
    return f"{at}  {event:9} {way}  {entry.get('result', '')}".rstrip()


def _way(entry: Mapping[str, Any]) -> str:
    return f"{entry.get('from') or 'nothing'} -> {entry.get('to') or 'nothing'}"


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _status(args: argparse.Namespace, console: Console) -> Exit:
    updater = open_updater(args, console)
    running = updater.status()
    state = updater.site.state()
    try:
        feed = updater.site.config().feed_url
    except UpdaterError as error:  # what is installed can be told all the same
        console.warn(str(error))
        feed = None
    components = _components(updater.site)
    if console.json:
        console.document(
            {
                "schema": "1.0",
                "site": str(updater.site.path),
                "app": state.app,
                "component": state.component,
                "installed_version": state.version,
                "layout": state.layout,
                "feed_url": feed,
                "components": components,
                "update": dict(running),
            }
        )
        return Exit.DONE
    console.show(
        f"{state.app} {state.version or '(not installed yet)'} in {updater.site.path} ({state.layout})", "bold"
    )
    for name, version in components.items():
        console.show(f"component    {name} {version}")
    if feed is not None:
        console.show(f"feed         {feed}")
    console.show(f"last update  {_running_text(running)}")
    return Exit.DONE


def _components(site: Site) -> dict[str, str]:
    """Plugins and themes that are installed, with their versions; none when the record of that is damaged."""
    try:
        parts = site.parts()
    except UpdaterError:
        return {}
    return {} if parts is None else {name: part.version for name, part in parts.components.items()}


def _running_text(running: Mapping[str, Any]) -> str:
    state = str(running.get("state", "idle")).replace("_", " ")
    if state == "idle":
        return "none yet"
    parts = [state]
    if state == "running":
        parts.append(str(running.get("phase", "")))
        if running.get("percent") is not None:
            parts.append(f"{running['percent']} %")
    text = " ".join(part for part in parts if part)
    message, at = running.get("message", ""), running.get("heartbeat_at", "")
    return text + (f" ({at})" if at else "") + (f": {message}" if message else "")
