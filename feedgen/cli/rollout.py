"""``feedgen rollout``: when a release reaches how many sites."""

from __future__ import annotations

import json

import click
from rich.table import Table

from feedgen.cli.console import Workspace, now, say, table_console, with_workspace
from feedgen.cli.operate import dry_run_option, operator_of, run_edit, version_of
from feedgen.operations.edits import ramp, schedule_lines, set_rollout
from feedgen.operations.schedule import Ramp, parse_duration, parse_steps, percent_at
from feedgen.operations.simulation import simulate
from updater.schema import format_time

__all__ = ["rollout_group"]

_LINES = 16
"""Lines of a curve, but for its first."""


_critical_option = click.option(
    "--critical-at-once/--critical-in-turn",
    default=None,
    help="Whether sites for which the update is critical wait for the schedule (default: as before; at first they do).",
)


@click.group("rollout")
def rollout_group() -> None:
    """Show and set the schedule on which automatic updates reach sites. People who ask get a release at once."""


@rollout_group.command("show")
@click.argument("version")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@with_workspace
def show_command(work: Workspace, version: str, as_json: bool) -> None:
    """Print the schedule of VERSION, and where it is now."""
    version, moment = version_of(work, version), now()
    state = operator_of(work).state(version)
    percent = 0 if state.halted or state.yanked else percent_at(state.rollout, moment)
    lines = schedule_lines(state, moment)
    if as_json:
        steps = (
            [] if state.rollout is None else [{"at": at, "percent": int(p.removesuffix(" %"))} for at, p, _ in lines]
        )
        at_once = state.rollout is not None and state.rollout.critical_at_once
        told = {"percent": percent, "halted": state.halted, "critical_at_once": at_once, "steps": steps}
        document = {"version": version, **told}
        click.echo(json.dumps(document, indent=2))
        return
    table = Table(title=f"Rollout of {version}", title_justify="left")
    for heading in ("from", "sites", ""):
        table.add_column(heading)
    for line in lines:
        table.add_row(*line)
    table_console().print(table)
    why = " (it is halted)" if state.halted else " (it is withdrawn)" if state.yanked else ""
    say(f"Automatic updates reach {percent} % of the sites now{why}.")
    if state.rollout is not None and state.rollout.critical_at_once:
        say("Sites for which the update is critical do not wait.")


@rollout_group.command("set")
@click.argument("version")
@click.argument("steps", nargs=-1, required=True, metavar="PERCENT | TIME=PERCENT...")
@_critical_option
@dry_run_option
@with_workspace
def set_command(
    work: Workspace, version: str, steps: tuple[str, ...], critical_at_once: bool | None, dry_run: bool
) -> None:
    """Replace the schedule of VERSION: one percentage for now, or steps such as 2026-01-20T10:00:00Z=25.

    100 for now takes the schedule away: every site may have the release.
    """
    moment = now()
    edit = set_rollout(parse_steps(steps, moment), moment, critical_at_once=critical_at_once)
    run_edit(work, version, edit, dry_run=dry_run, done=f"has the schedule {' '.join(steps)}")


@rollout_group.command("ramp")
@click.argument("version")
@click.option("--over", required=True, metavar="TIME", help="Until all sites are reached: 36h, 7d, 2w.")
@click.option("--start", type=int, default=5, show_default=True, metavar="PERCENT", help="How many sites begin.")
@_critical_option
@dry_run_option
@with_workspace
def ramp_command(
    work: Workspace, version: str, *, over: str, start: int, critical_at_once: bool | None, dry_run: bool
) -> None:
    """Reach all sites over some time from now, doubling their number at equal distances.

    A ramp that has begun goes on when the command is repeated.
    """
    edit = ramp(Ramp(parse_duration(over), start), now(), critical_at_once=critical_at_once)
    run_edit(work, version, edit, dry_run=dry_run, done=f"reaches all sites over {over} from {start} %")


@rollout_group.command("simulate")
@click.argument("version")
@click.option(
    "--sites", type=click.IntRange(1, 1_000_000), default=10_000, show_default=True, help="Size of the fleet."
)
@click.option("--every", default="1d", show_default=True, metavar="TIME", help="How often each site asks.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@with_workspace
def simulate_command(work: Workspace, version: str, sites: int, every: str, as_json: bool) -> None:
    """Draw how the schedule of VERSION would go in a fleet of made-up sites, which ask at times of their own.

    People who ask get the release at once, and are not in it.
    """
    version, period = version_of(work, version), parse_duration(every)
    rollout = operator_of(work).state(version).rollout
    steps = () if rollout is None else rollout.steps
    begin = steps[0].at if steps else now()
    end = (steps[-1].at if steps else begin) + period
    moments = [begin + (end - begin) * number / _LINES for number in range(_LINES + 1)]
    salt = version if rollout is None else rollout.salt
    curve = simulate(rollout, begin, salt=salt, sites=sites, every=period, moments=moments)
    if as_json:
        rows = [{"at": format_time(m.at), "reached": m.reached, "installed": m.installed} for m in curve]
        click.echo(json.dumps({"version": version, "sites": sites, "moments": rows}, indent=2))
        return
    table = Table(title=f"Rollout of {version} in {sites:,} sites", title_justify="left")
    for heading in ("at", "reached", "installed", ""):
        table.add_column(heading)
    for m in curve:
        bar = "█" * round(m.installed / 2.5) + "░" * max(round(m.reached / 2.5) - round(m.installed / 2.5), 0)
        table.add_row(format_time(m.at), f"{m.reached:.1f} %", f"{m.installed:.1f} %", bar)
    table_console().print(table)
