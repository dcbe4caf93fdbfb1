"""``updater check``: does an update wait?"""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING

from updater.cli.amounts import moment, size
from updater.cli.console import Console
from updater.cli.exits import Exit
from updater.cli.opening import add_from, open_updater
from updater.cli.parser import Verbs
from updater.cli.progress import showing_progress
from updater.cli.show_plan import show_packages
from updater.results import CheckResult

if TYPE_CHECKING:
    from updater.notices import Notice

__all__ = ["add_verbs"]


def add_verbs(add: Verbs) -> None:
    """Add the verb."""
    verb = add("check", _check, "ask whether an update waits")
    add_from(verb)
    verb.add_argument("--json", action="store_true", help="print the answer as JSON")
    verb.add_argument("--exit-code", action="store_true", help=f"end with {Exit.UPDATE_AVAILABLE:d} when one waits")


def _check(args: argparse.Namespace, console: Console) -> Exit:
    with showing_progress(console) as report:
        result = open_updater(args, console, report).check()
    if result.freshness.state == "stale":
        console.warn(f"The {result.freshness}.")
    if console.json:
        console.document(result.to_json())
    else:
        _show(result, console)
        for other in result.components:
            _show_component(other, console)
        if result.waiting:
            site = f" --site {shlex.quote(args.site)}" if getattr(args, "site", None) else ""
            console.say()
            console.say(f"Install {'them' if len(result.waiting) > 1 else 'it'} with `updater update{site}`.")
    return Exit.UPDATE_AVAILABLE if args.exit_code and result.waiting else Exit.DONE


def _show_notice(notice: Notice, console: Console) -> None:
    fixed = f" Fixed in {notice.fixed_in}." if notice.fixed_in else ""
    console.show(f"{notice.message}{fixed}", "bold")
    if notice.workaround:
        console.show(f"  Until then: {notice.workaround}")
    if notice.url:
        console.show(f"  {notice.url}")


def _show(result: CheckResult, console: Console) -> None:
    for notice in result.notices:
        _show_notice(notice, console)
    release = result.release
    if release is None:
        for reason in result.reasons:
            console.show(reason)
        return
    marks = [text for text, wanted in (("critical", result.critical), ("security", bool(release.security))) if wanted]
    marked = f" ({', '.join(marks)})" if marks else ""
    console.show(f"{release.version} is available{marked}; installed: {result.installed or 'nothing'}.", "bold")
    if release.security:
        console.show(f"Fixes {', '.join(release.security)}.")
    console.show(f"Published {moment(release.published)}, {size(release.package.size)} at most to download.")
    show_packages(result.packages, console)
    if release.notes.markdown.strip():
        console.say()
        console.say(release.notes.markdown.strip())
    if release.notes.url:
        console.say(f"Release notes: {release.notes.url}")
    for reason in result.reasons if console.level > 0 else ():
        console.say(reason)
    for reason in result.not_unattended:
        console.say(f"Not by itself: {reason}")


def _show_component(result: CheckResult, console: Console) -> None:
    """A plugin or a theme, in a line or two; its notes are shown with the plan of its update."""
    for notice in result.notices:
        _show_notice(notice, console)
    if result.release is None:
        said = result.reasons if console.level > 0 else result.reasons[-1:]
        for reason in said:
            console.show(f"{result.component} {result.installed}: {reason}")
        return
    marked = " (critical)" if result.critical else ""
    console.show(
        f"{result.component} {result.release.version} is available{marked}; installed: {result.installed}.", "bold"
    )
    for reason in (*(result.reasons if console.level > 0 else ()), *result.not_unattended):
        console.say(f"  {reason}")
