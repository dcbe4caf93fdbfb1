"""Run by the peers' own Python, which has matplotlib: a curve from JSON on standard input to an SVG file."""

from __future__ import annotations

import json
import sys

import matplotlib  # type: ignore[import-not-found,unused-ignore]

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "tagship"  # equal figures give equal bytes

from matplotlib import pyplot  # type: ignore[import-not-found,unused-ignore]  # noqa: E402


def main(target: str) -> None:
    """Seconds and kilobytes over the axis, each with its own scale; both axes begin at nothing."""
    data = json.load(sys.stdin)
    xs, seconds, sizes = zip(*data["points"], strict=True)
    figure, left = pyplot.subplots(figsize=(7, 3.6), layout="constrained")
    right = left.twinx()
    one = left.plot(xs, seconds, marker="o", color="#1f5fa8", label="seconds")
    two = right.plot(xs, [size / 1000 for size in sizes], marker="s", color="#b8562d", label="kB over the line")
    left.set(xlabel=data["axis"], ylabel="seconds", ylim=(0, max(seconds) * 1.15), xlim=(0, max(xs) * 1.03))
    right.set(ylabel="kB over the line", ylim=(0, max(sizes) / 1000 * 1.15))
    left.grid(alpha=0.3)
    figure.legend(handles=[*one, *two], loc="outside upper center", ncols=2, frameon=False)
    figure.savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    main(sys.argv[1])
