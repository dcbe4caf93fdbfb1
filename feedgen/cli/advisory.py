"""``feedgen advisory``: what sites are told about versions that they run already."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import cast

import click
from rich.table import Table

from feedgen.cli.console import Workspace, now, say, table_console, with_workspace
from feedgen.cli.operate import dry_run_option, operator_of, show
from feedgen.errors import ConfigError
from feedgen.operations.feed_edits import FeedEdit
from feedgen.operations.notices import advise, end_support, support_again, withdraw
from updater.schema.feed import Advisory, EndOfLife
from updater.schema.notices import SEVERITIES, Severity, check_affected
from updater.schema.text import check_id, check_url_reference

__all__ = ["advisory_group"]


@click.group("advisory")
def advisory_group() -> None:
    """Tell sites about versions that should not run, and when support ends, also where updates are held."""


@advisory_group.command("add")
@click.argument("id_")
@click.option("--affects", required=True, metavar="SPEC", help='Versions, such as ">=1.2,<1.4.3".')
@click.option("--severity", required=True, type=click.Choice(SEVERITIES))
@click.option("--title", required=True, metavar="TEXT", help="What is wrong with them, in a few words.")
@click.option("--workaround", default="", metavar="TEXT", help="What helps without an update.")
@click.option("--url", default=None, metavar="URL", help="Where more is said.")
@dry_run_option
@with_workspace
def add_command(work: Workspace, id_: str, *, affects: str, dry_run: bool, **said: str | None) -> None:
    """Publish the advisory ID (such as CVE-2026-12345), or say something else in one that is out."""
    _checked(check_id, id_)
    _checked(check_affected, affects)
    if said["url"] is not None:
        _checked(check_url_reference, said["url"])
    advisory = Advisory(
        id=id_,
        severity=cast(Severity, said["severity"]),
        affected=affects,
        title=said["title"] or "",
        published=now().replace(microsecond=0),
        workaround=said["workaround"] or "",
        url=said["url"],
    )
    _run(work, advise(advisory), dry_run=dry_run, done=f"{id_} is told to sites that run {affects}")


@advisory_group.command("remove")
@click.argument("id_")
@dry_run_option
@with_workspace
def remove_command(work: Workspace, id_: str, dry_run: bool) -> None:
    """Take the advisory ID away."""
    _run(work, withdraw(id_), dry_run=dry_run, done=f"{id_} is told to nobody")


@advisory_group.command("end-of-life")
@click.argument("affects", metavar="SPEC")
@click.argument("date", required=False, metavar="YYYY-MM-DD")
@click.option("--message", default="", metavar="TEXT", help="What to do about it, in a line.")
@click.option("--off", is_flag=True, help="Take it back.")
@dry_run_option
@with_workspace
def end_command(work: Workspace, affects: str, date: str | None, *, message: str, off: bool, dry_run: bool) -> None:
    """Say that versions such as "<2" get no more fixes after a day. Sites are told from 90 days before."""
    _checked(check_affected, affects)
    if off:
        _run(work, support_again(affects), dry_run=dry_run, done=f"{affects} has no end of support")
        return
    try:
        at = datetime.strptime(date or "", "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise ConfigError(f"{date!r} is not a day", hint="Write it as 2027-01-31.") from None
    _run(work, end_support(EndOfLife(affects, at, message)), dry_run=dry_run, done=f"{affects} ends on {date}")


@advisory_group.command("list")
@with_workspace
def list_command(work: Workspace) -> None:
    """Print what is published."""
    feeds = operator_of(work).published()[0]
    feed = next(iter(feeds.values()), None)
    if feed is None or not (feed.advisories or feed.end_of_life):
        say("There are no notices.")
        return
    table = Table(show_edge=False, pad_edge=False)
    for heading in ("", "versions", "severity", "since", "what"):
        table.add_column(heading)
    for advisory in feed.advisories:
        table.add_row(
            advisory.id, advisory.affected, advisory.severity, f"{advisory.published:%Y-%m-%d}", advisory.title
        )
    for end in feed.end_of_life:
        table.add_row("end of life", end.affected, "", f"{end.at:%Y-%m-%d}", end.message)
    table_console().print(table)


def _run(work: Workspace, edit: FeedEdit, *, dry_run: bool, done: str) -> None:
    result = operator_of(work).edit_feeds(edit, "what is told about releases that are out", dry_run=dry_run)
    show(work, result, dry_run=dry_run, done=done, nothing=f"{done} already")


def _checked(check: Callable[[str], None], text: str) -> None:
    try:
        check(text)
    except ValueError as error:
        raise ConfigError(f"{text!r}: {error}") from error
