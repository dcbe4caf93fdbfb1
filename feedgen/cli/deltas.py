"""``feedgen deltas``: deltas to releases that are published already."""

from __future__ import annotations

import click

from feedgen.cli.check import self_check
from feedgen.cli.console import Workspace, now, say, step, success, warn, with_workspace
from feedgen.cli.operate import dry_run_option, version_of
from feedgen.cli.stores import open_store
from feedgen.publish.publisher import Publisher, PublishResult

__all__ = ["deltas_command"]


@click.command("deltas")
@click.option("--release", metavar="VERSION", help="Deltas to this release.  [default: the newest of each channel]")
@click.option("--from", "sources", metavar="VERSION", multiple=True, help="From this one; may be given several times.")
@click.option("--store", metavar="DIR|github", help="Where packages are kept.  [default: packages/ in the site]")
@dry_run_option
@with_workspace
def deltas_command(
    work: Workspace, release: str | None, sources: tuple[str, ...], store: str | None, dry_run: bool
) -> None:
    """Make deltas that are missing: sites that skip releases then download less.

    Without --from, those that [deltas] in feedgen.toml and the downloads name. Each publish makes them by itself; this
    is for releases that were published before, or when settings changed. A delta that is listed stays as it is.
    """
    names = tuple(version_of(work, version) for version in sources)
    moment = now()
    with open_store(work, store) as packages:
        publisher = Publisher(work.project.folder, work.config, work.site, packages, work.ring, step)
        versions = [version_of(work, release)] if release else list(publisher.newest())
        if not versions:
            say("No release has been published yet.")
        for version in versions:
            result = publisher.add_deltas(version, now=moment, sources=names, dry_run=dry_run)
            if result.changed and not dry_run:
                checked = self_check(work.config, work.site, packages, only=version, proven=result.proven)
                for warning in checked.warnings:
                    warn(warning)
            _show(work, result, dry_run=dry_run)


def _show(work: Workspace, result: PublishResult, *, dry_run: bool) -> None:
    version = result.version
    if dry_run:
        say(f"Would add to {version}:" if result.changes else f"Nothing would be added to {version}.")
    for line in result.changes:
        step(line)
    if dry_run:
        say("Nothing was written.")
    elif not result.changed:
        success(f"{version} has all its deltas; nothing changed.")
    else:
        success(f"Deltas were added to {version}. Now upload {work.site}.")
