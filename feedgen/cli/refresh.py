"""``feedgen refresh``: keep a site's signatures from expiring."""

from __future__ import annotations

import click

from feedgen.cli.check import self_check
from feedgen.cli.console import Workspace, now, step, success, warn, with_workspace
from feedgen.publish.refresh import refresh

__all__ = ["refresh_command"]


@click.command("refresh")
@with_workspace
def refresh_command(work: Workspace) -> None:
    """Sign again what would expire soon; run it every day.

    The timestamp is signed again when it has 10 days left, everything else with a third of its life but at most 60 days
    left. Root and targets need the root keys: when these are not at hand, a warning says when they will be needed.
    """
    result = refresh(work.site, work.ring, now=now(), grace=work.grace)
    for warning in result.warnings:
        warn(warning)
    if result.pruned:
        step(f"Removed {len(result.pruned)} superseded files")
    if result.signed:
        self_check(work.config, work.site)
        success(f"Signed again: {', '.join(result.signed)}. Now upload {work.site}.")
    elif result.written or result.pruned:
        success(f"Nothing is due; the site was tidied up. Now upload {work.site}.")
    else:
        success("Nothing is due.")
