"""How a rehearsal went: values for whoever shows it (standard library only)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from updater.frozen import frozen

__all__ = ["RehearsalReport", "RehearsedStep"]


@frozen
class RehearsedStep:
    """What ran, whether it succeeded, how long it took, and the end of what it printed. ``kind``: the ``check`` of the
    new code, a ``command`` of the release, or the ``health`` command."""

    kind: str
    command: str
    ok: bool
    seconds: float
    output: str = ""


@frozen
class RehearsalReport:
    """How a rehearsal went. ``problems`` are empty when the update would work. Sizes in bytes, times in seconds;
    ``skipped`` are commands that the owner's allow-list refuses, ``left_out`` paths that were not copied, with why."""

    from_version: str
    to_version: str
    steps: tuple[RehearsedStep, ...]
    skipped: tuple[str, ...]
    problems: tuple[str, ...]
    database: str
    database_before: int
    database_after: int
    copy_seconds: float
    files: int
    size: int
    linked: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    confined: bool = True

    @property
    def ok(self) -> bool:
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in self.__dict__.items()}
        steps = [dict(step.__dict__) for step in self.steps]
        growth = self.database_after - self.database_before
        return {"ok": self.ok, **values, "steps": steps, "left_out": dict(self.left_out), "database_growth": growth}
