"""``feedgen publish``: from a tag to a release that sites see."""

from __future__ import annotations

from pathlib import Path

import click

from feedgen.cli.check import local_transport
from feedgen.cli.console import key_ring, keys_option, now, project_of, say, site_option, size_text, step, success
from feedgen.errors import ConfigError, SelfCheckError
from feedgen.publish.publisher import Publisher, PublishResult
from feedgen.publish.store import LocalStore, local_store
from feedgen.verify import SiteCheck
from updater.schema import PublisherConfig

__all__ = ["publish_command"]


@click.command("publish")
@click.argument("tag")
@click.option("--store", metavar="DIR|github", help="Where packages are kept.  [default: packages/ in the site]")
@site_option
@keys_option
@click.option("--dry-run", is_flag=True, help="Build and say what would be published; write nothing.")
def publish_command(tag: str, store: str | None, site: Path | None, keys: Path | None, dry_run: bool) -> None:
    """Publish the release TAG: package, signature, feeds and their metadata, then a check as a client.

    Run it again after any failure: it completes. Run it twice: nothing changes.
    """
    if store == "github":
        raise ConfigError(
            "Publishing to GitHub Releases comes with the GitHub store, which this version does not have yet",
            hint="Leave --store out to keep packages in the site, or name a folder.",
        )
    project, site = project_of(site)
    packages = local_store(Path(store) if store else None, site, project.config)
    publisher = Publisher(project.folder, project.config, site, packages, key_ring(project, keys), step)
    result = publisher.publish(tag, now=now(), dry_run=dry_run)
    if dry_run:
        _show_plan(result)
        return
    _self_check(project.config, site, packages, result)
    _show(project.config, result, site)


def _show_plan(result: PublishResult) -> None:
    if not result.files:
        say(f"{result.version} is published already; nothing would change.")
        return
    say(f"Would publish {result.version} ({result.channel}), {result.package} of {size_text(result.size)}:")
    for path in result.files:
        step(path)
    say("Nothing was written.")


def _self_check(config: PublisherConfig, site: Path, packages: LocalStore, result: PublishResult) -> None:
    step("Checking the site as a client")
    transport = local_transport(config, site, packages)
    report = SiteCheck(config.base_url, transport, now=now(), app=config.app).run(only=result.version)
    if not report.good:
        raise SelfCheckError(
            "What was written does not verify as a client sees it:"
            + "".join(f"\n  {finding.where}: {finding.message}" for finding in report.findings),
            hint="Do not upload the site. Restore it from the copy that you published, then publish again.",
        )


def _show(config: PublisherConfig, result: PublishResult, site: Path) -> None:
    if not result.changed:
        success(f"{result.version} is published already; nothing changed.")
        return
    feeds = ", ".join(f"{channel}.json" for channel in result.feeds) or "no feed"
    success(f"Published {result.version} ({result.channel}) in {feeds}: {result.package}, {size_text(result.size)}")
    if result.pruned:
        step(f"Removed {len(result.pruned)} superseded files")
    say(f"Now upload {site} so that it is served at {config.base_url}")
