"""``feedgen experiment``: A/B tests."""

from __future__ import annotations

import json

import click
from rich.table import Table

from feedgen.cli.console import Workspace, now, say, table_console, with_workspace
from feedgen.cli.operate import dry_run_option, operator_of, show, version_of
from feedgen.errors import ConfigError
from feedgen.operations.experiments import begin, end, share_of
from feedgen.operations.stats import version_stats
from feedgen.page.adoption import ADOPTION_FILE, read_history

__all__ = ["experiment_group"]


@click.group("experiment")
def experiment_group() -> None:
    """Offer each site one of several releases, by a group that it never leaves."""


@experiment_group.command("begin")
@click.argument("name")
@click.argument("variants", nargs=-1, required=True, metavar="VERSION=PERCENT...")
@dry_run_option
@with_workspace
def begin_command(work: Workspace, name: str, variants: tuple[str, ...], dry_run: bool) -> None:
    """Make releases variants of NAME. The first gets the first PERCENT of the sites, the next one those that follow.

    A version that is not published yet becomes a variant when it is: begin before you publish, and no site sees the
    variant of another group.
    """
    shares = {}
    for text in variants:
        version, _, percent = text.rpartition("=")
        if not percent.isascii() or not percent.isdigit() or len(percent) > 3:
            raise ConfigError(f"{text!r} is not VERSION=PERCENT", hint="For example 1.4.0=50.")
        shares[version_of(work, version)] = int(percent)
    result = operator_of(work).edit_several(begin(name, shares), dry_run=dry_run)
    told = ", ".join(f"{version} for {percent} %" for version, percent in shares.items())
    show(work, result, dry_run=dry_run, done=f"{name}: {told}", nothing=f"{name}: {told} already")


@experiment_group.command("end")
@click.argument("name")
@click.option("--winner", metavar="VERSION", help="For all sites from now on (default: no variant is).")
@dry_run_option
@with_workspace
def end_command(work: Workspace, name: str, winner: str | None, dry_run: bool) -> None:
    """Offer the winner to every site, and the other variants to no site that does not have them.

    A site never goes down by itself: for sites on a variant that is newer than the winner, publish the winner again
    under a higher version.
    """
    wanted = None if winner is None else version_of(work, winner)
    operator = operator_of(work)
    _, entries, _ = operator.published()
    states = {version: entry.state for version, entry in entries.items()}
    result = operator.edit_several(end(name, states, wanted, now()), dry_run=dry_run)
    show(work, result, dry_run=dry_run, done=f"{name} has ended", nothing=f"{name} has ended")


@experiment_group.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@with_workspace
def show_command(work: Workspace, name: str, as_json: bool) -> None:
    """Print the variants of NAME, and how often each was downloaded as far as the daily run counted.

    Downloads count packages and deltas, not sites, and say nothing about what people did in the app.
    """
    _, entries, _ = operator_of(work).published()
    path = work.site / ADOPTION_FILE
    counted = (
        {row.version: row for row in version_stats(read_history(path.read_bytes()), None)} if path.is_file() else {}
    )
    rows = [
        {
            "version": version,
            "percent": share_of(entry.state),
            "halted": entry.state.halted,
            "downloads": counted[version].downloads if version in counted else None,
        }
        for version, entry in entries.items()
        if entry.state.experiment == name
    ]
    if as_json:
        click.echo(json.dumps({"experiment": name, "variants": rows}, indent=2))
    elif not rows:
        say(f"No published release is a variant of {name}.")
    else:
        table = Table(title=f"Experiment {name}", title_justify="left")
        for heading in ("version", "sites", "downloads", ""):
            table.add_column(heading)
        for row in rows:
            downloads = "not counted" if row["downloads"] is None else f"{row['downloads']:,}"
            table.add_row(str(row["version"]), f"{row['percent']:g} %", downloads, "halted" if row["halted"] else "")
        table_console().print(table)
