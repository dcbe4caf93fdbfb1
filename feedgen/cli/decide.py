"""``feedgen promote``, ``yank``, ``unyank``, ``halt``, ``resume``, ``critical``, ``stop``: one decision each."""

from __future__ import annotations

import click

from feedgen.cli.console import Workspace, now, warn, with_workspace
from feedgen.cli.operate import dry_run_option, operator_of, run_edit, version_of
from feedgen.operations.edits import halt, mark, promote, resume, unyank, yank
from feedgen.operations.schedule import percent_at
from updater.schema import CHANNELS

__all__ = [
    "critical_command",
    "halt_command",
    "promote_command",
    "resume_command",
    "stop_command",
    "unyank_command",
    "yank_command",
]

_off_option = click.option("--off", is_flag=True, help="Take the mark away.")


@click.command("promote")
@click.argument("version")
@click.option("--to", type=click.Choice(CHANNELS), required=True, help="The more settled channel.")
@dry_run_option
@with_workspace
def promote_command(work: Workspace, version: str, to: str, dry_run: bool) -> None:
    """List VERSION in a more settled channel: the same package under the same version, nothing is built.

    1.4.0b2 stays 1.4.0b2 for the sites that install it, because the package says so. To try the very bytes of 1.4.0
    first, publish it with 'feedgen publish v1.4.0 --channel beta' and promote that.
    """
    run_edit(work, version, promote(to), dry_run=dry_run, done=f"is in the {to} channel")


@click.command("yank")
@click.argument("version")
@click.option("--reason", required=True, metavar="TEXT", help="Shown to the owners of sites that run it.")
@dry_run_option
@with_workspace
def yank_command(work: Workspace, version: str, reason: str, dry_run: bool) -> None:
    """Withdraw VERSION: it is offered to nobody, and sites that run it are told why."""
    run_edit(work, version, yank(reason, now()), dry_run=dry_run, done="is withdrawn")


@click.command("unyank")
@click.argument("version")
@dry_run_option
@with_workspace
def unyank_command(work: Workspace, version: str, dry_run: bool) -> None:
    """Offer the withdrawn VERSION again."""
    run_edit(work, version, unyank(), dry_run=dry_run, done="is not withdrawn")


@click.command("halt")
@click.argument("version")
@dry_run_option
@with_workspace
def halt_command(work: Workspace, version: str, dry_run: bool) -> None:
    """Offer VERSION to nobody for now; its rollout stands still. 'feedgen resume' goes on."""
    run_edit(work, version, halt(now()), dry_run=dry_run, done="is halted")


@click.command("resume")
@click.argument("version")
@dry_run_option
@with_workspace
def resume_command(work: Workspace, version: str, dry_run: bool) -> None:
    """Offer the halted VERSION again. Its rollout goes on where it stopped: later steps move by the time it stood."""
    before = operator_of(work).state(version_of(work, version))
    if before.halted and before.halted_at is None and before.rollout is not None:
        percent = percent_at(before.rollout, now())
        warn(f"It is not known since when it is halted, so its rollout goes on at {percent} %.")
    run_edit(work, version, resume(now()), dry_run=dry_run, done="is not halted")


@click.command("critical")
@click.argument("version")
@_off_option
@dry_run_option
@with_workspace
def critical_command(work: Workspace, version: str, off: bool, dry_run: bool) -> None:
    """Ask the owners of sites to install VERSION soon."""
    done = "is not critical" if off else "is critical"
    run_edit(work, version, mark(critical=not off), dry_run=dry_run, done=done)


@click.command("stop")
@click.argument("version")
@_off_option
@dry_run_option
@with_workspace
def stop_command(work: Workspace, version: str, off: bool, dry_run: bool) -> None:
    """Let no update jump over VERSION: older sites install it first."""
    run_edit(work, version, mark(stop=not off), dry_run=dry_run, done="is not a stop" if off else "is a stop")
