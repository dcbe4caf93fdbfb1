"""How long it takes to hash a tree with one thread or several, from memory and from a disk: what
`updater.install.observe.threads_for` decides by."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.bench.pairs import PAIRS
from updater.site.files import hash_file

__all__ = ["reading_costs"]

RUNS = 5
_THREADS = (1, 2, 4)
_CACHES = Path("/proc/sys/vm/drop_caches")


def reading_costs() -> list[str]:
    """Many small files, and fewer large ones. From a disk only as root, who can make the kernel forget what it read."""
    head = ("tree", "files", "MB", *(f"memory, {n}" for n in _THREADS), *(f"disk, {n}" for n in _THREADS))
    rows = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    for project in ("wagtail", "notebook"):
        pair = next(pair for pair in PAIRS if pair.project == project)
        files = [str(path) for path in pair.tree(pair.old).rglob("*") if path.is_file()]
        size = sum(Path(path).stat().st_size for path in files) / 1e6
        warm = [_median(files, threads, lambda: None) for threads in _THREADS]
        cold = [_median(files, threads, _forget) if os.access(_CACHES, os.W_OK) else "" for threads in _THREADS]
        rows.append(f"| {project} {pair.old} | {len(files):,} | {size:.0f} | {' | '.join((*warm, *cold))} |")
    return rows


def _forget() -> None:
    os.sync()
    _CACHES.write_text("3", encoding="ascii")


def _median(files: Sequence[str], threads: int, before: Callable[[], None]) -> str:
    found = []
    for _ in range(RUNS):
        before()
        started = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(_hash_all, (files[number::threads] for number in range(threads))))
        found.append(time.perf_counter() - started)
    return f"{statistics.median(found):.3f}"


def _hash_all(files: Sequence[str]) -> None:
    for file in files:
        hash_file(file)
