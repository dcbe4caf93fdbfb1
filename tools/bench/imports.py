"""Import cost: what a command loads beyond a bare interpreter, in modules and in milliseconds (``-X importtime``)."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.bench.places import ROOT
from tools.sample_site import sample_site

__all__ = ["import_costs"]

RUNS = 5
CLI = "import sys; from updater.cli import main; sys.exit(main())"
CASES: dict[str, list[str]] = {
    "`import updater`": ["-c", "import updater"],
    "what recovery needs": ["-c", "import updater.errors, updater.package, updater.install, updater.database"],
    "`updater --version`": ["-c", CLI, "--version"],
    "`updater check`, nothing new": ["-c", CLI, "check", "--site", "{site}"],
    "for comparison: `import requests`": ["-c", "import requests"],
    "for comparison: `import tuf.ngclient`": ["-c", "import tuf.ngclient"],
}


def imported(arguments: Sequence[str], cache: Path) -> dict[str, int]:
    """The modules that a Python process loads, with the microseconds each took by itself."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(cache)
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)
    found = {}
    for line in done.stderr.splitlines():
        own, _, rest = line.removeprefix("import time:").partition("|")
        if line.startswith("import time:") and own.strip().isdigit():
            found[rest.rpartition("|")[2].strip()] = int(own)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr[-1000:]}")
    return found


def import_costs() -> list[str]:
    """One row for each case; bytecode compiled before, median of five runs."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, sample_site(Path(folder)) as site:
        return _rows(Path(folder) / "bytecode", site)


def _rows(cache: Path, site: Path) -> list[str]:
    bare = imported(["-c", "pass"], cache)
    rows = ["| | modules | ms |", "|---|---:|---:|"]
    for name, case in CASES.items():
        arguments = [word.format(site=site) for word in case]
        imported(arguments, cache)  # compiles the bytecode
        runs = [imported(arguments, cache) for _ in range(RUNS)]
        costs = [sum(own for module, own in run.items() if module not in bare) / 1000 for run in runs]
        rows.append(f"| {name} | {len(runs[0].keys() - bare.keys())} | {statistics.median(costs):.0f} |")
    return rows
