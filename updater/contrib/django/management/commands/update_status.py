"""``manage.py update_status``: what is installed, what waits, how the last run went; from files alone."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandParser
from django.db import DatabaseError
from django.utils import timezone

from updater.cli.amounts import ago, moment
from updater.cli.exits import Exit
from updater.contrib.django.badge import waiting
from updater.contrib.django.checked import read_checked
from updater.contrib.django.conf import conf
from updater.contrib.django.looking import SiteView, can_read
from updater.contrib.django.management.output import UpdaterCommand
from updater.contrib.django.mirror import current_view, leave_view, sync
from updater.errors import StateError
from updater.site import Site


class Command(UpdaterCommand):
    """Looks only, but for what ``--sync`` and ``--notify`` say."""

    help = "Say what is installed and which updates wait; --sync brings the database's tables up to date."

    def add_arguments(self, parser: CommandParser) -> None:
        """See `BaseCommand`."""
        super().add_arguments(parser)
        parser.add_argument("--json", action="store_true", help="print it as JSON")
        parser.add_argument("--sync", action="store_true", help="bring the database's tables up to date first")
        parser.add_argument("--notify", action="store_true", help="send the notices that the settings ask for")

    def work(self, site: Site, options: dict[str, Any]) -> int:
        """See `UpdaterCommand`."""
        view = leave_view() if options["sync"] and can_read(site) else current_view()
        if view is None:
            raise StateError(
                f"{site.directory} cannot be read by this user, and nobody has left word of it.",
                hint="Run `manage.py update_status --sync` once as the user who owns the site.",
            )
        if options["sync"]:
            self._sync(view)
        if options["notify"]:
            from updater.contrib.django.notices.deliver import deliver

            deliver()
        self.stdout.write(json.dumps(_json(view), indent=2) if options["json"] else _text(view))
        return Exit.DONE

    def _sync(self, view: SiteView) -> None:
        try:
            sync(view)
        except DatabaseError as error:
            self.stderr.write(f"warning: the tables could not be brought up to date: {error}")


def _json(view: SiteView) -> dict[str, Any]:
    run = conf().require_folder().current(timezone.now())
    return {
        "schema": "1.0",
        "app": view.app,
        "component": view.component,
        "installed_version": view.version,
        "channel": view.channel,
        "available": [checked.what for checked in waiting()],
        "components": [one.__dict__ for one in view.components],
        "interrupted": view.interrupted,
        "problem": view.problem,
        "restore_points": [point.id for point in view.points],
        "run": None if run is None else run.to_json(),
        "update": dict(view.status or {}),
    }


def _text(view: SiteView) -> str:
    now = timezone.now()
    lines = [f"{view.app} {view.version or '(not installed yet)'}, channel {view.channel or 'unknown'}"]
    for one in view.components:
        state = one.version or ("not installed" if one.enabled else "disabled")
        lines.append(f"{one.name.ljust(12)} {state}")
    checked = read_checked(conf().require_folder()).get(view.component)
    if checked is not None:
        when = "never" if checked.at is None else f"{moment(checked.at)} ({ago((now - checked.at).total_seconds())})"
        lines.append(f"checked      {when}")
        if checked.error is not None:
            lines.append(f"last attempt {moment(checked.tried_at)}: {checked.error.get('message')}")
    waits = [one.what for one in waiting()]
    lines.append(f"available    {', '.join(waits) or 'nothing'}")
    point = view.point
    lines.append(f"way back     {'none yet' if point is None else f'{point.version} ({point.id})'}")
    state = str((view.status or {}).get("state", "idle"))
    lines.append(f"last update  {state.replace('_', ' ')}")
    if view.interrupted:
        lines.append("INTERRUPTED  an update was interrupted: `updater recover` finishes or undoes it")
    if view.problem:
        lines.append(f"problem      {view.problem}")
    return "\n".join(lines)
