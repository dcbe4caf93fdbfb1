"""What may be different about one publish: a package built elsewhere, other notes, a less settled channel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

import click

from feedgen.errors import ConfigError
from feedgen.publish.decisions import PublishOptions
from feedgen.source import parse_tag
from updater.schema import CHANNELS
from updater.schema.container_config import check_image

__all__ = ["GivenOptions", "publish_options", "read_options"]

_file = click.Path(path_type=Path, exists=True, dir_okay=False)


class GivenOptions(TypedDict):
    """The options as they were typed."""

    package: Path | None
    version: str | None
    notes: Path | None
    channel: str | None
    no_stop: bool
    container: str | None


def publish_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command these options."""
    for option in (
        click.option(
            "--no-stop", is_flag=True, help="No site needs the migrations that are gone: publish without a stop before."
        ),
        click.option(
            "--container", metavar="IMAGE@sha256:…", help="The image of this release, for sites of containers."
        ),
        click.option("--channel", type=click.Choice(CHANNELS), help="List it only here and in less settled channels."),
        click.option(
            "--notes", type=_file, metavar="FILE", help="Release notes for the feed, instead of the changelog's."
        ),
        click.option("--version", metavar="VERSION", help="With --package, instead of TAG: there is no git tag."),
        click.option("--package", type=_file, metavar="FILE", help="Publish this package instead of building one."),
    ):
        command = option(command)
    return command


def read_options(tag: str | None, prefix: str, given: GivenOptions) -> tuple[str, PublishOptions]:
    """The tag, and the options. Raises ``UsageError``, ``SourceError``, and ``ConfigError`` for notes not in UTF-8."""
    version = given["version"]
    if (tag is None) == (version is None):
        raise click.UsageError("Name the TAG to publish, or with --package the --version.")
    if version is not None and given["package"] is None:
        raise click.UsageError("--version goes together with --package. Without a package, name the tag to build.")
    if tag is None:
        tag = f"{prefix}{version}"
        parse_tag(tag, prefix)
    options = PublishOptions(
        package=given["package"],
        tagged=version is None,
        notes=_read(given["notes"]),
        channel=given["channel"],
        jumps=given["no_stop"],
        container=_image(given["container"]),
    )
    return tag, options


def _image(text: str | None) -> str | None:
    if text is not None:
        try:
            check_image(text)
        except ValueError as error:
            raise click.UsageError(f"--container {error}") from error
    return text


def _read(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text", hint="Save the file in UTF-8.") from error
