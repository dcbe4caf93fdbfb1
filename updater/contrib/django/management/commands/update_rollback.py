"""``manage.py update_rollback``: go back, through the engine's own command."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from django.core.management.base import CommandParser
from django.db import connections

from updater.contrib.django.management.output import UpdaterCommand
from updater.contrib.django.runs.commands import engine_environment
from updater.site import Site


class Command(UpdaterCommand):
    """The same as `updater rollback --site SITE`; it is there so that all commands are found in one place. When Django
    cannot start, `updater rollback` still can."""

    help = "Go back to an earlier release: code and database. Takes what `updater rollback` takes."

    def add_arguments(self, parser: CommandParser) -> None:
        """See `BaseCommand`."""
        super().add_arguments(parser)
        parser.add_argument("target", nargs="?", metavar="ID|VERSION|ZIP", help="default: the newest restore point")
        parser.add_argument("--keep-database", action="store_true", help="go back with the code alone")
        parser.add_argument("--yes", action="store_true", help="ask nothing; needed without a terminal")
        parser.add_argument("--dry-run", action="store_true", help="show what would happen and stop")
        parser.add_argument("--json", action="store_true", help="print plan and result as JSON")

    def work(self, site: Site, options: dict[str, Any]) -> int:
        """See `UpdaterCommand`."""
        import os

        names = ("keep_database", "yes", "dry_run", "json")
        chosen = [f"--{name.replace('_', '-')}" for name in names if options[name]]
        words = [*([options["target"]] if options["target"] else []), *chosen, "--site", str(site.path)]
        connections.close_all()  # the engine may have to replace the database
        command = [sys.executable, "-m", "updater", "rollback", *words]
        return subprocess.run(command, env=_with_colour(engine_environment(os.environ)), check=False).returncode


def _with_colour(environ: dict[str, str]) -> dict[str, str]:
    """This one has a terminal."""
    return {name: value for name, value in environ.items() if name != "NO_COLOR"}
