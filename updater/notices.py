"""What the installed version's maintainer has to say about it: pure, from the signed feed, with whole sentences."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from updater.frozen import frozen
from updater.schema.feed import Feed
from updater.schema.notices import SEVERITIES, Severity

__all__ = ["AHEAD", "Notice", "notices_for"]

AHEAD = timedelta(days=90)
"""So long before support ends, its end is told."""


@frozen
class Notice:
    """One thing to know. ``severity`` None: not about a danger, but about support. ``fixed_in``: the oldest newer
    version in the feed that is not affected."""

    id: str
    severity: Severity | None
    message: str
    workaround: str = ""
    url: str | None = None
    fixed_in: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As ``updater check --json`` has it."""
        return dict(self.__dict__)


def notices_for(feed: Feed, installed: str | None, now: datetime) -> tuple[Notice, ...]:
    """All that concerns ``installed``, the worst first. They do not depend on whether an update is offered: a site
    whose owner holds updates hears them too."""
    if installed is None:
        return ()
    advisories = [item for item in feed.advisories if _covers(item.affected, installed)]
    advisories.sort(key=lambda item: (SEVERITIES.index(item.severity), item.published), reverse=True)
    found = [
        Notice(
            item.id,
            item.severity,
            f"{installed} should not run: {item.title} ({item.id}, {item.severity}).",
            item.workaround,
            item.url,
            _fixed_in(feed, installed, item.affected),
        )
        for item in advisories
    ]
    for end in sorted(feed.end_of_life, key=lambda end: end.at):
        if _covers(end.affected, installed) and now >= end.at - AHEAD:
            ended = now >= end.at
            what = "gets no more fixes since" if ended else "gets no more fixes after"
            message = f"{installed} {what} {end.at:%Y-%m-%d}.{f' {end.message}' if end.message else ''}"
            found.append(Notice("end-of-life", None, message, fixed_in=_fixed_in(feed, installed, end.affected)))
            break
    return tuple(found)


def _covers(affected: str, version: str) -> bool:
    try:
        return SpecifierSet(affected).contains(version, prereleases=True)
    except InvalidSpecifier:
        return False  # a newer kind of comparison: the publisher's own tools refuse what nobody understands


def _fixed_in(feed: Feed, installed: str, affected: str) -> str | None:
    newer = (r.version for r in feed.releases if r.yanked is None and Version(r.version) > Version(installed))
    return min((version for version in newer if not _covers(affected, version)), key=Version, default=None)
