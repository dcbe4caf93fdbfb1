"""What visitors were told, against what is there afterwards."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

__all__ = ["Ledger", "Request", "Window"]

FAILED = ("error", "5xx", "4xx")


@dataclass(frozen=True)
class Request:
    """A line of `load`; see there. Times in seconds since the epoch."""

    start: float
    end: float
    kind: str
    verdict: str
    detail: str


@dataclass(frozen=True)
class Window:
    """When an update ran, its database was saved, the app was started, and the database came back (None: never)."""

    start: float
    end: float
    saved: float
    started: float
    restored: float | None

    def undoes(self, request: Request, *, stops: bool) -> bool:
        """Whether bringing the database back takes this away: it was done while the new release was being tried.

        ``stops``: the app was stopped first, so that this begins with the start of the new release.
        """
        first = self.started if stops else self.saved
        return self.restored is not None and request.end >= first and request.start <= self.restored


@dataclass(frozen=True)
class Ledger:
    """All requests of one run."""

    requests: tuple[Request, ...]

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """A torn last line is one that its writer did not finish."""
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
        return cls(tuple(Request(**json.loads(line)) for line in lines))

    def counts(self) -> Counter[str]:
        """Requests by verdict."""
        return Counter(request.verdict for request in self.requests)

    def acknowledged(self, kind: str) -> dict[str, Request]:
        """What visitors were told is done: order tokens, or an upload's name and digest."""
        return {r.detail: r for r in self.requests if r.kind == kind and r.verdict == "ok"}

    def outage(self) -> float:
        """Seconds between two good answers to pages and orders, at the longest."""
        good = sorted(r.end for r in self.requests if r.verdict == "ok" and r.kind != "upload")
        return max((later - earlier for earlier, later in pairwise(good)), default=0.0)

    def failed_outside(self, window: Window, slack: float) -> list[Request]:
        """Failures that no update excuses: before it began, or after it had ended and ``slack`` seconds more."""
        return [
            request
            for request in self.requests
            if request.verdict in (*FAILED, "503")
            and not (request.end >= window.start and request.start <= window.end + slack)
        ]

    def missing_orders(self, database: Path) -> list[Request]:
        """Orders that were acknowledged and are not in the database, or have no lines."""
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as opened:
            assert opened.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            kept = {
                row[0]
                for row in opened.execute(
                    "SELECT token FROM orders_order JOIN orders_orderitem ON order_id = orders_order.id"
                )
            }
        return [r for token, r in self.acknowledged("order").items() if token.replace("-", "") not in kept]

    def missing_uploads(self, media: Path) -> list[Request]:
        """Uploads that were acknowledged and are not on disk as they were sent."""
        missing = []
        for detail, request in self.acknowledged("upload").items():
            name, digest = detail.split()
            path = media / "uploads" / name
            if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
                missing.append(request)
        return missing
