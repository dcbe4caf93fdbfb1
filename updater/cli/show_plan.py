"""A plan, and how it ended, as people read them (standard library only)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from updater.cli.amounts import count, moment, size
from updater.cli.console import Console
from updater.install.changes import Changes

if TYPE_CHECKING:
    from updater.install.outcome import Outcome
    from updater.results import Plan, RollbackPlan

__all__ = ["show_outcome", "show_plan", "show_rollback_plan"]

_MOST = 10
"""Paths listed of each kind, unless --verbose."""

_BACKUPS = {
    "none": "no database is configured ([database] in updater.toml): none is backed up",
    "sqlite": "SQLite, backed up before anything changes",
    "postgresql": "PostgreSQL, backed up with pg_dump before anything changes",
    "command": "backed up by the configured command before anything changes",
}


def show_plan(plan: Plan, console: Console) -> None:
    """Everything an owner wants to know before saying yes."""
    release = plan.release
    console.say(f"Update from {plan.from_version or 'nothing'} to {plan.to_version}", "bold")
    if release.critical or release.security:
        fixes = f" (fixes {', '.join(release.security)})" if release.security else ""
        console.say(f"  importance  {'critical' if release.critical else 'security'}{fixes}", "yellow")
    download = "nothing, the package is here" if plan.download_size == 0 else size(plan.download_size)
    console.say(f"  download    {download}")
    _show_files(plan.changes, console)
    _show_migrations(plan, console)
    for planned in plan.commands:
        console.say(
            f"  command     {planned.command}" + (f"  - will NOT run: {planned.refusal}" if planned.refusal else "")
        )
    console.say(f"  database    {_BACKUPS.get(plan.database, plan.database)}")
    if plan.app_will_stop:
        console.say("  downtime    the app is stopped while files change")
    for warning in plan.warnings:
        console.say(f"  warning     {warning}", "yellow")
    for reason in plan.reasons if console.level > 0 else ():
        console.say(f"  reason      {reason}")
    notes = (plan.manifest.release_notes or release.notes.markdown).strip()
    if notes:
        console.say("  notes")
        console.say("\n".join(f"    {line}".rstrip() for line in notes.splitlines()))
    if release.notes.url:
        console.say(f"  read more   {release.notes.url}")


def show_rollback_plan(plan: RollbackPlan, console: Console) -> None:
    """Where a rollback leads, and what it costs."""
    console.say(f"Roll back from {plan.from_version or 'nothing'} to {plan.to_version}", "bold")
    source = f"restore point {plan.point.id}" if plan.point else "an exported restore point"
    console.say(f"  from        {source}, made {moment(plan.created)}")
    _show_files(plan.changes, console)
    if plan.loses_since is not None:
        console.say("  database    is restored as well", "yellow")
        console.say(f"  LOST        everything written to the database since {moment(plan.loses_since)}", "yellow")
    elif plan.database == "none":
        console.say("  database    none is configured: it stays as it is")
    else:
        console.say(
            f"  database    stays as it is now: the restore point has no backup of it ({plan.database})", "yellow"
        )


def show_outcome(outcome: Outcome, console: Console) -> None:
    """How an update or a rollback ended well."""
    console.say(f"Done: {outcome.to_version} is installed.", "green")
    if outcome.edited:
        kept = f".updater/backups/{outcome.restore_point}/edited/"
        console.say(f"Your changes to {count(len(outcome.edited), 'file')} were replaced; copies are in {kept}")
    if outcome.warnings:
        console.say(f"There were {count(len(outcome.warnings), 'warning')}; see above, or `updater history`.")
    if outcome.restore_point:
        console.say(f"The way back: `updater rollback {outcome.restore_point}`")


def _show_files(changes: Changes, console: Console) -> None:
    numbers = [f"{changes.count('add')} added", f"{changes.count('replace')} replaced"]
    numbers.append(f"{changes.count('delete')} deleted")
    console.say(f"  files       {', '.join(numbers)} ({size(changes.bytes_to_write)})")
    if console.level > 0:
        for change in changes.changes:
            console.say(f"    {change.action:8}{change.path}")
    _show_paths("edited", changes.edited, "your changes are replaced; a copy of each is kept", console, "yellow")
    _show_paths("kept", changes.kept, "your changes stay, because of [policy] edited", console)
    if console.level > 0:
        _show_paths("preserved", changes.preserved, "belong to the site", console)
    _show_paths("CONFLICT", changes.conflicts, "the update is blocked", console, "red")


def _show_paths(label: str, paths: Sequence[str], what: str, console: Console, style: str = "") -> None:
    if not paths:
        return
    console.say(f"  {label:12}{count(len(paths), 'file')}: {what}", style)
    most = len(paths) if console.level > 0 else _MOST
    for path in paths[:most]:
        console.say(f"    {path}")
    if len(paths) > most:
        console.say(f"    and {len(paths) - most} more (-v lists all)")


def _show_migrations(plan: Plan, console: Console) -> None:
    names, known = plan.manifest.migrations, plan.release.migrations
    if not names and known is None:
        return
    traits = []
    if known is not None and known.destructive:
        traits.append("DESTRUCTIVE: they delete data")
    if known is not None and known.reversible is False:
        traits.append("IRREVERSIBLE: the way back is the database backup")
    shown = ", ".join(names[:_MOST]) + (f" and {len(names) - _MOST} more" if len(names) > _MOST else "")
    console.say(f"  migrations  {shown or 'some'}")
    for trait in traits:
        console.say(f"              {trait}", "yellow")
