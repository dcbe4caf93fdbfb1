"""A rehearsal, as people read it (standard library only)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from updater.cli.amounts import count, size
from updater.cli.console import Console

if TYPE_CHECKING:
    from updater.rehearsal.report import RehearsalReport

__all__ = ["show_rehearsal"]

_LAST_LINES = 20


def show_rehearsal(report: RehearsalReport, console: Console) -> None:
    """What was copied, what ran for how long, what the database became, and the verdict."""
    console.say(f"Rehearsal of {report.from_version} -> {report.to_version}, on a copy", "bold")
    console.say(f"  copied      {count(report.files, 'file')} ({size(report.size)}) in {report.copy_seconds:.1f} s")
    for path, why in report.left_out.items():
        console.say(f"  left out    {path}: {why}")
    for step in report.steps:
        verdict = "ok" if step.ok else "FAILED"
        console.say(f"  {step.kind:12}{step.command}: {verdict} after {step.seconds:.1f} s", "" if step.ok else "red")
        if not step.ok:
            for line in step.output.splitlines()[-_LAST_LINES:]:
                console.show(f"    {line}")
    for reason in report.skipped:
        console.say(f"  not run     {reason}", "yellow")
    if not any(step.kind in ("check", "health") for step in report.steps):
        console.say(
            "  check       none: [health] check or command in updater.toml can name one that needs no running app"
        )
    if report.database != "none":
        growth = report.database_after - report.database_before
        change = f"{size(abs(growth))} {'larger' if growth >= 0 else 'smaller'}" if growth else "of the same size"
        console.say(f"  database    {size(report.database_before)} before, {change} afterwards")
    for problem in report.problems:
        console.show(f"  problem     {problem}", "red")
    if report.ok:
        console.say(f"The update to {report.to_version} would work. Nothing of the site was changed.", "green")
    else:
        console.show(f"The update to {report.to_version} would FAIL. Nothing of the site was changed.", "red")
