"""What the management commands share with the `updater` command: its exit codes, and how it tells of errors."""

from __future__ import annotations

import sys
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from updater.cli.exits import Exit, exit_code
from updater.contrib.django.conf import conf
from updater.contrib.django.looking import components_of
from updater.errors import BlockedError, UpdaterError
from updater.site import Site

__all__ = ["UpdaterCommand"]


class UpdaterCommand(BaseCommand):
    """A command that ends with the codes of docs/exit-codes.md, and tells "what, why, next" without a traceback."""

    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """What every one of them takes."""
        parser.add_argument("--component", metavar="NAME", help="only this component (default: all that the site has)")

    def work(self, site: Site, options: dict[str, Any]) -> int:
        """The command itself; returns its exit code."""
        raise NotImplementedError

    def handle(self, *args: Any, **options: Any) -> None:
        """Called by Django. Exits with the code unless it is 0."""
        try:
            site = conf().require_site()
            component = options.get("component")
            known = () if component is None else (site.state().component, *(one.name for one in components_of(site)))
            if component is not None and component not in known:
                raise CommandError(
                    f"This site has no component {component!r}, only {', '.join(known)}.", returncode=Exit.USAGE
                )
            code = self.work(site, options)
        except ImproperlyConfigured as error:
            raise CommandError(str(error), returncode=Exit.USAGE) from error
        except UpdaterError as error:
            raise CommandError(_explained(error), returncode=exit_code(error)) from error
        if code:
            sys.exit(code)


def _explained(error: UpdaterError) -> str:
    reasons = error.reasons if isinstance(error, BlockedError) else ()
    lines = [str(error), *(f"why:   {reason}" for reason in reasons if reason not in str(error))]
    return "\n".join(lines + ([f"next:  {error.hint}"] if error.hint else []))
