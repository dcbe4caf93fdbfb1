"""``feedgen doctor``: whatever would stop a release or a refresh."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import click

from feedgen.cli.check import local_transport
from feedgen.cli.console import FAILED, Workspace, now, out, say, with_workspace
from feedgen.doctor.github import GitHubChecks
from feedgen.doctor.local import local_findings
from feedgen.doctor.model import Finding, skipped
from feedgen.publish.store import local_store
from feedgen.site_branch import DEFAULT_BRANCH
from feedgen.verify import Report, SiteCheck
from feedgen.workflow.callers import Setup, github_repository
from updater.transport import HTTPTransport

__all__ = ["doctor_command"]

_MARKS = {"ok": ("ok", "green"), "skipped": ("-", "dim"), "warning": ("warning", "yellow"), "error": ("error", "red")}


@click.command("doctor")
@click.option(
    "--repository", envvar="GITHUB_REPOSITORY", metavar="OWNER/NAME", help="[default: where origin points to]"
)
@click.option("--offline", is_flag=True, help="Look at this machine only.")
@click.option("--branch", default=DEFAULT_BRANCH, show_default=True, help="Branch that holds the site.")
@click.option("--deploy", type=click.Choice(["branch", "pages"]), default="branch", show_default=True)
@click.option("--store", type=click.Choice(["github", "site"]), default="github", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@with_workspace
@click.pass_context
def doctor_command(  # noqa: PLR0917 - one per option
    ctx: click.Context,
    work: Workspace,
    repository: str | None,
    offline: bool,
    branch: str,
    deploy: str,
    store: str,
    as_json: bool,
) -> None:
    """Look for everything that would stop a release or a refresh, and say how to mend it. Changes nothing.

    The repository's settings are read with the token in GITHUB_TOKEN or GH_TOKEN. Exits with 1 when there is an error.
    """
    folder = work.project.folder
    repository = repository or github_repository(_git(folder, "config", "--get", "remote.origin.url"))
    setup = Setup(work.config, repository, _default_branch(folder), "", branch=branch, deploy=deploy, store=store)
    found = list(local_findings(work.project, work.site, work.ring, now(), lambda: _look(work, store)))
    if offline:
        found.append(skipped("github", "Not looked at, as asked"))
    else:
        found += _github(setup)
    if as_json:
        say(json.dumps([asdict(finding) for finding in found], indent=2))
    else:
        _show(found)
    if any(finding.level == "error" for finding in found):
        ctx.exit(FAILED)


def _look(work: Workspace, store: str) -> Report:
    packages = local_store(None, work.site, work.config) if store == "site" else None
    transport = local_transport(work.config, work.site, packages, HTTPTransport())
    only = "newest" if store == "site" else "none"
    return SiteCheck(work.config.base_url, transport, now=now(), app=work.config.app).run(only=only)


def _github(setup: Setup) -> Iterator[Finding]:
    from feedgen.doctor.api import repository_api

    if not setup.repository:
        yield skipped("github", "Which repository this is on GitHub is not known", "Say --repository OWNER/NAME.")
        return
    if not (os.environ.get("GITHUB_TOKEN") or os.environ.get("GH_TOKEN")):
        yield skipped("github", "Not looked at: there is no token", "GH_TOKEN=$(gh auth token) feedgen doctor")
        return
    api = repository_api(setup.repository)
    about = api.call("GET", "")
    if about.ok:
        setup = replace(setup, default_branch=about.body["default_branch"])
    yield from GitHubChecks(api, setup, now()).run()


def _show(found: list[Finding]) -> None:
    for finding in found:
        mark, style = _MARKS[finding.level]
        out().print(f"{mark:>8}  {finding.subject}: {finding.message}", markup=False, style=style)
        for line in finding.mend.splitlines() if finding.level != "ok" else []:
            out().print(f"{'':>8}    {line}", markup=False)
    counts = {level: sum(finding.level == level for finding in found) for level in _MARKS}
    say(f"\n{counts['error']} errors, {counts['warning']} warnings, {counts['skipped']} not looked at.")


def _default_branch(folder: Path) -> str:
    return _git(folder, "symbolic-ref", "--short", "refs/remotes/origin/HEAD").removeprefix("origin/") or "main"


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    return "" if done.returncode else done.stdout.strip()
