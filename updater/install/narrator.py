"""Telling listeners what happens, without ever depending on them (standard library only)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from updater.events import Event, Phase, Reporter, Unit

__all__ = ["Narrator", "guarded"]


def guarded(report: Reporter) -> Reporter:
    """A reporter that is not asked again once it has failed: a closed terminal must not undo an update."""
    working = [report]

    def tell(event: Event) -> None:
        if working:
            try:
                working[0](event)
            except Exception:  # noqa: BLE001 - whoever listens is no part of the update
                working.clear()

    return tell


class Narrator:
    """Says where an update stands, and remembers the warnings."""

    def __init__(self, report: Reporter) -> None:
        self._report = guarded(report)
        self.warnings: list[str] = []

    def say(
        self,
        phase: Phase,
        kind: Literal["start", "message", "done"],
        message: str = "",
        *,
        done: int = 0,
        total: int | None = None,
        unit: Unit = "",
    ) -> None:
        self._report(Event(phase, kind, message, done, total, unit))

    def warn(self, phase: Phase, message: str) -> None:
        self.warnings.append(message)
        self._report(Event(phase, "warning", message))

    def line_of(self, phase: Phase) -> Callable[[str], None]:
        """A listener for what a program prints."""
        return lambda line: self._report(Event(phase, "message", line))
