"""What asking for updates costs: requests, bytes and processor time, beside tufup."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from tools.bench.measure import Cost, run_python
from tools.bench.pairs import SMALL
from tools.bench.places import peers_python
from tools.bench.served import TUFUP, Transfer, served

__all__ = ["check_costs"]

RUNS = 9


def check_costs() -> list[str]:
    """With nothing new since the last time, as nearly every check is, and with a release to be told of."""
    rows = ["| | requests | bytes of bodies | CPU ms | MiB |", "|---|---:|---:|---:|---:|"]
    with served("checks") as bench:
        bench.publish(SMALL)
        bench.publish_tufup(SMALL)
        ours, theirs = bench.site(SMALL), bench.tufup_site(SMALL)
        url = f"{bench.nginx.url}{SMALL.slug}-tufup/"

        def check() -> tuple[Cost, Transfer]:
            bench.nginx.asked()
            return run_python(["updater", "check", "--site", str(ours)], bench.scratch), bench.transfer()

        def check_tufup() -> tuple[Cost, Transfer]:
            bench.nginx.asked()
            arguments = [TUFUP, "update", url, str(theirs), SMALL.old, "check"]
            return run_python(arguments, bench.scratch, python=peers_python()), bench.transfer()

        for name, run in (("`updater check`", check), ("tufup", check_tufup)):
            run()  # the first one fetches what is kept from then on
            rows.append(_row(name, run))
    return rows


def _row(name: str, run: Callable[[], tuple[Cost, Transfer]]) -> str:
    costs, transfers = zip(*(run() for _ in range(RUNS)), strict=True)
    cpu = statistics.median(cost.cpu for cost in costs) * 1000
    peak = statistics.median(cost.peak for cost in costs)
    return f"| {name} | {transfers[-1].requests} | {transfers[-1].bytes:,} | {cpu:.0f} | {peak:.0f} |"
