"""``feedgen stats``: how many sites run what, as far as anybody counted."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import click
from rich.table import Table

from feedgen.cli.console import Workspace, now, say, table_console, with_workspace
from feedgen.operations.stats import VersionStats, count_sites, version_stats
from feedgen.page.adoption import ADOPTION_FILE, read_history, record_counts

__all__ = ["stats_command"]


@click.command("stats")
@click.option("--repository", metavar="OWNER/NAME", help="Ask GitHub for the counts of today; nothing is recorded.")
@click.option(
    "--log",
    "logs",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An access log of the web server that sites with '[report] adoption' ask. May be given more than once.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@with_workspace
def stats_command(work: Workspace, repository: str | None, logs: tuple[Path, ...], as_json: bool) -> None:
    """Print how often each release was downloaded, and with --log how many sites said that they run it.

    Downloads are those that the daily run recorded in adoption.json of the site. They count packages and deltas, not
    sites: a site that fetches parts of a package, a mirror and a test count as well.
    """
    path = work.site / ADOPTION_FILE
    history = read_history(path.read_bytes()) if path.is_file() else {}
    if repository is not None:
        from feedgen.doctor.api import repository_api
        from feedgen.workflow.downloads import count_downloads

        history = record_counts(history, count_downloads(repository_api(repository), work.config), now())
    sites: Counter[str] | None = Counter() if logs else None
    if sites is not None:
        lines = (line for log in logs for line in log.read_text(encoding="utf-8", errors="replace").splitlines())
        sites = count_sites(lines, work.config.app, work.config.component)
    rows = version_stats(history, sites)
    if as_json:
        counted = max(history, default=None)
        document = {"app": work.config.app, "component": work.config.component, "counted": counted}
        click.echo(json.dumps({**document, "versions": [row.to_json() for row in rows]}, indent=2))
    elif rows:
        _show(work, rows)
    else:
        say("Nothing was counted yet. On GitHub the daily run records downloads; --repository OWNER/NAME asks now.")


def _show(work: Workspace, rows: list[VersionStats]) -> None:
    table = Table(title=f"Who runs what of {work.config.app}", title_justify="left")
    table.add_column("version")
    for heading in ("downloads", "in 30 days", "sites", "%"):
        table.add_column(heading, justify="right")
    for row in rows:
        counts = ("" if count is None else f"{count:,}" for count in (row.downloads, row.recent, row.sites))
        table.add_row(row.version, *counts, f"{row.percent:.1f}")
    table_console().print(table)
