"""``[policy]`` of updater.toml: which updates the owner lets happen, and when. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Literal, cast

from updater.frozen import frozen
from updater.schema.document import Reader
from updater.schema.text import check_version

__all__ = ["AUTO_INSTALL", "DAYS", "AutoInstall", "OwnerPolicy", "Window", "check_specifier", "read_policy"]

AutoInstall = Literal["none", "critical", "patch", "minor", "all"]
AUTO_INSTALL: tuple[AutoInstall, ...] = ("none", "critical", "patch", "minor", "all")
"""What may install itself; each lets in what those before it do."""

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_SPECIFIER = re.compile(r"\s*(~=|==|!=|<=|>=|<|>)\s*[0-9][0-9A-Za-z.*]*\s*")


@frozen
class Window:
    """When updates may install themselves: local times and weekdays (Monday is 0). An end before the start is on the
    next day; the day that counts is the one on which the window opened. Equal times are the whole day."""

    start: time
    end: time
    days: frozenset[int] = frozenset(range(7))

    def contains(self, moment: datetime) -> bool:
        """Whether the window is open at ``moment``, a local time."""
        now, today = moment.time().replace(tzinfo=None), moment.weekday()
        if self.start < self.end:
            return today in self.days and self.start <= now < self.end
        if now >= self.start:
            return today in self.days
        return now < self.end and (today - 1) % 7 in self.days

    def __str__(self) -> str:
        days = "" if len(self.days) == len(DAYS) else f"{', '.join(DAYS[day] for day in sorted(self.days))} "
        return f"{days}{self.start:%H:%M} to {self.end:%H:%M}"


@frozen
class OwnerPolicy:
    """``skip`` and ``pin`` (a PEP 440 specifier) hold for everybody who does not ask for one version; the rest for
    updates that nobody asked for. ``canary``: rollouts do not make this site wait. ``soak``: hours since a release was
    published; critical ones need not wait. ``zone``: that of ``window`` and ``hold_until`` (empty: the system's).
    ``approvals``: a file with a version a line.
    """

    auto_install: AutoInstall = "none"
    soak: float = 0.0
    window: Window | None = None
    zone: str = ""
    skip: tuple[str, ...] = ()
    pin: str = ""
    hold_until: date | None = None
    approvals: str = ""
    canary: bool = False

    def local(self, now: datetime) -> datetime:
        """``now`` (UTC) where the owner's clock hangs."""
        if not self.zone:
            return now.astimezone()
        from zoneinfo import ZoneInfo

        return now.astimezone(ZoneInfo(self.zone))


def read_policy(section: Reader) -> OwnerPolicy:
    """The owner's policy; what is wrong becomes problems of the section."""
    zone = section.text("timezone", default="", empty=True)
    if zone and not _is_zone(zone):
        section.problem("timezone", f"{zone!r} is no time zone that this machine knows, such as Europe/Berlin")
        zone = ""
    return OwnerPolicy(
        auto_install=cast(AutoInstall, section.choice("auto_install", AUTO_INSTALL, default="none")),
        soak=section.number("soak", default=0.0),
        window=_read_window(section),
        zone=zone,
        skip=section.texts("skip", check=check_version),
        pin=section.text("pin", default="", check=check_specifier, empty=True),
        hold_until=_read_date(section, "hold_until"),
        approvals=section.text("approvals", default="", empty=True),
        canary=section.flag("canary", default=False),
    )


def _is_zone(name: str) -> bool:
    from zoneinfo import ZoneInfo  # loading one costs a file, listing all of them 600

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _read_window(section: Reader) -> Window | None:
    text, names = section.text("window", default="", empty=True), section.texts("window_days")
    days = frozenset(DAYS.index(name) for name in names if name in DAYS) or frozenset(range(7))
    for name in names:
        if name not in DAYS:
            section.problem("window_days", f"{name!r} is no day; they are {', '.join(DAYS)}")
    if not text:
        if names:
            section.problem("window", "is missing: window_days says on which days it opens")
        return None
    match = _WINDOW.fullmatch(text)
    if match is None:
        section.problem("window", 'must be two times, such as "02:00-05:00"')
        return None
    first, second, third, fourth = map(int, match.groups())
    return Window(time(first, second), time(third, fourth), days)


def _read_date(section: Reader, key: str) -> date | None:
    text = section.text(key, default="", empty=True)
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        section.problem(key, f"{text!r} is no date, such as 2026-12-24")
        return None


def check_specifier(text: str) -> None:
    """Raise ValueError unless ``text`` compares versions, as far as that can be told without `packaging`."""
    parts: Sequence[str] = text.split(",") if text else ()
    if not all(_SPECIFIER.fullmatch(part) for part in parts):
        raise ValueError('must compare versions, such as "~=1.4.0" or ">=1.4,<2"')
