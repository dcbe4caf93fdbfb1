"""How long a tree is a mixture of two releases while it is switched: the table of docs/benchmarks.md (``make bench``).

A made-up tree of the size of Django with Wagtail: 7,700 files, of which 2,500 (28 MB) change. The window of in-place
is from before the first rename to after the last one; that of slots is the one rename of ``current``.
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

from tests.engine.world import World
from updater.site import Layout

FILES, CHANGED, SIZE, RUNS = 7_700, 2_500, 11_200, 3


def tree(seed: int) -> dict[str, bytes]:
    """The files of one release; ``seed`` decides what the changed ones hold."""
    rng, changed = random.Random(0), random.Random(seed)  # noqa: S311 - contents, not secrets
    return {
        f"app/part{number % 97}/file{number}.py": (changed if number < CHANGED else rng)
        .randbytes(SIZE // 2)
        .hex()
        .encode()
        for number in range(FILES)
    }


def window(folder: Path, layout: Layout, files: dict[str, bytes]) -> tuple[float, float]:
    """Seconds of the mixed window, and of the whole update, of one update on the filesystem of ``folder``."""
    world = World(folder / "site", layout)
    live = world.site.path / ("current" if layout == "slots" else "app")
    moments: list[float] = []
    real = os.replace

    def replace(source: Any, target: Any) -> None:
        counts = Path(target).is_relative_to(live)
        before = time.perf_counter()
        real(source, target)
        if counts:
            moments.extend((before, time.perf_counter()))

    started = time.perf_counter()
    with mock.patch.object(os, "replace", replace):
        world.update("2.0.0", files)
    return max(moments) - min(moments), time.perf_counter() - started


def switch_windows() -> list[str]:
    """One row for each layout: medians of RUNS updates."""
    rows = ["| layout | mixed-tree window, ms | whole update, s |", "|---|---:|---:|"]
    old, new = tree(1), tree(2)
    for layout in ("in-place", "slots"):
        found = []
        for _ in range(RUNS):
            with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
                site: Layout = "slots" if layout == "slots" else "in-place"
                World(Path(folder) / "site", site).create().update("1.0.0", old)
                found.append(window(Path(folder), site, new))
        windows, wholes = zip(*found, strict=True)
        rows.append(f"| {layout} | {statistics.median(windows) * 1000:.2g} | {statistics.median(wholes):.1f} |")
    return rows
