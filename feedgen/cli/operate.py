"""What the commands that change published releases share: arguments, and one way to say what happened."""

from __future__ import annotations

import click
from packaging.version import InvalidVersion, Version

from feedgen.cli.check import self_check
from feedgen.cli.console import Workspace, now, say, step, success, warn
from feedgen.errors import ConfigError, SourceError
from feedgen.operations.edits import Edit
from feedgen.operations.operator import Operator, Result
from feedgen.source import parse_tag
from updater.schema.text import check_version

__all__ = ["dry_run_option", "operator_of", "run_edit", "show", "version_of"]

dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would change in the feeds; write nothing.")


def operator_of(work: Workspace) -> Operator:
    """The operations of this run."""
    return Operator(work.config, work.site, work.ring, now())


def version_of(work: Workspace, text: str) -> str:
    """A version as it is typed: ``1.4.0b2``, ``1.4.0-beta.2``, or the tag. Raises ``ConfigError``."""
    try:
        return parse_tag(text, work.config.tag_prefix)
    except SourceError:
        pass
    try:
        version = str(Version(text))
        check_version(version)
    except (InvalidVersion, ValueError) as error:
        raise ConfigError(
            f"{text!r} is not a version", hint="Write it as 1.4.0 or 1.4.0b2, or give the tag."
        ) from error
    return version


def run_edit(work: Workspace, version: str, edit: Edit, *, dry_run: bool, done: str) -> None:
    """Make one edit and say so. ``done`` completes the sentence that begins with the version."""
    version = version_of(work, version)
    result = operator_of(work).edit(version, edit, dry_run=dry_run)
    show(work, result, dry_run=dry_run, done=f"{version} {done}", nothing=f"{version} {done} already")


def show(work: Workspace, result: Result, *, dry_run: bool, done: str, nothing: str) -> None:
    """Say what happened, and look at what was written as a client."""
    for remark in result.remarks:
        warn(remark)
    if dry_run:
        _show_plan(result, nothing)
        return
    if not result.changed and not result.written:
        success(f"{nothing}; nothing changed.")
        return
    if result.changed:
        _check(work, result)
    for line in result.changes:
        step(line)
    if result.pruned:
        step(f"Removed {len(result.pruned)} superseded files")
    if not result.changed:
        success(f"{nothing}; files of the site were completed. Now upload {work.site}.")
        return
    success(f"{done}.")
    say(f"Now upload {work.site} so that it is served at {work.config.base_url}")


def _show_plan(result: Result, nothing: str) -> None:
    if not result.changes and not result.written:
        say(f"{nothing}; nothing would change.")
        return
    say("Would change for sites:" if result.changes else "Nothing would change for sites. Would write:")
    for line in result.changes or result.written:
        step(line)
    say("Nothing was written.")


def _check(work: Workspace, result: Result) -> None:
    """The feeds; and the package of one release when it lies in the site (elsewhere, publishing has looked at it)."""
    inside = bool(result.urls) and all("://" not in url for url in result.urls)
    report = (
        self_check(work.config, work.site, only=result.version, deltas=False)
        if inside
        else self_check(work.config, work.site)
    )
    for warning in report.warnings:
        warn(warning)
