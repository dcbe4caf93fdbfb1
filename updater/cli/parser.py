"""What can be typed: options that every verb has, and the verbs (each module adds its own; standard library only)."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

from updater import __version__
from updater.cli.console import Console
from updater.cli.exits import Exit

__all__ = ["Verbs", "build_parser"]

Run = Callable[[argparse.Namespace, Console], Exit]


class Verbs(Protocol):
    """Where a module adds its verbs."""

    def __call__(self, name: str, run: Run, summary: str, text: str = "", **more: Any) -> argparse.ArgumentParser: ...


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong, and where help is."""

    def error(self, message: str) -> NoReturn:
        self.exit(Exit.USAGE, f"error: {message}\nnext:  See `{self.prog} --help`.\n")


class _VerbParser(_Parser):
    """Of a verb, and of the verbs below it."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        _add_common(self)


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    from updater.cli import (
        backup,
        channel,
        check,
        component,
        container,
        doctor,
        going_back,
        install,
        licensing,
        login,
        look,
        mirror,
        schedule,
        update,
    )

    codes = "\n".join(f"  {code.value:>3}  {code.meaning}" for code in Exit)
    parser = _Parser(
        prog="updater",
        description="Keeps a self-hosted app up to date: signed updates, with a backup and a way back.",
        epilog=f"exit codes:\n{codes}\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"updater {__version__}")
    _add_common(parser)
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", dest="verb", parser_class=_VerbParser)
    parser.set_defaults(run=None)

    def add(name: str, run: Run, summary: str, text: str = "", **more: Any) -> argparse.ArgumentParser:
        verb = verbs.add_parser(
            name,
            help=summary,
            description=text or summary,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            **more,
        )
        verb.set_defaults(run=run)
        return verb

    modules = (
        install,
        check,
        update,
        component,
        container,
        going_back,
        look,
        doctor,
        backup,
        login,
        licensing,
        channel,
    )
    for module in (*modules, schedule, mirror):
        module.add_verbs(add)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    """Options that may stand before and after the verb."""
    hide = argparse.SUPPRESS  # so that the verb's default does not hide what stood before it
    site = "the site's folder (default: the nearest with an updater.toml)"
    parser.add_argument("--site", metavar="DIR", default=hide, help=site)
    quiet = "only warnings, errors and what was asked for"
    parser.add_argument("-q", "--quiet", action="store_true", default=hide, help=quiet)
    verbose = "list every file and every reason"
    parser.add_argument("-v", "--verbose", action="store_true", default=hide, help=verbose)
