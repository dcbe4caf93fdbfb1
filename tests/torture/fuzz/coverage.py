"""Which lines of the client an execution went through: inputs that reach new ones are worth changing further."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

__all__ = ["Coverage"]

_CLIENT = str(Path(__file__).resolve().parents[3] / "updater")


class Coverage:
    """Pairs of lines (from, to) within one function, collected over all executions that were watched."""

    def __init__(self) -> None:
        self._seen: set[tuple[int, int, int]] = set()
        self._ours: dict[CodeType, int] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def watch(self, work: Callable[[], str | None]) -> tuple[str | None, bool]:
        """Call ``work``; what it returned, and whether it went where nothing had gone before."""
        before = len(self._seen)
        sys.settrace(self._enter)
        try:
            result = work()
        finally:
            sys.settrace(None)
        return result, len(self._seen) > before

    def _enter(self, frame: FrameType, event: str, arg: Any) -> Any:
        number = self._ours.get(frame.f_code)
        if number is None:
            ours = frame.f_code.co_filename.startswith(_CLIENT)
            number = self._ours[frame.f_code] = len(self._ours) if ours else -1
        if number < 0:
            return None
        seen, last = self._seen, 0

        def step(frame: FrameType, event: str, arg: Any) -> Any:
            nonlocal last
            if event == "line":
                seen.add((number, last, frame.f_lineno))
                last = frame.f_lineno
            return step

        return step
