"""What a command costs: wall time, CPU time and peak memory, of a process of its own."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

__all__ = ["Cost", "geometric_mean", "median_cost", "run_measured", "run_python"]


@dataclass(frozen=True)
class Cost:
    """Seconds by the clock and of the processor, and the most memory (MiB) that was in use; 0 when not measured."""

    wall: float
    cpu: float
    peak: float = 0.0


def run_measured(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: BinaryIO | None = None,
) -> Cost:
    """Run it. Raises SystemExit with what it printed when it fails."""
    started = time.perf_counter()
    with subprocess.Popen(
        command, cwd=cwd, env=env, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None  # noqa: S101 - narrows the type
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{printed.decode(errors='replace')}")
    return Cost(time.perf_counter() - started, usage.ru_utime + usage.ru_stime)


_PEAK = """
import atexit, os, re, runpy, sys
target, sys.argv = sys.argv[1], sys.argv[2:]
@atexit.register
def tell():
    with open('/proc/self/status') as status, open(target, 'w') as out:
        out.write(re.search(r'VmHWM:\\s*(\\d+)', status.read())[1])
if sys.argv[0].endswith('.py') or '/' in sys.argv[0]:
    runpy.run_path(sys.argv[0], run_name='__main__')
else:
    runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)
"""


def run_python(
    arguments: Sequence[str],
    scratch: Path,
    *,
    python: Path | str = sys.executable,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Cost:
    """Run a script or module (the first argument) with bytecode that is kept, and note the peak of its memory."""
    peak = scratch / "peak"
    environment = {k: v for k, v in {**os.environ, **(env or {})}.items() if k != "PYTHONDONTWRITEBYTECODE"}
    cost = run_measured([str(python), "-c", _PEAK, str(peak), *arguments], cwd=cwd, env=environment)
    return Cost(cost.wall, cost.cpu, int(peak.read_text(encoding="utf-8")) / 1024)


def median_cost(run: Callable[[], Cost], runs: int) -> Cost:
    """The median of each figure."""
    costs = [run() for _ in range(runs)]
    return Cost(
        *(statistics.median(figures) for figures in zip(*((c.wall, c.cpu, c.peak) for c in costs), strict=True))
    )


def geometric_mean(values: Iterable[float]) -> float:
    """Of ratios."""
    return statistics.geometric_mean(values)
