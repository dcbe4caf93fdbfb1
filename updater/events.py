"""Progress, as values: the engine emits events, and whoever wants to show them listens (standard library only)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import Literal

from updater.frozen import frozen

__all__ = ["Event", "Kind", "Phase", "Reporter", "Unit", "about", "ignore_events"]


class Phase(StrEnum):
    """The steps of an update, in order; watching it afterwards, where that is configured; and the two ways back."""

    CHECK = "check"
    PLAN = "plan"
    DOWNLOAD = "download"
    VERIFY = "verify"
    BACKUP = "backup"
    INSTALL = "install"
    MIGRATE = "migrate"
    HEALTH = "health"
    COMMIT = "commit"
    CLEANUP = "cleanup"
    PROBATION = "probation"
    ROLLBACK = "rollback"
    RECOVER = "recover"


Kind = Literal["start", "progress", "message", "warning", "done", "failed"]
Unit = Literal["", "bytes", "files"]


@frozen
class Event:
    """One thing that happened in a phase.

    ``done`` and ``total`` count ``unit`` (bytes or files); ``total`` is None while unknown. ``rate`` is in units per
    second, ``left`` the seconds until the total is reached at this rate; both None while unknown, and where nobody
    measures. ``message`` is a whole sentence or empty.
    """

    phase: Phase
    kind: Kind
    message: str = ""
    done: int = 0
    total: int | None = None
    unit: Unit = ""
    rate: float | None = None
    left: float | None = None


Reporter = Callable[[Event], None]


def about(component: str, report: Reporter) -> Reporter:
    """``report`` with a component's name before each message."""
    return lambda event: report(replace(event, message=f"{component}: {event.message}") if event.message else event)


def ignore_events(event: Event) -> None:
    """The reporter for callers who do not watch."""
