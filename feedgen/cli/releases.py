"""``feedgen list``, ``diff``, ``apply``, ``republish``, ``prune``: looking at all releases, and tidying up."""

from __future__ import annotations

import json

import click
from rich.table import Table

from feedgen.cli.console import Workspace, now, say, size_text, step, success, table_console, warn, with_workspace
from feedgen.cli.operate import dry_run_option, operator_of, show, version_of
from feedgen.cli.stores import open_store
from feedgen.operations.overview import Row, rows
from feedgen.operations.schedule import parse_duration
from feedgen.operations.tags import tag_of
from feedgen.publish.publisher import Publisher

__all__ = ["apply_command", "diff_command", "list_command", "prune_command", "republish_command"]

_store_option = click.option(
    "--store", metavar="DIR|github", help="Where packages are kept.  [default: packages/ in the site]"
)


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@with_workspace
def list_command(work: Workspace, as_json: bool) -> None:
    """Print every release: the channels that list it, and what was decided about it."""
    feeds, entries, waiting = operator_of(work).published()
    found = rows(feeds, entries, waiting, now())
    if as_json:
        click.echo(json.dumps({"app": work.config.app, "releases": [row.to_json() for row in found]}, indent=2))
        return
    if not found:
        say("No release has been published yet.")
        return
    table = Table(title=f"Releases of {work.config.app}", title_justify="left")
    for heading in ("version", "in", "published", "size", "decided"):
        table.add_column(heading)
    for row in found:
        table.add_row(*_cells(row))
    table_console().print(table)


def _cells(row: Row) -> tuple[str, ...]:
    published = f"{row.published:%Y-%m-%d}"
    return (row.version, ", ".join(row.channels), published, size_text(row.size), ", ".join(row.flags))


@click.command("diff")
@click.argument("tag", required=False)
@_store_option
@with_workspace
def diff_command(work: Workspace, tag: str | None, store: str | None) -> None:
    """Print what 'feedgen apply' would change in the feeds; with TAG, what publishing that would."""
    if tag is None:
        result = operator_of(work).diff()
        show(work, result, dry_run=True, done="", nothing="The files say what is published")
        return
    with open_store(work, store) as packages:
        publisher = Publisher(work.project.folder, work.config, work.site, packages, work.ring, step)
        planned = publisher.publish(tag, now=now(), dry_run=True)
    if not planned.changes:
        say(f"{planned.version} is published already; nothing would change.")
    for line in planned.changes:
        say(line)


@click.command("apply")
@dry_run_option
@with_workspace
def apply_command(work: Workspace, dry_run: bool) -> None:
    """Publish what the files in the site's 'releases' folder say, after an edit by hand."""
    result = operator_of(work).apply(dry_run=dry_run)
    show(work, result, dry_run=dry_run, done="The edits are published", nothing="The files say what is published")


@click.command("republish")
@click.argument("version", required=False)
@_store_option
@dry_run_option
@with_workspace
def republish_command(work: Workspace, version: str | None, store: str | None, dry_run: bool) -> None:
    """List VERSION as its file says, with its package where the store has it now; without VERSION, every release."""
    if store is None and work.config.store_url:
        warn("store_url is set: name the folder of the packages with --store if they are not in the site.")
    operator = operator_of(work)
    versions = [version_of(work, version)] if version else list(operator.published()[1])
    if not versions:
        say("No release has been published yet.")
    with open_store(work, store) as packages:
        for name in versions:
            tag = tag_of(work.project.folder, name, work.config.tag_prefix)
            result = operator.republish(name, packages, tag, dry_run=dry_run)
            nothing = f"{name} is listed as it should be"
            show(work, result, dry_run=dry_run, done=f"{name} is listed anew", nothing=nothing)


@click.command("prune")
@click.option("--older-than", metavar="TIME", help="Only what was superseded so long ago: 12h, 3d.  [default: all]")
@dry_run_option
@with_workspace
def prune_command(work: Workspace, older_than: str | None, dry_run: bool) -> None:
    """Remove superseded feed copies and metadata now, before 'grace_days' have passed. Packages and roots stay.

    Sites that are in the middle of a check meet a missing file then; they take it for stale and try again later.
    """
    result = operator_of(work).prune(
        parse_duration(older_than) if older_than else parse_duration("1m") * 0, dry_run=dry_run
    )
    for path in result.pruned:
        step(path)
    if not result.pruned:
        success("Nothing is superseded; nothing changed.")
    elif dry_run:
        say(f"Would remove these {len(result.pruned)} files. Nothing was removed.")
    else:
        success(f"Removed {len(result.pruned)} superseded files. Now upload {work.site}.")
