"""The part of ``feedgen init`` that sets a repository on GitHub up: workflows, and the commands that are left to do."""

from __future__ import annotations

import difflib
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from feedgen import __version__
from feedgen.cli.console import say, step, success, warn
from feedgen.errors import ConfigError
from feedgen.publish.writer import replace_file
from feedgen.workflow.callers import DEFAULT_SOURCE, Setup, github_repository, resolve_pin
from updater.schema import PublisherConfig

__all__ = ["GitHubOptions", "github_options", "set_up_github"]


@dataclass(frozen=True)
class GitHubOptions:
    """What the options of ``feedgen init`` say about GitHub."""

    wanted: bool
    repository: str | None
    pin: str | None
    store: str
    deploy: str
    overwrite: bool


def github_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options, and a ``GitHubOptions`` as its argument ``github``."""

    @click.option("--github", "wanted", is_flag=True, help="Write the workflows that publish from GitHub.")
    @click.option("--repository", metavar="OWNER/NAME", help="On GitHub.  [default: where origin points to]")
    @click.option("--workflows-at", "pin", metavar="COMMIT", help="Pin our workflows to this commit.")
    @click.option(
        "--store", type=click.Choice(["github", "site"]), default="github", help="Packages: Releases or site."
    )
    @click.option("--deploy", type=click.Choice(["branch", "pages"]), default="branch", help="What Pages serves.")
    @click.option("--overwrite", is_flag=True, help="Replace workflows that differ.")
    def run(**options: object) -> None:
        names = ("wanted", "repository", "pin", "store", "deploy", "overwrite")
        command(github=GitHubOptions(**{name: options.pop(name) for name in names}), **options)  # type: ignore[arg-type]

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__click_params__ = [*getattr(command, "__click_params__", []), *run.__click_params__]  # type: ignore[attr-defined]
    return run


def set_up_github(folder: Path, config: PublisherConfig, keys: Path, options: GitHubOptions) -> None:
    """Write the workflows and print what is left to do. Raises ``ConfigError`` rather than touch an edited file."""
    repository = options.repository or github_repository(_git(folder, "config", "--get", "remote.origin.url"))
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ConfigError(
            "Which repository on GitHub is this?",
            hint="Say --repository OWNER/NAME, or 'git remote add origin https://github.com/OWNER/NAME'.",
        )
    pin = options.pin or resolve_pin(DEFAULT_SOURCE)
    if not pin:
        pin = f"v{__version__}"
        warn(
            f"The commit of {DEFAULT_SOURCE} {pin} could not be looked up, so the workflows name the tag."
            " With a network: feedgen init --github --overwrite"
        )
    head = _git(folder, "symbolic-ref", "--short", "HEAD") or "main"
    setup = Setup(config, repository, head, pin, store=options.store, deploy=options.deploy)
    files = setup.workflows()
    _check_edited(folder, files, options)
    for path, text in files.items():
        target = folder / path
        kept = target.is_file() and target.read_text(encoding="utf-8") == text
        if not kept:
            replace_file(target, text.encode())
        step(f"{path}{' (as it was)' if kept else ''}")
    success("The workflows are in place.")
    say("\nWhat is left to do, with the GitHub CLI (gh auth login), in the app's repository")
    for number, item in enumerate(setup.steps(keys), start=1):
        say(f"\n{number}. {item.title}")
        for command in item.commands:
            say(f"   {command}")
    say(
        "\nfeedgen doctor then looks at all of it. If a person shall agree to each stable release, add reviewers to the"
        " environment release-stable."
    )


def _check_edited(folder: Path, files: dict[str, str], options: GitHubOptions) -> None:
    edited = []
    for path, text in files.items():
        target = folder / path
        if not target.is_file() or options.overwrite:
            continue
        there = target.read_text(encoding="utf-8")
        if there != text:
            edited.append(path)
            lines = difflib.unified_diff(there.splitlines(), text.splitlines(), path, f"{path} (new)", lineterm="")
            say("\n".join(lines))
    if edited:
        raise ConfigError(
            f"{', '.join(edited)} would change as shown, and nothing was written",
            hint="Take over what you want by hand, or replace the files with --overwrite.",
        )


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    return "" if done.returncode else done.stdout.strip()
