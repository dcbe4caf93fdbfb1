"""Download counts over time, in a file that stays small, and the geometry of the chart of them: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from packaging.version import InvalidVersion, Version

from updater.errors import SchemaError
from updater.schema import dump_json, parse_json

__all__ = [
    "ADOPTION_FILE",
    "MOST_VERSIONS",
    "Chart",
    "Counts",
    "History",
    "Line",
    "chart",
    "history_bytes",
    "read_history",
    "record_counts",
]

ADOPTION_FILE = "adoption.json"
DAILY = timedelta(days=92)
KEPT = timedelta(days=3 * 365)
MOST_VERSIONS = 60

Counts = Mapping[str, int]
"""Version to how often it was downloaded since it was published."""
History = Mapping[str, Counts]
"""Day (``2026-01-20``, UTC) to the counts of that day."""


def record_counts(history: History, counts: Counts, now: datetime) -> dict[str, dict[str, int]]:
    """The history with today's counts in it, bounded: 60 versions; each day for three months, then one day of each
    week, for three years. The same counts on the same day change nothing."""
    today = now.astimezone(UTC).date()
    shown = sorted((version for version, count in counts.items() if count > 0 and _is_version(version)), key=Version)
    days = {_day(name): dict(found) for name, found in history.items() if _day(name) is not None}
    days[today] = {version: counts[version] for version in shown[-MOST_VERSIONS:]}
    weeks: dict[tuple[int, int], date] = {}
    for day in sorted(day for day in days if day is not None and day <= today - DAILY):
        weeks[day.isocalendar()[:2]] = day
    kept = [day for day in days if day is not None and (day > today - DAILY or day in weeks.values())]
    return {day.isoformat(): days[day] for day in sorted(kept) if today - KEPT < day <= today}


def read_history(data: bytes) -> dict[str, dict[str, int]]:
    """The file's contents; what cannot be read is left out, because no chart is worth a failed publish."""
    try:
        document: Any = parse_json(data, ADOPTION_FILE)
    except SchemaError:
        return {}
    return {
        name: {version: count for version, count in found.items() if _is_version(version) and type(count) is int}
        for name, found in sorted(document.items())
        if _day(name) is not None and isinstance(found, dict)
    }


def history_bytes(history: History) -> bytes:
    """The file."""
    return dump_json({day: dict(history[day]) for day in sorted(history)})


@dataclass(frozen=True)
class Line:
    """One version's line: SVG points, the height of its label, and its last count."""

    version: str
    points: str
    label_y: float
    count: int


@dataclass(frozen=True)
class Chart:
    """What the template draws: lines, ticks as (place, text), and rows of (version, downloads, of the last 30 days)."""

    lines: tuple[Line, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    rows: tuple[tuple[str, int, int], ...]
    first: date
    last: date


WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 56.0, 560.0, 16.0, 264.0
_MOST_LINES = 5
_LABEL_GAP = 17.0


def chart(history: History) -> Chart | None:
    """The chart of a history; None without at least one count."""
    days = {date.fromisoformat(name): found for name, found in sorted(history.items()) if found}
    if not days:
        return None
    first, last = min(days), max(days)
    newest = days[last]
    versions = sorted(newest, key=Version, reverse=True)
    top = _round_up(max(newest.values(), default=1))
    span = max((last - first).days, 1)

    def x(day: date) -> float:
        return round(LEFT + (RIGHT - LEFT) * (day - first).days / span, 1)

    def y(count: int) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * min(count / top, 1), 1)

    lines = []
    for version in versions[:_MOST_LINES]:
        seen = [(x(day), y(found[version])) for day, found in days.items() if version in found]
        seen = [(LEFT, seen[0][1]), *seen] if len(days) == 1 else seen
        points = " ".join(f"{left:g},{height:g}" for left, height in seen)
        lines.append(Line(version, points, y(newest[version]), newest[version]))
    earlier = days[max((day for day in days if day <= last - timedelta(days=30)), default=first)]
    rows = tuple((version, newest[version], max(newest[version] - earlier.get(version, 0), 0)) for version in versions)
    marks = dict.fromkeys((first, first + timedelta(days=span // 2), last))
    return Chart(
        lines=tuple(_spread(lines)),
        x_ticks=tuple((x(day), f"{day.day} {day:%b %Y}") for day in marks),
        y_ticks=tuple((y(top * part // 4), f"{top * part // 4:,}") for part in range(5)),
        rows=rows,
        first=first,
        last=last,
    )


def _spread(lines: list[Line]) -> list[Line]:
    """Move labels apart that would stand on each other: upwards from the lowest, within the drawing."""
    placed: list[Line] = []
    limit = BOTTOM
    for line in sorted(lines, key=lambda line: line.label_y, reverse=True):
        height = min(line.label_y, limit)
        placed.append(Line(line.version, line.points, height, line.count))
        limit = height - _LABEL_GAP
    return sorted(placed, key=lambda line: Version(line.version), reverse=True)


def _round_up(count: int) -> int:
    """The next number that can be quartered and read: 4, 8, 12, 16, 20, 32, 40, 80 ..."""
    unit = 1
    while True:
        for factor in (4, 8, 12, 16, 20, 32):
            if count <= factor * unit:
                return factor * unit
        unit *= 10


def _day(name: str) -> date | None:
    try:
        day = date.fromisoformat(name)
    except ValueError:
        return None
    return day if day.isoformat() == name else None


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True
