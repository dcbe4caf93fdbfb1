"""How many sites run what: downloads that were counted, and the lines that opted-in sites left in a log: pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from packaging.version import InvalidVersion, Version

from feedgen.page.adoption import History, chart

__all__ = ["VersionStats", "count_sites", "version_stats"]

_LINE = re.compile(r'\[(?P<at>[^\]]{1,40})\] "GET (?P<target>\S{1,2000}) HTTP/[0-9.]+"')
"""What the common and the combined log format share (https://httpd.apache.org/docs/2.4/logs.html)."""

_WEEK = timedelta(days=7)
"""How often a site tells its version (docs/fleet.md)."""


@dataclass(frozen=True)
class VersionStats:
    """One version: downloads since it was published and in the last 30 days, and the sites that said they run it; None
    where nobody counted. ``percent``: its share of these sites, else of the downloads in 30 days."""

    version: str
    downloads: int | None
    recent: int | None
    sites: int | None
    percent: float

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "downloads": self.downloads,
            "downloads_30_days": self.recent,
            "sites": self.sites,
            "percent": round(self.percent, 1),
        }


def count_sites(lines: Iterable[str], app: str, component: str) -> Counter[str]:
    """The version of each site that told it, from the lines of a web server's log.

    A site tells its version once a week, and at once when it changes: counted are the seven days before the newest
    line, so that a site that was updated in them counts with both versions. What is no such line is passed over.
    """
    told: list[tuple[datetime, str]] = []
    for line in lines:
        found = _LINE.search(line)
        version = None if found is None else _version(found["target"], app, component)
        if found is None or version is None:
            continue
        try:
            told.append((datetime.strptime(found["at"], "%d/%b/%Y:%H:%M:%S %z"), version))
        except ValueError:
            continue
    newest = max((at for at, _ in told), default=None)
    return Counter(version for at, version in told if newest is not None and at > newest - _WEEK)


def _version(target: str, app: str, component: str) -> str | None:
    try:
        asked = parse_qs(urlsplit(target).query)
        version = asked["version"][0]
        Version(version)
    except (ValueError, KeyError, InvalidVersion):
        return None
    return version if (asked.get("app"), asked.get("component")) == ([app], [component]) else None


def version_stats(history: History, sites: Mapping[str, int] | None) -> list[VersionStats]:
    """A row for each version that was downloaded or told, newest first. ``sites``: None when there is no log."""
    drawn = chart(history)
    downloads = {version: (count, recent) for version, count, recent in (drawn.rows if drawn else ())}
    told = sites or {}
    total = sum(told.values()) if sites is not None else sum(recent for _, recent in downloads.values())
    found = []
    for version in sorted({*downloads, *told}, key=Version, reverse=True):
        count, recent = downloads.get(version, (None, None))
        part = told.get(version, 0) if sites is not None else recent or 0
        found.append(
            VersionStats(
                version, count, recent, None if sites is None else told.get(version, 0), part * 100 / max(total, 1)
            )
        )
    return found
