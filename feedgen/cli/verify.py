"""``feedgen verify``: a published site through the eyes of its clients."""

from __future__ import annotations

import time
from pathlib import Path

import click
from rich.table import Table

from feedgen.cli.check import local_transport
from feedgen.cli.console import FAILED, err, now, say, size_text, step, success, table_console, warn
from feedgen.config import Project, load_project
from feedgen.errors import ConfigError
from feedgen.publish.store import local_store
from feedgen.verify import NEWEST, Finding, Report, SiteCheck
from updater.schema import PublisherConfig
from updater.transport import HTTPTransport, Transport
from updater.trust import FeedLocation

__all__ = ["verify_command"]

_LOCAL_URL = "http://localhost/"
_PAUSE = 10  # seconds between two looks


@click.command("verify")
@click.argument("target", required=False, metavar="[URL|DIR]")
@click.option(
    "--store", metavar="DIR", type=click.Path(path_type=Path, file_okay=False), help="Folder of the packages."
)
@click.option("--root-sha256", metavar="HEX", default="", help="Fingerprint that the first root must have.")
@click.option("--release", default="", metavar="VERSION|newest", help="Look at this package only; it must be listed.")
@click.option("--wait", type=click.IntRange(0, 86400), default=0, metavar="SECONDS", help="Try again for so long.")
@click.pass_context
def verify_command(
    ctx: click.Context, target: str | None, *, store: Path | None, root_sha256: str, release: str, wait: int
) -> None:
    """Check a site with the client's own code: every feed, cold and warm, and every package named.

    Without an argument it checks the site folder of this app. Exits with 1 when anything is wrong.
    """
    base_url, transport, app = _target(target, store)
    deadline = time.monotonic() + wait
    while True:
        report = SiteCheck(base_url, transport, now=now(), app=app, say=step).run(
            expect=_hex(root_sha256), only=release
        )
        if release not in ("", NEWEST) and release not in {checked.version for checked in report.releases}:
            report.findings.append(Finding(release, "is in none of the feeds that are served"))
        if report.good or time.monotonic() >= deadline:
            break
        step(f"Not there yet ({report.findings[0].where}: {report.findings[0].message}); looking again")
        time.sleep(min(_PAUSE, max(0.0, deadline - time.monotonic())))
    _show(report, target or f"The site of {app}")
    if not report.good:
        ctx.exit(FAILED)


def _hex(fingerprint: str) -> str:
    text = fingerprint.lower().replace(":", "").strip()
    if text and (len(text) != 64 or set(text) - set("0123456789abcdef")):
        raise ConfigError(
            f"{fingerprint!r} is not a fingerprint", hint="A root fingerprint has 64 hex digits (SHA-256)."
        )
    return text


def _target(target: str | None, store: Path | None) -> tuple[str, Transport, str]:
    """Base URL, transport and (when known) the app's name of what shall be checked."""
    if target is not None and "://" in target:
        base = target.rpartition("/")[0] + "/" if target.endswith(".json") else target.rstrip("/") + "/"
        FeedLocation.parse(f"{base}stable.json")
        return base, HTTPTransport(), ""
    if target is None:
        project = load_project(Path.cwd())
        config, site = project.config, project.site
    else:
        site = Path(target)
        found = _project()
        # A folder of another app's site says nothing of its URL; any will do, as relative references are followed.
        config = found.config if found and _same(found.site, site) else PublisherConfig("app", _LOCAL_URL)
    if not site.is_dir():
        raise ConfigError(f"There is no folder {site}", hint="Name the folder of a site, or the URL it is served at.")
    packages = local_store(store, site, config) if store or config.store_url == "" else None
    app = config.app if config.base_url != _LOCAL_URL else ""
    return config.base_url, local_transport(config, site, packages, HTTPTransport()), app


def _project() -> Project | None:
    try:
        return load_project(Path.cwd())
    except ConfigError:
        return None


def _same(first: Path, second: Path) -> bool:
    return first.resolve() == second.resolve()


def _show(report: Report, target: str) -> None:
    if report.channels:
        feeds = Table(title="Feeds", title_justify="left")
        for heading in ("channel", "newest", "releases", "sequence", "changed"):
            feeds.add_column(heading)
        for channel, feed in report.channels.items():
            newest = feed.releases[0].version if feed.releases else "-"
            changed = f"{feed.generated:%Y-%m-%d %H:%M} UTC"
            feeds.add_row(channel, newest, str(len(feed.releases)), str(feed.sequence), changed)
        packages = Table(title="Packages", title_justify="left")
        for heading in ("version", "in", "size", "result"):
            packages.add_column(heading)
        for release in report.releases:
            result = "[green]good[/]" if release.good else "[red]bad[/]"
            packages.add_row(release.version, ", ".join(release.channels), size_text(release.size), result)
        table_console().print(feeds, packages)
    if report.root_fingerprint:
        say(f"First root (SHA-256): {report.root_fingerprint}")
    for warning in report.warnings:
        warn(warning)
    for finding in report.findings:
        err().print(f"Wrong: {finding.where}: {finding.message}", markup=False, style="red")
    if report.good:
        success(f"{target} verifies.")
    else:
        count = len(report.findings)
        say(f"{target} does not verify: {count} finding{'s' if count != 1 else ''}.")
