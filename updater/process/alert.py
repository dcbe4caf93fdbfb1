"""Telling a person, through the program that the owner configured, even when the app itself is broken.

Standard library only. An alert never decides anything: that it could not be sent is told, and changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal

from updater.errors import CommandError
from updater.frozen import frozen
from updater.process.run import run
from updater.schema.site_config import AlertConfig

__all__ = ["Alert", "AlertEvent", "send_alert"]

AlertEvent = Literal["rolled-back", "stuck", "probation-failed"]


@frozen
class Alert:
    """What happened: ``site`` is the site's directory, ``message`` whole sentences."""

    event: AlertEvent
    site: str
    from_version: str | None
    to_version: str | None
    message: str

    def environment(self) -> dict[str, str]:
        """What the program gets in its environment, beside the updater's own."""
        return {
            "UPDATER_EVENT": self.event,
            "UPDATER_SITE": self.site,
            "UPDATER_FROM": self.from_version or "",
            "UPDATER_TO": self.to_version or "",
            "UPDATER_MESSAGE": self.message.replace("\0", ""),
        }


def send_alert(config: AlertConfig, alert: Alert, environ: Mapping[str, str] = os.environ) -> str | None:
    """Run the configured program, in the root folder. Returns why it failed, or None (also when none is configured)."""
    if not config.command:
        return None
    try:
        run(config.command, env={**environ, **alert.environment()}, timeout=config.timeout).check()
    except CommandError as error:
        return f"The alert could not be sent: {error}"
    return None
