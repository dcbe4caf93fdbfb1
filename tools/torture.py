"""Run every fault test in full and print what it counted: ``make torture``, the table of docs/reliability.md.

Arguments are handed to pytest, so that one layer can be run alone: ``python -m tools.torture -k power``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def table(lines: list[dict[str, Any]]) -> list[str]:
    """One row for each layer."""
    merged: dict[str, dict[str, Any]] = {}
    for line in lines:  # one test of a layer writes one line; a layer may have several
        total = merged.setdefault(str(line["what"]), {"what": line["what"]})
        for name, count in line.items():
            if name != "what":
                total[name] = round(total.get(name, 0) + count, 1)
    rows = ["| layer | counted | wrong | seconds |", "|---|---|---:|---:|"]
    for line in sorted(merged.values(), key=lambda line: str(line["what"])):
        counts = [f"{count:,} {name}" for name, count in line.items() if name not in ("what", "wrong", "seconds")]
        rows.append(f"| {line['what']} | {', '.join(counts)} | {line['wrong']} | {line['seconds']} |")
    return rows


def main(arguments: list[str]) -> int:
    """Run the tests marked ``torture``; the exit code is pytest's."""
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.jsonl"
        figures.touch()
        command = [sys.executable, "-m", "pytest", "-m", "torture", "-n", "auto", "--dist", "worksteal", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=os.environ | {"TORTURE_FIGURES": str(figures)}, check=False)
        lines = [json.loads(line) for line in figures.read_text(encoding="utf-8").splitlines()]
    print("\n".join(["", *table(lines)]))
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
