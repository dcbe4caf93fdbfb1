"""How the cost of an update grows with the app and with the change: tables, and plots in docs/images/."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.bench.made_up import write_app
from tools.bench.measure import Cost, median_cost
from tools.bench.pairs import Pair
from tools.bench.places import ROOT, peers_python
from tools.bench.served import Served, Transfer, served

__all__ = ["update_curves"]

RUNS = 3
APP_SIZES = (500, 1_000, 2_000, 4_000, 8_000, 16_000)
CHANGES = (10, 50, 250, 1_000, 4_000)
CONSTANT_CHANGE, CONSTANT_APP = 50, 8_000
_PLOT = str(Path(__file__).with_name("plot.py"))


@dataclass(frozen=True)
class _MadeUp(Pair):
    """A pair whose trees are made here."""

    folder: Path = Path()

    def tree(self, version: str) -> Path:
        return self.folder / version


def update_curves() -> list[str]:
    """Seconds and bytes of one update, in place: one table for the size of the app, one for that of the change."""
    rows: list[str] = []
    with served("curves") as bench:
        cases = (
            ("app-size", "files in the app", [(size, CONSTANT_CHANGE) for size in APP_SIZES]),
            ("change-size", "files that change", [(CONSTANT_APP, change) for change in CHANGES]),
        )
        for name, axis, points in cases:
            figures = [(_point(point, points), *_measure(bench, name, *point)) for point in points]
            rows += ["", f"| {axis} | s | bytes | requests |", "|---:|---:|---:|---:|"]
            rows += [f"| {x:,} | {wall:.2f} | {sent.bytes:,} | {sent.requests} |" for x, wall, sent in figures]
            _plot(name, axis, [(x, wall, sent.bytes) for x, wall, sent in figures])
    return rows[1:]


def _point(point: tuple[int, int], points: Sequence[tuple[int, int]]) -> int:
    """The coordinate that varies."""
    return point[0] if len({size for size, _ in points}) > 1 else point[1]


def _measure(bench: Served, name: str, files: int, changed: int) -> tuple[float, Transfer]:
    folder = bench.scratch / f"{name}-{files}-{changed}"
    pair = _MadeUp(f"{name}-{files}-{changed}-app", "1.0", "2.0", folder)
    write_app(folder / "1.0", files)
    write_app(folder / "2.0", files, changed=changed)
    bench.publish(pair)
    transfers: list[Transfer] = []

    def update() -> Cost:
        cost, transfer = bench.update(bench.site(pair), pair)
        transfers.append(transfer)
        return cost

    wall = median_cost(update, RUNS).wall
    shutil.rmtree(folder)
    return wall, transfers[-1]


def _plot(name: str, axis: str, points: Sequence[tuple[int, float, int]]) -> None:
    target = ROOT / "docs" / "images" / f"update-by-{name}.svg"
    data = json.dumps({"axis": axis, "points": points})
    subprocess.run([str(peers_python()), _PLOT, str(target)], input=data, text=True, check=True)
