"""``status.json``: live progress for anyone who wants to show it (standard library only)."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from updater.events import Event, Phase, Reporter
from updater.schema.document import format_time
from updater.site.lock import boot_id, process_runs
from updater.site.reading import read_json

__all__ = ["StatusFile", "read_status"]

_STEPS = tuple(phase for phase in Phase if phase not in (Phase.PROBATION, Phase.ROLLBACK, Phase.RECOVER))
_MIN_INTERVAL = 0.25  # seconds between writes that only move a number


def read_status(path: Path) -> Mapping[str, Any]:
    """The last written status, or ``{"state": "idle"}`` when there is none.

    A process that is gone without a last word did not finish: its ``running`` is read as ``interrupted``.
    """
    try:
        found = read_json(path)
    except (OSError, ValueError):
        return {"state": "idle"}
    if not isinstance(found, dict):
        return {"state": "idle"}
    if found.get("state") == "running" and not _is_alive(found):
        return found | {"state": "interrupted"}
    return found


def _is_alive(status: Mapping[str, Any]) -> bool:
    try:
        return process_runs(int(status["pid"]), str(status["boot_id"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return False


class StatusFile:
    """A reporter that keeps ``status.json`` up to date and passes every event on.

    Advisory: a status that cannot be written (a full disk) never stops an update.
    """

    def __init__(self, path: Path, run_id: str, now: Callable[[], datetime], forward: Reporter) -> None:
        self._path = path
        self._now = now
        self._forward = forward
        self._written = 0.0
        self._document: dict[str, Any] = {
            "format": 1,
            "run_id": run_id,
            "pid": os.getpid(),
            "boot_id": boot_id(),
            "state": "running",
            "started_at": format_time(now()),
        }

    def __call__(self, event: Event) -> None:
        try:
            self._forward(event)
        finally:  # whoever listens may fail (a closed terminal); the file is for others
            self._note(event)

    def _note(self, event: Event) -> None:
        percent = int(100 * event.done / event.total) if event.total else None
        self._document |= {
            "phase": event.phase.value,
            "step": _STEPS.index(event.phase) + 1 if event.phase in _STEPS else None,
            "steps": len(_STEPS),
            "percent": percent,
            "done": event.done,
            "total": event.total,
            "unit": event.unit,
            "rate": None if event.rate is None else round(event.rate),
            "seconds_left": None if event.left is None else round(event.left),
        }
        if event.message:
            self._document["message"] = event.message
        if event.kind != "progress" or time.monotonic() - self._written >= _MIN_INTERVAL:
            self._write()

    def finish(self, state: str, message: str) -> None:
        """The last word: ``done``, ``failed`` or ``rolled_back``, with a sentence."""
        self._document |= {"state": state, "message": message}
        self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        self._document["heartbeat_at"] = format_time(self._now())
        temporary = self._path.with_name(f".{self._path.name}.tmp")
        try:
            temporary.write_text(json.dumps(self._document), encoding="utf-8")
            os.replace(temporary, self._path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()  # what a full disk left of it
