"""``feedgen site``: the branch that holds the published site."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path

import click

from feedgen.cli.console import say, step, success
from feedgen.config import load_project
from feedgen.errors import ConfigError, FeedgenError
from feedgen.repository.state import load
from feedgen.site_branch import DEFAULT_BRANCH, SiteBranch

__all__ = ["site_group"]


def _with_branch(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command ``--branch`` and ``--remote``, and a ``SiteBranch`` as its first argument."""

    @click.option("--branch", default=DEFAULT_BRANCH, show_default=True, help="Branch that holds the site.")
    @click.option("--remote", metavar="URL", help="Repository of the branch.  [default: where origin points to]")
    @wraps(command)
    def run(*arguments: object, branch: str, remote: str | None, **options: object) -> None:
        project = load_project(Path.cwd())
        command(SiteBranch(project.site, remote or _origin(project.folder), branch), *arguments, **options)

    return run


def _origin(folder: Path) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), "config", "--get", "remote.origin.url"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ConfigError(
            f"{folder} has no remote called origin",
            hint="Add it ('git remote add origin URL'), or say --remote URL.",
        )
    return done.stdout.strip()


@click.group("site")
def site_group() -> None:
    """Fetch and push the branch that holds the published site.

    The branch is the site's database, its log and its undo: every change is a commit that can be looked at.
    """


@site_group.command("pull")
@click.option("--discard", is_flag=True, help="Drop changes of the folder that were not pushed.")
@_with_branch
def pull_command(branch: SiteBranch, discard: bool) -> None:
    """Make the site folder equal to the branch."""
    branch.pull(discard=discard)
    success(f"{branch.folder} is what {branch.branch} says.")


@site_group.command("push")
@click.option("--message", "-m", default="Change the site", show_default=True, help="Message of the commit.")
@_with_branch
def push_command(branch: SiteBranch, message: str) -> None:
    """Commit the site folder and push it; the first push begins the branch."""
    load(branch.folder)  # what does not verify is not pushed
    if branch.push(message):
        success(f"Pushed to {branch.branch}: {message}")
    else:
        success("Nothing to push.")


@site_group.command("run", context_settings={"ignore_unknown_options": True})
@click.option("--message", "-m", default="Change the site", show_default=True, help="Message of the commit.")
@click.option("--push-what-verifies", is_flag=True, help="Push also when COMMAND failed, if what it left verifies.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@_with_branch
@click.pass_context
def run_command(
    ctx: click.Context, branch: SiteBranch, command: tuple[str, ...], message: str, push_what_verifies: bool
) -> None:
    """Pull, run 'feedgen COMMAND...', push. When somebody else pushes in between: all of it again.

    Changes of the site folder that were not pushed are dropped: a killed run leaves nothing that matters.
    Example: feedgen site run -m "Sign again" -- refresh
    """
    status = 0

    def change() -> None:
        nonlocal status
        # -P: a folder of the app that is called feedgen or updater is not what should run.
        status = subprocess.run([sys.executable, "-P", "-m", "feedgen", *command], check=False).returncode
        if status and not push_what_verifies:
            say("The command failed; nothing was pushed.")
            ctx.exit(status)

    def verified() -> None:
        change()
        try:
            load(branch.folder)
        except FeedgenError:
            if not status:
                raise
            ctx.exit(status)

    pushed = branch.run(verified, message)
    if pushed:
        success(f"Pushed to {branch.branch}: {message}")
    else:
        step("The site is unchanged; nothing to push.")
    ctx.exit(status)
