"""The parsers of the client under fuzzing: a sample on every run, a million executions in ``make torture``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.torture.figures import Figures
from tests.torture.fuzz.command import ROOT, Job, run_jobs
from tests.torture.fuzz.engine import fuzz
from tests.torture.fuzz.targets import TARGETS

MILLION = 1_000_000
_SHARD = 20_000
"""Executions of one process at most, so that the end of a run keeps every core busy; each has a seed of its own."""


def test_the_shares_make_a_million():
    assert sum(target.share for target in TARGETS.values()) == MILLION
    assert sum(target.sample for target in TARGETS.values()) >= 20_000


@pytest.mark.parametrize("name", TARGETS)
def test_sample(name: str):
    """The first executions of the full run, without its search for new lines."""
    report = fuzz(TARGETS[name], seed=1, executions=TARGETS[name].sample, watched=0)
    assert report.executions == TARGETS[name].sample
    assert [(finding.reason, finding.data) for finding in report.findings] == []


def shards() -> list[Job]:
    """The full run, the slowest targets first."""
    jobs = [
        Job(target.name, seed, min(_SHARD, target.share - done))
        for target in TARGETS.values()
        for seed, done in enumerate(range(0, target.share, _SHARD), start=1)
    ]
    return sorted(jobs, key=lambda job: TARGETS[job.target].sample / TARGETS[job.target].share)


@pytest.mark.torture
def test_a_moment_under_atheris(tmp_path: Path):
    """Optional: Atheris has wheels for some Pythons only."""
    pytest.importorskip("atheris", reason="Atheris is not installed (pip install --group fuzz)")
    words = ("--target", "version", "--seconds", "5", "--corpus", str(tmp_path / "corpus"))
    done = subprocess.run(
        [sys.executable, "-m", "tests.torture.fuzz.guided", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Done" in done.stderr
    assert len(list((tmp_path / "corpus").iterdir())) > 2


@pytest.mark.torture
def test_a_million_executions():
    with Figures("fuzzing, 1,000,000 executions") as figures:

        def done(report: dict[str, Any]) -> None:
            figures.add("executions", report["executions"])
            figures.add(f"executions of {report['target']}", report["executions"])
            for finding in report["findings"]:
                figures.wrong(
                    f"{report['target']}, seed {report['seed']}: {finding['reason']} ({finding['data'][:400]})"
                )

        run_jobs(shards(), os.cpu_count() or 1, state=None, done=done)
        assert figures.counts["executions"] == MILLION
