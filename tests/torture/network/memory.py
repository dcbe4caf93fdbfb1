"""How much memory this process took at the most, while something ran (Linux; elsewhere it says nothing)."""

from __future__ import annotations

import re
from pathlib import Path
from types import TracebackType

__all__ = ["PeakMemory"]

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PeakMemory:
    """A context manager; ``grown`` is how many bytes more than before were in use at the worst moment."""

    def __init__(self) -> None:
        self.grown = 0
        self._before = 0

    def __enter__(self) -> PeakMemory:
        if _RESET.exists():
            _RESET.write_text("5")  # the high-water mark starts anew (proc(5))
        self._before = _read("VmRSS")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.grown = _read("VmHWM") - self._before


def _read(name: str) -> int:
    if not _STATUS.exists():
        return 0
    match = re.search(rf"^{name}:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    return int(match[1]) * 1024 if match else 0
