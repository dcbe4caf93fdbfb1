"""What a torture run counted: one line of JSON for each layer, which ``make torture`` prints as a table."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from types import TracebackType

__all__ = ["Figures"]

VARIABLE = "TORTURE_FIGURES"
"""Names the file that the lines are appended to; without it nothing is written."""


class Figures:
    """A context manager around one layer: its name, its counts, how many ended wrong, and the seconds it took.

    ``what`` is the layer's name in docs/reliability.md, such as "power cuts, ext4". Counts are added with `add`; a case
    that did not end as it must is added with `wrong`, and the layer fails when it is left.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self.counts: dict[str, int] = {}
        self.failures: list[str] = []
        self._started = 0.0

    def add(self, name: str = "cases", count: int = 1) -> None:
        """Count something: ``cases``, ``images``, ``requests``."""
        self.counts[name] = self.counts.get(name, 0) + count

    def wrong(self, label: str) -> None:
        """One case that ended as neither the old nor the new version, or lied about it."""
        self.failures.append(label)

    def __enter__(self) -> Figures:
        self._started = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        line = {
            "what": self.what,
            **self.counts,
            "wrong": len(self.failures),
            "seconds": round(time.monotonic() - self._started, 1),
        }
        if error is None and VARIABLE in os.environ:
            with Path(os.environ[VARIABLE]).open("a", encoding="utf-8") as out:
                out.write(json.dumps(line) + "\n")
        if error is None:
            assert not self.failures, f"{len(self.failures)} wrong, the first ones: {self.failures[:10]}"
