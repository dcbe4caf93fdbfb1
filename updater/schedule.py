"""When a site looks for updates by itself: lines for cron and units for systemd, as text. Pure; standard library only.

Every site has a moment of its own, from its random id: a release does not meet all sites in one minute, and the same
site asks at the same time each day.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from datetime import time
from pathlib import Path
from typing import Literal

from updater.frozen import frozen
from updater.schema.cohorts import COHORTS, cohort_of
from updater.schema.policy_config import DAYS, OwnerPolicy

__all__ = [
    "BEGIN",
    "END",
    "Every",
    "Job",
    "cron_lines",
    "replace_block",
    "unit_command",
    "unit_path",
    "unit_text",
    "units",
]

Every = Literal["hourly", "daily"]
BEGIN, END = "# updater begin", "# updater end"
"""The lines in a crontab around ours; the site's path follows."""

_NIGHT = time(0, 0), time(6, 0)
_DAY = 24 * 60
_SPREAD = {"hourly": "10min", "daily": "30min"}


@frozen
class Job:
    """What shall run: ``command`` is that of the updater without a verb, ``site`` and ``app`` are whose updates, ``id``
    is the site's, ``user`` the one who owns it (empty for units of a user's own manager)."""

    command: tuple[str, ...]
    site: Path
    app: str
    id: str
    policy: OwnerPolicy
    user: str = ""

    @property
    def name(self) -> str:
        """How its units are called: one machine may have several sites of one app."""
        return f"updater-{self.app}-{hashlib.sha256(str(self.site).encode()).hexdigest()[:6]}"

    @property
    def update(self) -> tuple[str, ...]:
        """The command for each time."""
        return (*self.command, "update", "--auto", "--quiet", "--site", str(self.site))

    @property
    def recover(self) -> tuple[str, ...]:
        """The command for when the machine starts."""
        return (*self.command, "recover", "--quiet", "--site", str(self.site))

    def moment(self) -> time:
        """When, each day: in the first half of the maintenance window, so that an update also fits into it, or at
        night."""
        start, end = _NIGHT
        if self.policy.window is not None:
            start, end = self.policy.window.start, self.policy.window.end
        first, length = start.hour * 60 + start.minute, (_minutes(end) - _minutes(start)) % _DAY or _DAY
        spread = length if self.policy.window is None else max(1, length // 2)
        minute = (first + cohort_of(self.id, "schedule") * spread // COHORTS) % _DAY
        return time(minute // 60, minute % 60)


def _minutes(moment: time) -> int:
    return moment.hour * 60 + moment.minute


def cron_lines(job: Job, every: Every) -> str:
    """A block for a crontab of the user who owns the site. With a time zone of its own in the policy it asks every hour
    instead, because cron knows only the machine's."""
    moment = job.moment()
    hourly = every == "hourly" or (job.policy.zone and job.policy.window is not None)
    when = f"{moment.minute} * * * *" if hourly else f"{moment.minute} {moment.hour} * * *"
    lines = [f"{when}  {_cron_command(job.update)}", f"@reboot  {_cron_command(job.recover)}"]
    return "\n".join([f"{BEGIN} {job.site}", *lines, f"{END} {job.site}"]) + "\n"


def _cron_command(words: Sequence[str]) -> str:
    return shlex.join(words).replace("%", "\\%")  # cron takes what follows a percent sign for standard input


def replace_block(crontab: str, site: Path, block: str) -> str:
    """The crontab with ``block`` in the place of the site's present one, or at the end; without it when that is empty.
    Everything else stays as it is."""
    kept: list[str] = []
    ours = False
    for line in crontab.splitlines(keepends=True):
        text = line.rstrip("\r\n")
        ours = ours or text == f"{BEGIN} {site}"
        if not ours:
            kept.append(line)
        ours = ours and text != f"{END} {site}"
    before = "".join(kept)
    if block and before and not before.endswith("\n"):
        before += "\n"
    return before + block


def units(job: Job, every: Every) -> Mapping[str, str]:
    """Units by name: the service and its timer; one that recovers an interrupted update when the machine starts; and
    when the policy names a file of approvals, one that looks at once when that changes."""
    moment = job.moment()
    clock = f"{moment:%H:%M}" if every == "daily" else f"*:{moment:%M}"
    window = job.policy.window
    some = every == "daily" and window is not None and len(window.days) < len(DAYS)
    days = ",".join(DAYS[day] for day in sorted(window.days)) + " " if some and window is not None else ""
    zone = f" {job.policy.zone}" if job.policy.zone else ""
    user = f"User={job.user}\n" if job.user else ""
    target = "multi-user.target" if job.user else "default.target"
    made = {
        f"{job.name}.service": f"""\
[Unit]
Description=Updates of {job.app} in {unit_text(str(job.site))}
Wants=network-online.target
After=network-online.target {job.name}-recover.service

[Service]
Type=oneshot
{user}ExecStart={unit_command(job.update)}
""",
        f"{job.name}.timer": f"""\
[Unit]
Description=When {job.app} in {unit_text(str(job.site))} looks for updates

[Timer]
OnCalendar={days}*-*-* {clock}:00{zone}
RandomizedDelaySec={_SPREAD[every]}
Persistent=true

[Install]
WantedBy=timers.target
""",
        f"{job.name}-recover.service": f"""\
[Unit]
Description=Finish or undo an interrupted update of {job.app} in {unit_text(str(job.site))}

[Service]
Type=oneshot
{user}ExecStart={unit_command(job.recover)}

[Install]
WantedBy={target}
""",
    }
    if job.policy.approvals:
        made[f"{job.name}.path"] = f"""\
[Unit]
Description=Look for updates of {job.app} as soon as somebody approves one

[Path]
PathChanged={unit_text(str(job.site / job.policy.approvals))}

[Install]
WantedBy={target}
"""
    return made


def unit_text(text: str) -> str:
    """Text that takes the rest of a line in a unit: ``%`` begins a specifier."""
    return text.replace("%", "%%")


def unit_path(path: Path) -> str:
    """A path in a list of them: white space ends it."""
    text = unit_text(str(path).replace("\\", "\\\\"))
    return f'"{text}"' if any(char.isspace() for char in text) else text


def unit_command(words: Sequence[str]) -> str:
    """A command line in a unit: no shell, ``%`` and ``$`` are its own."""
    quoted = []
    for word in words:
        text = unit_text(word.replace("\\", "\\\\").replace('"', '\\"')).replace("$", "$$")
        quoted.append(f'"{text}"' if any(char.isspace() or char in "'\";" for char in word) else text)
    return " ".join(quoted)
