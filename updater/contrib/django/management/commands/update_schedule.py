"""``manage.py update_schedule``: the lines for cron, or the units for systemd, with this site's own paths in them."""

from __future__ import annotations

import getpass
import shlex
import sys
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from django.core.management.base import CommandParser

from updater.cli.exits import Exit
from updater.contrib.django.conf import conf
from updater.contrib.django.management.output import UpdaterCommand
from updater.contrib.django.policy import FREQUENCIES
from updater.schedule import unit_command, unit_path, unit_text
from updater.site import Site

_CRON = {
    "six-hourly": "{minute} */6 * * *",
    "daily": "{minute} 2 * * *",
    "weekly": "{minute} 3 * * 1",
    "monthly": "{minute} 3 1 * *",
}
_TIMERS = {
    "six-hourly": "*-*-* 00/6:00:00",
    "daily": "*-*-* 02:00:00",
    "weekly": "Mon *-*-* 03:00:00",
    "monthly": "*-*-01 03:00:00",
}
_SPREAD = {"six-hourly": "1h", "daily": "6h", "weekly": "6h", "monthly": "6h"}
UNITS = ("updater-web.path", "updater-web.service", "updater-check.service", "updater-check.timer")


class Command(UpdaterCommand):
    """Prints, and installs nothing: where units and crontabs lie is the administrator's business."""

    help = "Print crontab lines or systemd units that check for updates, and carry out what the admin asks for."

    def add_arguments(self, parser: CommandParser) -> None:
        """See `BaseCommand`."""
        super().add_arguments(parser)
        kind = parser.add_mutually_exclusive_group()
        kind.add_argument("--cron", action="store_true", help="crontab lines (the default)")
        kind.add_argument("--systemd", action="store_true", help="systemd units")
        parser.add_argument("--every", choices=list(FREQUENCIES), default="daily", help="how often (default: daily)")
        parser.add_argument("--user", default=getpass.getuser(), help="the user that owns the site (default: you)")
        parser.add_argument("--write-to", metavar="DIR", help="with --systemd: write the units into this folder")

    def work(self, site: Site, options: dict[str, Any]) -> int:
        """See `UpdaterCommand`."""
        manage = [sys.executable, str(Path(sys.argv[0]).absolute())]
        if not options["systemd"]:
            self.stdout.write(_cron_lines(site, manage, options["every"]))
            return Exit.DONE
        values = self._values(site, manage, options)
        for name in UNITS:
            text = _unit(name, values)
            if options["write_to"]:
                path = Path(options["write_to"]) / name
                path.write_text(text, encoding="utf-8")
                self.stdout.write(f"Wrote {path}")
            else:
                self.stdout.write(f"# /etc/systemd/system/{name}\n{text}")
        self.stdout.write("# systemctl daemon-reload && systemctl enable --now updater-web.path updater-check.timer")
        return Exit.DONE

    def _values(self, site: Site, manage: list[str], options: dict[str, Any]) -> dict[str, str]:
        folder = conf().require_folder()
        words = [sys.executable, "-m", "updater.contrib.django.runs", "--site", str(site.path)]
        words += ["--folder", str(folder.path)]
        every = options["every"]
        return {
            "user": options["user"],
            "site": unit_text(str(site.path)),
            "request": unit_text(str(folder.request_path)),  # takes the whole line, quotes included
            "writable": " ".join(dict.fromkeys((unit_path(site.path), unit_path(folder.path)))),
            "run": unit_command(words),
            "check": unit_command([*manage, "check_updates", "--auto-install", "--notify"]),
            "when": _TIMERS[every],
            "spread": _SPREAD[every],
        }


def _cron_lines(site: Site, manage: list[str], every: str) -> str:
    minute = sum(str(site.path).encode()) % 60  # sites on one machine, and in the world, do not all ask at once
    when = _CRON[every].format(minute=minute)
    directory = shlex.quote(str(Path(manage[1]).parent))
    command = f"cd {directory} && {shlex.join([*manage, 'check_updates', '--auto-install', '--notify'])}"
    return (
        f"# as the user who owns the site; the settings decide how often it really asks, and what installs itself\n"
        f"{when} {command.replace('%', chr(92) + '%')}"
    )


def _unit(name: str, values: dict[str, str]) -> str:
    text = files("updater.contrib.django").joinpath("systemd", name).read_text(encoding="utf-8")
    return Template(text).substitute(values)
