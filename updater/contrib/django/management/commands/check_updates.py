"""``manage.py check_updates``: ask the feed when it is time, install what may install itself, tell who should know."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser
from django.db import DatabaseError, connections
from django.utils import timezone

from updater import Updater
from updater.cli.amounts import size
from updater.cli.exits import Exit
from updater.contrib.django.checked import Checked, perform_check, read_checked
from updater.contrib.django.conf import conf
from updater.contrib.django.management.output import UpdaterCommand
from updater.contrib.django.mirror import leave_view, sync
from updater.contrib.django.models import UpdateSettings
from updater.contrib.django.panel import effective_policy
from updater.contrib.django.policy import Policy, is_due, why_not_now
from updater.contrib.django.runs.request import Request
from updater.errors import UpdaterError
from updater.site import Site


class Command(UpdaterCommand):
    """Made for cron and systemd timers: quiet when it is not time, and its exit code tells how it went."""

    help = (
        "Ask whether updates wait, as often as the settings say; with --auto-install, install what the settings let "
        "install itself. Ends with the exit codes of `updater`."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """See `BaseCommand`."""
        super().add_arguments(parser)
        parser.add_argument("--auto-install", action="store_true", help="install what the settings allow")
        parser.add_argument("--force", action="store_true", help="check now, whatever the settings say")
        parser.add_argument("--notify", action="store_true", help="send the notices that the settings ask for")

    def work(self, site: Site, options: dict[str, Any]) -> int:
        """See `UpdaterCommand`."""
        settings, now = UpdateSettings.load(), timezone.now()
        policy, folder = effective_policy(settings), conf().require_folder()
        if not options["force"] and not is_due(policy, _last_try(read_checked(folder)), now):
            if options["verbosity"] > 1:
                self.stdout.write("It is not time to check.")
            self._finish(options)
            return Exit.DONE
        try:
            found = perform_check(Updater(site), folder, now)
        except UpdaterError:
            self._finish(options)
            raise
        self._finish(options)
        only = options["component"]
        asked = [checked for name, checked in found.items() if only in (None, name)]
        for checked in asked:
            self._show(checked, options["verbosity"])
        if not options["auto_install"]:
            return Exit.DONE
        waiting = [checked for checked in asked if checked.version is not None]
        allowed = [checked for checked in waiting if self._may_install(checked, policy, now)]
        if not allowed:
            return Exit.DONE
        everything = only is None and len(allowed) == len(waiting)
        return self._install(site, allowed, now, () if everything else tuple(one.component for one in allowed))

    def _may_install(self, checked: Checked, policy: Policy, now: datetime) -> bool:
        """Whether the settings let it install itself now; says why not."""
        skipped = checked.version in conf().require_folder().skipped().get(checked.component, {})
        critical = bool((checked.answer or {}).get("critical"))
        reason = why_not_now(policy, critical=critical, skipped=skipped, now=timezone.localtime(now))
        if reason:
            self.stdout.write(f"Not installed: {'' if checked.is_core else f'{checked.what}: '}{reason}")
        return not reason

    def _finish(self, options: dict[str, Any]) -> None:
        """Whatever came of it: bring the tables up to date, and tell."""
        view = leave_view()
        try:
            sync(view)
            if options["notify"]:
                from updater.contrib.django.notices.deliver import deliver

                deliver()
        except DatabaseError as error:
            self.stderr.write(f"warning: the tables could not be brought up to date: {error}")

    def _show(self, checked: Checked, verbosity: int) -> None:
        answer = checked.answer or {}
        if checked.version is None:
            if verbosity:
                reasons = answer.get("reasons") or ["There is no update."]
                self.stdout.write("\n".join(reasons if checked.is_core else [f"{checked.component}: {reasons[0]}"]))
            return
        mark = " (critical)" if answer.get("critical") else ""
        self.stdout.write(
            f"{checked.what} is available{mark}; installed: {checked.installed or 'nothing'}; "
            f"{size(int(answer.get('file_size') or 0))} at most to download."
        )
        for reason in checked.blocked:
            self.stdout.write(f"blocked: {reason}")

    def _install(self, site: Site, updates: Sequence[Checked], now: datetime, components: tuple[str, ...]) -> int:
        """Through the same door as the admin, with this process waiting: it holds no connection meanwhile."""
        folder = conf().require_folder()
        self.stdout.write(f"Installing {', '.join(checked.what for checked in updates)}.")
        request = Request.new("update", None, actor="check_updates", now=now, components=components)
        folder.ask(request, now)
        connections.close_all()
        words = [sys.executable, "-m", "updater.contrib.django.runs", "--site", str(site.path)]
        code = subprocess.run([*words, "--folder", str(folder.path)], stdin=subprocess.DEVNULL, check=False).returncode
        record = folder.record(request.id, timezone.now())
        if record is None or record.exit_code is None:  # another process took it, and has not ended yet
            return Exit(code)
        if record.message:
            self.stdout.write("\n".join(filter(None, (record.message, record.why, record.hint))))
        return record.exit_code


def _last_try(known: dict[str, Checked]) -> datetime | None:
    """When the feed answered last: a check that failed is tried again by the next start."""
    return min((checked.at for checked in known.values() if checked.at), default=None)
