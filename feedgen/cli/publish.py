"""``feedgen publish``: from a tag to a release that sites see."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Unpack

import click

from feedgen.cli.check import self_check
from feedgen.cli.console import Workspace, now, say, size_text, step, success, warn, with_workspace
from feedgen.cli.publish_options import GivenOptions, publish_options, read_options
from feedgen.cli.stores import notes_from, open_store
from feedgen.publish.publisher import Publisher, PublishResult
from updater.schema import PublisherConfig

__all__ = ["publish_command"]


@click.command("publish")
@click.argument("tag", required=False)
@publish_options
@click.option("--store", metavar="DIR|github", help="Where packages are kept.  [default: packages/ in the site]")
@click.option("--generate-notes", is_flag=True, help="Release notes that GitHub writes, instead of the changelog's.")
@click.option("--dry-run", is_flag=True, help="Build and say what would be published; write nothing.")
@with_workspace
def publish_command(
    work: Workspace,
    tag: str | None,
    store: str | None,
    generate_notes: bool,
    dry_run: bool,
    **given: Unpack[GivenOptions],
) -> None:
    """Publish the release TAG: package, signature, feeds and their metadata, then a check as a client.

    Run it again after any failure: it completes. Run it twice: nothing changes.
    """
    tag, options = read_options(tag, work.config.tag_prefix, given)
    if generate_notes and options.notes is not None:
        raise click.UsageError("Choose --notes or --generate-notes.")
    with open_store(work, store) as packages:
        if generate_notes:
            options = replace(options, notes=notes_from(packages, tag))
        publisher = Publisher(work.project.folder, work.config, work.site, packages, work.ring, step)
        result = publisher.publish(tag, now=now(), dry_run=dry_run, options=options)
        if dry_run:
            _show_plan(result)
            return
        checked = self_check(work.config, work.site, packages, only=result.version, proven=result.proven)
        for warning in checked.warnings:
            warn(warning)
    _show(work.config, result, work.site)


def _show_plan(result: PublishResult) -> None:
    if not result.files:
        say(f"{result.version} is published already; nothing would change.")
        return
    say(f"Would publish {result.version} ({result.channel}), {result.package} of {size_text(result.size)}:")
    for path in result.files:
        step(path)
    say("Nothing was written.")


def _show(config: PublisherConfig, result: PublishResult, site: Path) -> None:
    if not result.changed:
        success(f"{result.version} is published already; nothing changed.")
        return
    feeds = ", ".join(f"{channel}.json" for channel in result.feeds) or "no feed"
    success(f"Published {result.version} ({result.channel}) in {feeds}: {result.package}, {size_text(result.size)}")
    if result.pruned:
        step(f"Removed {len(result.pruned)} superseded files")
    say(f"Now upload {site} so that it is served at {config.base_url}")
