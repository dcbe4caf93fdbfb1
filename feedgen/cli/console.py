"""What people see: lines on the terminal, questions, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path

import click
from rich.console import Console

import feedgen.errors
import updater.errors
from feedgen.config import Project, default_keys_directory, load_project
from feedgen.keys import KeyRing, check_passphrase
from feedgen.repository.first_root import check_first_root
from updater.schema import PublisherConfig

__all__ = [
    "Workspace",
    "err",
    "keys_option",
    "new_passphrase",
    "now",
    "out",
    "report_errors",
    "say",
    "site_option",
    "size_text",
    "step",
    "success",
    "table_console",
    "warn",
    "with_workspace",
]

DEBUG_VARIABLE = "FEEDGEN_DEBUG"
PASSPHRASE_VARIABLE = "FEEDGEN_PASSPHRASE"  # noqa: S105 - the name of a variable
FAILED, MISUSED, INTERRUPTED = 1, 2, 130

site_option = click.option(
    "--site",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder of the static site.  [default: site in feedgen.toml]",
)
keys_option = click.option(
    "--keys",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder of the private keys.  [default: ~/.config/tagship/APP/keys]",
)


def out() -> Console:
    """Standard output; made anew for each use so that redirection in tests and pipes is honoured."""
    return Console(highlight=False, soft_wrap=True)


def err() -> Console:
    """Standard error."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def table_console() -> Console:
    """Standard output for tables, which have to know a width; a pipe gets a wide one instead of cut columns."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=140)


def say(text: str = "") -> None:
    """One line of result."""
    out().print(text, markup=False)


def step(text: str) -> None:
    """One line of progress."""
    out().print(f"  {text}", markup=False, style="dim")


def success(text: str) -> None:
    """The line that says that it worked."""
    out().print(text, markup=False, style="green")


def warn(text: str) -> None:
    """Something that needs attention but stops nothing."""
    err().print(f"Warning: {text}", markup=False, style="yellow")


def now() -> datetime:
    """The time of this run: the only clock that the publisher reads."""
    return datetime.now(UTC).replace(microsecond=0)


def size_text(size: int) -> str:
    """A size in bytes for people: ``1.4 MB``."""
    if size < 1000:
        return f"{size} bytes"
    amount = float(size)
    for unit in ("kB", "MB", "GB"):
        amount /= 1000
        if amount < 1000 or unit == "GB":
            return f"{amount:.1f} {unit}"
    raise AssertionError("unreachable")


@dataclass(frozen=True)
class Workspace:
    """What most commands work on: the app's settings, its site folder, and its keys."""

    project: Project
    site: Path
    ring: KeyRing

    @property
    def config(self) -> PublisherConfig:
        """The settings in feedgen.toml."""
        return self.project.config

    @property
    def grace(self) -> timedelta:
        """How long superseded files are kept."""
        return timedelta(days=self.config.grace_days)


def with_workspace(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command ``--site`` and ``--keys``, and a ``Workspace`` as its first argument."""

    @site_option
    @keys_option
    @wraps(command)
    def run(*arguments: object, site: Path | None, keys: Path | None, **options: object) -> None:
        project = load_project(Path.cwd())
        config = project.config
        default = default_keys_directory(config.app, os.environ, config.component)
        ring = KeyRing(keys or default, _ask_passphrase)
        work = Workspace(project, site or project.site, ring)
        check_first_root(work.site, work.config.root_sha256)
        command(work, *arguments, **options)

    return run


def _ask_passphrase(what: str) -> str:
    given = os.environ.get(PASSPHRASE_VARIABLE)
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise feedgen.errors.SigningError(
            f"{what} is encrypted, and there is no terminal to ask for the passphrase on",
            hint=f"Set the environment variable {PASSPHRASE_VARIABLE}.",
        )
    answer: str = click.prompt(f"Passphrase for {what}", hide_input=True, err=True)
    return answer


def new_passphrase() -> str:
    """A passphrase for new keys: from ``FEEDGEN_PASSPHRASE``, or asked for twice. Raises ``ConfigError``."""
    given = os.environ.get(PASSPHRASE_VARIABLE)
    if given is None:
        if not sys.stdin.isatty():
            raise feedgen.errors.ConfigError(
                "New keys need a passphrase, and there is no terminal to ask for it on",
                hint=f"Set the environment variable {PASSPHRASE_VARIABLE}.",
            )
        given = click.prompt("Passphrase for the new keys", hide_input=True, confirmation_prompt=True, err=True)
    check_passphrase(given)
    return given


@contextmanager
def report_errors(ctx: click.Context) -> Iterator[None]:
    """Turn errors into what happened and what to do next, on standard error, and end with an exit code.

    1: failed. 2: wrong arguments or settings (click's own usage errors as well). 130: interrupted. A traceback is
    shown only when ``FEEDGEN_DEBUG`` is set.
    """
    try:
        yield
    except (feedgen.errors.FeedgenError, updater.errors.UpdaterError) as error:
        misused = isinstance(error, feedgen.errors.ConfigError | updater.errors.ConfigError)
        _fail(ctx, str(error), error.hint, MISUSED if misused else FAILED)
    except (click.Abort, KeyboardInterrupt):
        _fail(ctx, "Interrupted", "Run the command again: it completes what was begun.", INTERRUPTED)
    except BrokenPipeError:
        raise  # the reader of our output went away; click ends quietly
    except (click.ClickException, click.exceptions.Exit):
        raise
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        _fail(ctx, what, "Check that the path exists, who may write there, and the free space.", FAILED)
    except Exception as error:  # noqa: BLE001 - a mistake of ours must not look like one of the maintainer's
        _fail(
            ctx,
            f"feedgen itself made a mistake ({type(error).__name__}: {error})",
            f"Please report it with what 'feedgen' prints when {DEBUG_VARIABLE}=1 is set.",
            FAILED,
        )


def _fail(ctx: click.Context, message: str, hint: str, code: int) -> None:
    if os.environ.get(DEBUG_VARIABLE):
        err().print_exception()
    err().print(f"Error: {message}", markup=False, style="red")
    if hint:
        err().print(f"What to do: {hint}", markup=False)
    ctx.exit(code)
