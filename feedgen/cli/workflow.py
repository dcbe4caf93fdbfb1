"""``feedgen workflow``: what the workflows on GitHub call between their steps."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from feedgen.build import config_at_tag
from feedgen.cli.console import now, say, step, success, warn
from feedgen.cli.refresh import refresh_command
from feedgen.config import Project, load_project
from feedgen.errors import ConfigError, FeedgenError
from feedgen.publish.catalog import Catalog
from feedgen.publish.feeds import parse_feeds
from feedgen.repository.state import load
from feedgen.source import parse_tag
from feedgen.verify import NEWEST, SiteCheck
from feedgen.workflow.plan import agreed_package, environment_of, operation_environment
from updater.schema import channel_of
from updater.transport import HTTPTransport

__all__ = ["workflow_group"]


@click.group("workflow")
def workflow_group() -> None:
    """Steps of the GitHub workflows. They print NAME=VALUE lines, and append them to $GITHUB_OUTPUT."""


@workflow_group.command("plan")
@click.argument("tag")
def plan_command(tag: str) -> None:
    """Say what publishing TAG needs: version, channel, environment, and where the site is served."""
    project = load_project(Path.cwd())
    config_at_tag(project.folder, tag)
    version = parse_tag(tag, project.config.tag_prefix)
    channel = channel_of(version)
    _output({"version": version, "channel": channel, "environment": environment_of(channel), **_served(project)})


@workflow_group.command("operation")
@click.argument("version", default="")
@click.option("--to", "channel", default="", metavar="CHANNEL", help="The channel that the operation leads to.")
def operation_command(version: str, channel: str) -> None:
    """Say which environment holds the keys for a change of VERSION; the site folder has to be there."""
    project = load_project(Path.cwd())
    state = load(project.site)
    feeds = parse_feeds(state.feeds, app=project.config.app, component=project.config.component)
    _output(
        {
            "environment": operation_environment(Catalog.of_site(project.site, feeds), version, channel),
            **_served(project),
        }
    )


@workflow_group.command("same")
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
def same_command(folders: tuple[Path, ...]) -> None:
    """Fail unless every package in FOLDERS has the same name and bytes; print one of them."""
    _output({"package": str(agreed_package(folders))})


@workflow_group.command("report")
@click.option("--repository", envvar="GITHUB_REPOSITORY", required=True, metavar="OWNER/NAME")
@click.option("--needs", default="{}", metavar="JSON", help="The 'needs' context of the workflow.")
@click.option("--keep-alive", metavar="FILE", help="Workflow to enable anew.")
@click.option("--url", metavar="URL", help="Where the site is served.  [default: base_url in feedgen.toml]")
def report_command(repository: str, needs: str, keep_alive: str | None, url: str | None) -> None:
    """Look at the published site, then open, update or close the one issue that says what is wrong with it."""
    from feedgen.doctor.api import repository_api
    from feedgen.workflow import report as issue

    config = load_project(Path.cwd()).config
    base = url or config.base_url
    check = SiteCheck(base, HTTPTransport(), now=now(), app=config.app).run(
        only=NEWEST, expect=config.root_sha256 or ""
    )
    problems = [*issue.failed_jobs(_json(needs)), *(f"{found.where}: {found.message}" for found in check.findings)]
    problems += [text for text in check.warnings if "No release" not in text]
    api = repository_api(repository)
    if keep_alive and not issue.keep_alive(api, keep_alive):
        warn(f"{keep_alive} could not be enabled anew; GitHub switches schedules off after 60 days without activity.")
    run = os.environ.get("GITHUB_RUN_ID")
    server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
    done = issue.report(api, config.app, problems, run_url=f"{server}/{repository}/actions/runs/{run}" if run else "")
    for problem in problems:
        say(f"- {problem}")
    success(f"Issue: {done.what}{f' (#{done.number})' if done.number else ''}")


@workflow_group.command("refresh")
@click.option("--repository", envvar="GITHUB_REPOSITORY", required=True, metavar="OWNER/NAME")
@click.pass_context
def refresh_step(ctx: click.Context, repository: str) -> None:
    """Record how often releases were downloaded, then do what 'feedgen refresh' does."""
    from feedgen.doctor.api import repository_api
    from feedgen.workflow.downloads import count_downloads, record_downloads

    project = load_project(Path.cwd())
    try:
        counts = count_downloads(repository_api(repository), project.config)
    except FeedgenError as problem:
        warn(f"Downloads were not counted: {problem}")
    else:
        if record_downloads(project.site, counts, now()):
            step(f"Counted the downloads of {len(counts)} releases")
    ctx.invoke(refresh_command)


def _json(text: str) -> dict[str, dict[str, object]]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"--needs is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError("--needs is not a JSON object")
    return found


def _served(project: Project) -> dict[str, str]:
    config = project.config
    site = project.site.relative_to(project.folder).as_posix()
    return {"site": site, "base-url": config.base_url, "root-sha256": config.root_sha256 or ""}


def _output(values: dict[str, str]) -> None:
    lines = "".join(f"{name}={value}\n" for name, value in values.items())
    if any("\n" in value or "\r" in value for value in values.values()):
        raise ConfigError("A value holds a line break")
    step("\n  ".join(lines.splitlines()))
    path = os.environ.get("GITHUB_OUTPUT")
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(lines)
