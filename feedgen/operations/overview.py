"""All releases at a glance: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from packaging.version import Version

from feedgen.operations.schedule import percent_at
from feedgen.operations.state import Entry, ReleaseState, differences
from updater.schema import CHANNELS, Feed, format_time

__all__ = ["Row", "rows"]


@dataclass(frozen=True)
class Row:
    """One release: the feeds that list it, its package's size in bytes, and what was decided, in words.

    ``edited``: decisions in its file that are not published.
    """

    version: str
    channels: tuple[str, ...]
    published: datetime
    size: int
    sha256: str
    state: ReleaseState
    percent: int
    edited: tuple[str, ...]

    @property
    def flags(self) -> tuple[str, ...]:
        """What was decided, a few words each."""
        state = self.state
        said = (
            ("critical", state.critical),
            ("stop", state.stop),
            ("halted", state.halted),
            (f"withdrawn: {state.yanked.reason}" if state.yanked else "", state.yanked is not None),
            (f"rollout {self.percent} %", state.rollout is not None),
            ("only some cohorts", state.cohorts is not None and state.experiment is None),
            (f"experiment {state.experiment}", state.experiment is not None),
            (f"edited: {', '.join(self.edited)}", bool(self.edited)),
        )
        return (*state.security, *(text for text, holds in said if holds))

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        state = self.state
        return {
            "version": self.version,
            "channels": list(self.channels),
            "published": format_time(self.published),
            "size": self.size,
            "sha256": self.sha256,
            "critical": state.critical,
            "security": list(state.security),
            "stop": state.stop,
            "halted": state.halted,
            "yanked": state.yanked.reason if state.yanked else None,
            "percent": self.percent,
            "edited": list(self.edited),
        }


def rows(
    feeds: Mapping[str, Feed], entries: Mapping[str, Entry], waiting: Mapping[str, ReleaseState], now: datetime
) -> list[Row]:
    """Every release, newest first. ``waiting``: what the files of some say that is not published."""
    listed = {name: {release.version for release in feed.releases} for name, feed in feeds.items()}
    return [
        Row(
            version=version,
            channels=tuple(name for name in CHANNELS if version in listed.get(name, ())),
            published=entry.facts.published,
            size=entry.facts.package.size,
            sha256=entry.facts.package.sha256,
            state=entry.state,
            percent=percent_at(entry.state.rollout, now),
            edited=differences(entry.state, waiting[version]) if version in waiting else (),
        )
        for version, entry in sorted(entries.items(), key=lambda item: Version(item[0]), reverse=True)
    ]
