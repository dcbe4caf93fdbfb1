"""Print the tables of docs/benchmarks.md: ``make bench``, or ``python -m tools.bench NAME...`` for some of them."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tools.bench.checks import check_costs
from tools.bench.creation import publishing_costs
from tools.bench.curves import update_curves
from tools.bench.imports import import_costs
from tools.bench.levels import compression_levels
from tools.bench.reading import reading_costs
from tools.bench.updates import update_bytes, update_times
from tools.delta_sizes import delta_sizes
from tools.flush_costs import flush_costs
from tools.load_static import load_static
from tools.publish_costs import publish_costs
from tools.publish_scale import publish_scale
from tools.switch_window import switch_windows

Table = Callable[[], Sequence[str]]


def _in_folder(table: Callable[[Path], Sequence[str]]) -> Table:
    def made() -> Sequence[str]:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            return table(Path(folder))

    return made


TABLES: dict[str, tuple[str, Table]] = {
    "bytes": ("Bytes of an update", update_bytes),
    "deltas": ("Size of deltas, and what they cost to make", delta_sizes),
    "times": ("Time and memory of an update", update_times),
    "publishing": ("Publishing a release", publishing_costs),
    "levels": ("Compressing a package", compression_levels),
    "checks": ("Asking for updates", check_costs),
    "curves": ("How it grows", update_curves),
    "imports": ("Import cost", import_costs),
    "reading": ("Hashing a tree", reading_costs),
    "switching": ("Switching a tree", switch_windows),
    "github": ("Publishing to GitHub", _in_folder(publish_costs)),
    "scale": ("Thousands of releases", _in_folder(publish_scale)),
    "load": ("Serving checks", _in_folder(load_static)),
    "flushes": ("Making an update durable", _in_folder(flush_costs)),
}


def main(names: Sequence[str]) -> int:
    """Print the tables of those names, or all."""
    unknown = sorted(set(names) - set(TABLES))
    if unknown:
        print(f"No such table: {', '.join(unknown)}. There are {', '.join(TABLES)}.", file=sys.stderr)
        return 2
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores")
    for name in names or TABLES:
        title, table = TABLES[name]
        print(f"\n## {title}\n", *table(), sep="\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
