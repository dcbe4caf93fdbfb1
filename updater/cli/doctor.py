"""``updater doctor``: look for everything that would stop an update, and say what to do about it."""

from __future__ import annotations

import argparse

from updater.cli.amounts import count
from updater.cli.console import Console
from updater.cli.exits import Exit
from updater.cli.opening import open_site
from updater.cli.parser import Verbs
from updater.client import Updater

__all__ = ["add_verbs"]

_STYLES = {"ok": "green", "warning": "yellow", "error": "red"}


def add_verbs(add: Verbs) -> None:
    """Add the verb."""
    verb = add("doctor", _doctor, "look for everything that would stop an update; changes nothing")
    verb.add_argument("--json", action="store_true", help="print the findings as JSON")


def _doctor(args: argparse.Namespace, console: Console) -> Exit:
    findings = Updater(open_site(args)).doctor()
    errors = sum(finding.level == "error" for finding in findings)
    warnings = sum(finding.level == "warning" for finding in findings)
    if console.json:
        told = [finding.__dict__ for finding in findings]
        console.document({"schema": "1.0", "ok": errors == 0, "findings": told})
        return Exit.FAILED if errors else Exit.DONE
    for finding in findings:
        if finding.level == "ok":
            console.say(f"{finding.level:8} {finding.check}: {finding.message}", _STYLES[finding.level])
        else:
            console.show(f"{finding.level:8} {finding.check}: {finding.message}", _STYLES[finding.level])
            console.show(f"         -> {finding.advice}")
    console.show(f"{count(errors, 'error')}, {count(warnings, 'warning')}.", "bold")
    return Exit.FAILED if errors else Exit.DONE
