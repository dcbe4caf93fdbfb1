"""What publishing one release costs the maintainer's machine, beside tufup."""

from __future__ import annotations

from tools.bench.measure import geometric_mean
from tools.bench.pairs import PAIRS
from tools.bench.served import served

__all__ = ["publishing_costs"]


def publishing_costs() -> list[str]:
    """The whole command: package, index, delta from the release before, signatures, feed; tufup does the like."""
    head = ("ours, CPU s", "tufup", "ratio", "ours, s", "tufup", "ratio", "ours, MiB", "tufup", "ratio")
    rows = [f"| pair | {' | '.join(head)} |", f"|---|{'---:|' * len(head)}"]
    ratios: list[tuple[float, float, float]] = []
    with served("creation") as bench:
        for pair in PAIRS:
            ours, theirs = bench.publish(pair), bench.publish_tufup(pair)
            ratio = (ours.cpu / theirs.cpu, ours.wall / theirs.wall, ours.peak / theirs.peak)
            ratios.append(ratio)
            rows.append(
                f"| {pair} | {ours.cpu:.1f} | {theirs.cpu:.1f} | {ratio[0]:.2f} | {ours.wall:.1f} | {theirs.wall:.1f}"
                f" | {ratio[1]:.2f} | {ours.peak:.0f} | {theirs.peak:.0f} | {ratio[2]:.2f} |"
            )
    means = [geometric_mean(column) for column in zip(*ratios, strict=True)]
    return [*rows, "", "Geometric means: CPU {:.2f}, wall {:.2f}, memory {:.2f}.".format(*means)]
