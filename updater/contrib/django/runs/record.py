"""How a run goes, and how it ended: the document that progress pages show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from updater.contrib.django.runs.request import Request
from updater.frozen import frozen
from updater.schema.document import format_time, parse_time
from updater.site.lock import process_runs

__all__ = ["FINISHED", "RunRecord", "RunState", "state_for"]

RunState = Literal[
    "requested", "running", "interrupted", "done", "failed", "rolled_back", "blocked", "needs_human", "cancelled"
]

FINISHED: tuple[RunState, ...] = ("done", "failed", "rolled_back", "blocked", "needs_human", "cancelled")

QUIET = timedelta(seconds=30)
"""So long a run may give no sign of life before its process is asked for."""

_STATES: Mapping[int, RunState] = {
    0: "done",
    3: "rolled_back",
    4: "needs_human",
    5: "blocked",
    6: "blocked",
    130: "cancelled",
}


def state_for(exit_code: int) -> RunState:
    """What a run has become when its command ended with ``exit_code`` (docs/exit-codes.md)."""
    return _STATES.get(exit_code, "failed")


@frozen
class RunRecord:
    """A run at one moment. ``status`` is the engine's own ``status.json`` once it has begun to change something.

    ``message``, ``why`` and ``hint`` are the engine's words at the end; ``outcome`` the id of the transaction in the
    site's history. Times are UTC.
    """

    id: str
    action: str
    target: str | None
    actor: str
    address: str
    requested_at: datetime
    state: RunState = "requested"
    pid: int = 0
    boot_id: str = ""
    started_at: datetime | None = None
    heartbeat_at: datetime | None = None
    ended_at: datetime | None = None
    exit_code: int | None = None
    message: str = ""
    why: str = ""
    hint: str = ""
    outcome: str | None = None
    status: Mapping[str, Any] = field(default_factory=dict)
    components: tuple[str, ...] = ()

    @classmethod
    def of(cls, request: Request) -> RunRecord:
        """The record of a request that nobody has taken yet."""
        return cls(
            id=request.id,
            action=request.action,
            target=request.target,
            actor=request.actor,
            address=request.address,
            requested_at=request.at,
            components=request.components,
        )

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> RunRecord:
        """Read one back. Raises ValueError, KeyError or TypeError when it is damaged."""
        times = ("requested_at", "started_at", "heartbeat_at", "ended_at")
        values = {key: found[key] for key in cls.__dataclass_fields__ if key in found}
        for key in times:
            values[key] = None if values.get(key) is None else parse_time(values[key])
        if values["requested_at"] is None or not isinstance(values.get("status", {}), dict):
            raise ValueError("it is not the record of a run")
        values["components"] = tuple(map(str, values.get("components") or ()))
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """The document."""
        values = {
            key: format_time(value) if isinstance(value, datetime) else value for key, value in self.__dict__.items()
        }
        return {"schema": "1.0", **values, "status": dict(self.status)}

    @property
    def what(self) -> str:
        """What it is to install, for people: a version, with the name of the plugin or theme that it is of."""
        return " ".join((*self.components, self.target or "")).strip()

    @property
    def finished(self) -> bool:
        return self.state in FINISHED

    def seen_at(self, now: datetime) -> RunRecord:
        """The same run, as "interrupted" when it says that it runs and its process is gone without a last word."""
        if self.state != "running" or process_runs(self.pid, self.boot_id):
            return self
        alive = self.heartbeat_at or self.started_at or self.requested_at
        if now.astimezone(UTC) - alive < QUIET:
            return self  # in another container its process cannot be seen, its signs of life can
        message = "The process that worked on this ended without a last word."
        return replace(self, state="interrupted", message=message)
