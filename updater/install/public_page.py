"""The maintenance page during one update: on before the app stops, off when one whole version runs again (standard
library only).

Only turning it on for the first time may fail an update, while nothing has changed yet. Later a flag that cannot be
written is told about, and never stands in the way of going forward or back.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from updater.errors import UpdaterError
from updater.events import Phase
from updater.install.narrator import Narrator
from updater.schema.site_config import SiteConfig
from updater.site.maintenance import MaintenanceFlag

__all__ = ["PublicPage", "turn_off"]


class PublicPage:
    """The page of the site at ``site``; without ``[maintenance] file`` every method does nothing."""

    def __init__(self, site: Path, config: SiteConfig, narrator: Narrator, now: Callable[[], datetime]) -> None:
        self._flag = MaintenanceFlag.of(site, config.maintenance)
        self._tell = narrator
        self._now = now

    def on(self) -> None:
        """Turn it on. Raises StateError."""
        if self._flag.configured:
            self._tell.say(Phase.BACKUP, "message", "Turning the maintenance page on.")
            self._flag.raise_flag(self._now())

    def keep(self, seconds: float) -> None:
        """See that it stays on for a step of at most so many seconds; after a crash, turn it on again."""
        self._try(lambda: self._flag.extend(self._now(), at_least=seconds + _MARGIN), "extended")

    def hold(self) -> None:
        """Keep it on until a person has put the site right."""
        self._try(lambda: self._flag.hold(self._now()), "kept on")

    def token(self) -> str:
        """What lets the health check through; empty when there is no page."""
        found: list[str] = []
        self._try(lambda: found.append(self._flag.probe_token(self._now())), "passed by the health check")
        return found[0] if found else ""

    def off(self) -> None:
        """Turn it off. Raises StateError; it may be repeated."""
        self._flag.lower()

    def off_now(self) -> None:
        """Turn it off at once; that this failed is told, and `off` tries again while cleaning up."""
        self._try(self._flag.lower, "turned off yet")

    def _try(self, work: Callable[[], object], what: str) -> None:
        try:
            work()
        except (OSError, UpdaterError) as error:
            self._tell.warn(Phase.CLEANUP, f"The maintenance page could not be {what}: {error}")


_MARGIN = 60.0
"""Seconds on top of a step's own limit, for what lies between the steps."""


def turn_off(site: Path, config: SiteConfig) -> None:
    """Remove a flag that nothing needs any more: nothing is interrupted. Raises StateError."""
    MaintenanceFlag.of(site, config.maintenance).lower()
