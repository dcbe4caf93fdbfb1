"""Print the tables of docs/benchmarks.md, measured on this machine: ``make bench``.

Import cost: what a command loads beyond a bare interpreter, in modules and in milliseconds (``python -X importtime``,
bytecode compiled before, median of five runs). Publishing to GitHub: ``tools/publish_costs.py``. Switching a tree:
``tools/switch_window.py``. Flushing an update to the disk: ``tools/flush_costs.py``.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.flush_costs import flush_costs
from tools.publish_costs import publish_costs
from tools.sample_site import sample_site
from tools.switch_window import switch_windows

ROOT = Path(__file__).resolve().parents[1]
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


def import_costs(folder: Path, site: Path) -> list[str]:
    """One row for each case."""
    cache = folder / "bytecode"
    bare = imported(["-c", "pass"], cache)
    rows = ["| | modules | ms |", "|---|---:|---:|"]
    for name, case in CASES.items():
        arguments = [word.format(site=site) for word in case]
        imported(arguments, cache)  # compiles the bytecode
        runs = [imported(arguments, cache) for _ in range(RUNS)]
        costs = [sum(own for module, own in run.items() if module not in bare) / 1000 for run in runs]
        rows.append(f"| {name} | {len(runs[0].keys() - bare.keys())} | {statistics.median(costs):.0f} |")
    return rows


def main() -> None:
    """Print every table."""
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores\n")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, sample_site(Path(folder)) as site:
        print("Import cost\n", *import_costs(Path(folder), site), sep="\n")
        print("\nSwitching\n", *switch_windows(), sep="\n")
        print("\nPublishing to GitHub\n", *publish_costs(Path(folder)), sep="\n")
        print("\nMaking an update durable\n", *flush_costs(Path(folder)), sep="\n")


if __name__ == "__main__":
    main()
