"""A plan, and how it ended, as people read them (standard library only)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from updater.cli.amounts import count, moment, size
from updater.cli.console import Console
from updater.install.changes import Changes
from updater.schema.text import CORE

if TYPE_CHECKING:
    from updater.database import TableRows
    from updater.install.outcome import Outcome
    from updater.requirements import PackageCheck
    from updater.results import Plan, PlannedPart, RollbackPlan

__all__ = ["BACKUPS", "show_outcome", "show_packages", "show_plan", "show_rollback_plan", "show_sources"]

_MOST = 10
"""Paths listed of each kind, unless --verbose."""

BACKUPS = {
    "none": "no database is configured ([database] in updater.toml): none is backed up",
    "sqlite": "SQLite, backed up before anything changes",
    "postgresql": "PostgreSQL, backed up with pg_dump before anything changes",
    "command": "backed up by the configured command before anything changes",
    "lead": "the server that leads changes it, and backs it up; this one follows",
}
"""What a plan says of each kind of database."""


def show_plan(plan: Plan, console: Console) -> None:
    """Everything an owner wants to know before saying yes."""
    _show_parts(plan, console)
    if plan.downgrade:
        console.say("  downgrade   to an older release; the database stays as it is", "yellow")
    for part in plan.parts:
        _show_importance(part, console, several=len(plan.parts) > 1)
    _show_download(plan, console)
    _show_files(plan.changes, console)
    _show_migrations(plan, console)
    show_packages(plan.packages, console)
    if plan.requirements:
        console.say(f"  packages    installed anew from {plan.requirements}, beside the old ones")
    for planned in plan.commands:
        console.say(
            f"  command     {planned.command}" + (f"  - will NOT run: {planned.refusal}" if planned.refusal else "")
        )
    console.say(f"  database    {BACKUPS.get(plan.database, plan.database)}")
    if plan.further:
        console.say(f"  then        {', '.join(plan.further)}, each by an update of its own")
    if plan.app_will_stop:
        console.say("  downtime    the app is stopped while files change")
    for warning in plan.warnings:
        console.say(f"  warning     {warning}", "yellow")
    for reason in plan.reasons if console.level > 0 else ():
        console.say(f"  reason      {reason}")
    for part in plan.parts:
        _show_notes(part, console, several=len(plan.parts) > 1)


def _show_parts(plan: Plan, console: Console) -> None:
    """What goes from where to where: one line for an update of one component."""
    if len(plan.parts) > 1:
        console.say("Update, all of it or none", "bold")
        for part in plan.parts:
            console.say(
                f"  {part.component:11} from {part.from_version or 'nothing'} to {part.to_version or 'nothing'}"
            )
        return
    part = plan.main
    name = "" if part.component == CORE else f"{part.component} "
    if part.to_version is None:
        console.say(f"Take {name}{part.from_version} away", "bold")
    else:
        console.say(f"Update {name}from {part.from_version or 'nothing'} to {part.to_version}", "bold")


def _show_importance(part: PlannedPart, console: Console, *, several: bool) -> None:
    release = part.release
    if release is None or not (release.critical or release.security):
        return
    fixes = f" (fixes {', '.join(release.security)})" if release.security else ""
    of = f" of {part.component}" if several else ""
    console.say(f"  importance  {'critical' if release.critical else 'security'}{of}{fixes}", "yellow")


def _show_notes(part: PlannedPart, console: Console, *, several: bool) -> None:
    release = part.release
    if release is None:
        return
    own = part.prepared.manifest.release_notes if part.prepared is not None else ""
    notes = (own or release.notes.markdown).strip()
    of = f" of {part.component}" if several else ""
    if notes:
        console.say(f"  notes{of}")
        console.say("\n".join(f"    {line}".rstrip() for line in notes.splitlines()))
    if release.notes.url:
        console.say(f"  read more   {release.notes.url}")


def _show_download(plan: Plan, console: Console) -> None:
    """What is still to be fetched, and by which way."""
    if len(plan.parts) > 1:
        left = size(plan.download_size) if plan.download_size else "nothing more"
        console.say(f"  download    {left}")
        return
    if not plan.sources:
        return
    chosen = plan.sources[0]
    if plan.download_size:
        here = f", {size(chosen.size - plan.download_size)} of it here" if plan.download_size < chosen.size else ""
        console.say(f"  download    {size(plan.download_size)} ({chosen.name}{here})")
    elif chosen.kind == "package":
        console.say("  download    nothing, the package is here")
    else:
        fetched = f"; {size(chosen.size)} were fetched" if chosen.size else ""
        console.say(f"  download    nothing more ({chosen.name}{fetched})")


def show_sources(part: PlannedPart, console: Console) -> None:
    """Where the bytes of a component can come from, the chosen way first, as a table."""
    options = () if part.prepared is None else part.prepared.options
    if not options:
        return
    if part.component != CORE:
        console.say(f"  {part.component}")
    rows = [("source", "bytes", "files", "requests", "why")]
    for option in options:
        amount = ("" if option.exact else "at least ") + size(option.size)
        files = "" if option.files is None else str(option.files)
        rows.append((option.name, amount, files, str(option.requests), option.why))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for number, (name, *figures, why) in enumerate(rows):
        cells = [cell.rjust(width) for cell, width in zip(figures, widths[1:], strict=True)]
        console.say(f"  {'→' if number == 1 else ' '} {name.ljust(widths[0])}  {'  '.join(cells)}  {why}".rstrip())


def show_rollback_plan(plan: RollbackPlan, console: Console) -> None:
    """Where a rollback leads, and what it costs."""
    if plan.components:
        console.say("Roll back", "bold")
        for change in plan.components:
            way = f"from {change.from_version or 'nothing'} to {change.to_version or 'nothing'}"
            console.say(f"  {change.component:11} {way}")
    else:
        console.say(f"Roll back from {plan.from_version or 'nothing'} to {plan.to_version}", "bold")
    source = f"restore point {plan.point.id}" if plan.point else "an exported restore point"
    console.say(f"  from        {source}, made {moment(plan.created)}")
    _show_files(plan.changes, console)
    if plan.loses_since is not None:
        console.say("  database    is restored as well", "yellow")
        console.say(f"  LOST        everything written to the database since {moment(plan.loses_since)}", "yellow")
        _show_lost_rows(plan, console)
    elif plan.database == "none":
        console.say("  database    none is configured: it stays as it is")
    else:
        console.say(f"  database    stays as it is now ({plan.database})", "yellow")


def show_outcome(outcome: Outcome, console: Console) -> None:
    """How an update or a rollback ended well."""
    taken = [change.component for change in outcome.components if change.to_version is None]
    many = "are" if len(outcome.components) > 1 else "is"
    what = f"{outcome.what} {many} installed"
    if taken:
        what = f"{taken[0]} was taken away" if len(outcome.components) == 1 else f"back to {outcome.what}"
    console.say(f"Done: {what}.", "green")
    if outcome.edited:
        kept = f".updater/backups/{outcome.restore_point}/edited/"
        console.say(f"Your changes to {count(len(outcome.edited), 'file')} were replaced; copies are in {kept}")
        console.say("`updater backup edited` lists, compares and restores them.")
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
    _show_paths("missing", changes.missing, "gone from the installed release, and brought back", console, "yellow")
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


def show_packages(packages: Sequence[PackageCheck], console: Console) -> None:
    """What the release requires, beside what the app's Python has."""
    for row in packages:
        found = "not known" if row.ok is None else row.found or "none"
        console.say(f"  requires    {row.required}  (found: {found})")


def _show_migrations(plan: Plan, console: Console) -> None:
    """What happens to the database, and whether it can be undone: before anybody says yes."""
    found = plan.migrations
    if not found.names:
        return
    shown = ", ".join(found.names[:_MOST]) + (
        f" and {len(found.names) - _MOST} more" if len(found.names) > _MOST else ""
    )
    console.say(f"  migrations  {shown}")
    if plan.from_version is None:
        return  # there is no data yet
    if found.destructive:
        where = f" ({', '.join(found.destructive_in)})" if found.destructive_in else ""
        console.say(f"              DESTRUCTIVE: they delete data from the database{where}", "yellow")
    elif found.destructive is None:
        console.say("              may delete data: the release does not say that they do not", "yellow")
    if found.reversible is False:
        where = f" ({', '.join(found.irreversible_in)})" if found.irreversible_in else ""
        console.say(f"              IRREVERSIBLE: they cannot be undone, only the backup leads back{where}", "yellow")
    if found.backward_compatible:
        console.say("              the way back can keep the database: the old code works with it")
    elif plan.database == "none":
        style = "red" if found.destructive or found.reversible is False else "yellow"
        console.say("              NO WAY BACK: the old code needs the old database, and no backup is made", style)
    else:
        console.say(
            "              the way back restores the database as it is now: what is written later would be lost"
        )


def _show_lost_rows(plan: RollbackPlan, console: Console) -> None:
    """Table by table, what there is now and was not then."""
    if plan.loses_since is None:
        return
    if plan.rows is None:
        console.say(f"  rows        not compared: {plan.rows_unknown}")
        return
    then = moment(plan.loses_since)
    most = len(plan.rows) if console.level > 0 else _MOST
    for row in plan.rows[:most]:
        console.say(f"    {_lost(row, then)}", "yellow")
    if len(plan.rows) > most:
        console.say(f"    and {len(plan.rows) - most} more tables (-v lists all)")
    if not plan.rows:
        console.say(f"  rows        every table has as many rows as at {then}")
    console.say("  rows that were changed in place cannot be told: their changes would be lost as well")


def _lost(row: TableRows, then: str) -> str:
    if row.then is None:
        return f"{row.table}: {count(row.now or 0, 'row')}, and no such table at {then}; all of it would be lost"
    if row.now is None:
        return f"{row.table}: no such table now; it comes back with {count(row.then, 'row')}"
    difference = row.now - row.then
    if difference > 0:
        would = "it" if difference == 1 else "they"
        return f"{row.table}: {count(difference, 'row')} more now than at {then}; {would} would be lost"
    return f"{row.table}: {count(-difference, 'row')} fewer now than at {then}; deleted rows come back"
