"""The command line, and the worker processes that keep every core busy."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.torture.fuzz.engine import fuzz, last_input
from tests.torture.fuzz.targets import TARGETS

__all__ = ["Job", "main", "run_jobs"]

ROOT = Path(__file__).resolve().parents[3]
_SILENT = 120.0
"""Seconds without an execution after which a worker is ended: it hangs where no signal reaches it."""


@dataclass(frozen=True)
class Job:
    """One worker: a target, a seed, and how long."""

    target: str
    seed: int
    executions: int | None = None
    seconds: float | None = None


def run_jobs(jobs: Sequence[Job], workers: int, *, state: Path | None, done: Callable[[dict[str, Any]], None]) -> None:
    """Run every job in a process of its own, ``workers`` at a time; ``done`` gets each report as a JSON object."""
    waiting, running = list(jobs), list[_Worker]()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                running.append(_Worker(waiting.pop(0), state))
            time.sleep(0.05)
            for worker in list(running):
                report = worker.report()
                if report is not None:
                    running.remove(worker)
                    done(report)
    finally:
        for worker in running:
            worker.end()


class _Worker:
    def __init__(self, job: Job, state: Path | None) -> None:
        self._job = job
        self._folder = tempfile.TemporaryDirectory(prefix="fuzz-job-")
        self._current = Path(self._folder.name) / "current"
        self._out = Path(self._folder.name) / "report"
        words = [f"--{name}={value}" for name, value in asdict(job).items() if value is not None]
        words += [f"--state={state}"] if state is not None else []
        command = [sys.executable, "-m", "tests.torture.fuzz", *words, f"--worker={self._folder.name}"]
        env = os.environ | {"PYTHONHASHSEED": "0"}
        self._process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
        self._moved = time.monotonic()
        self._seen = b""

    def report(self) -> dict[str, Any] | None:
        """What came of it, or None while it runs."""
        code = self._process.poll()
        if code is None:
            self._look()
            return None
        if self._out.exists():
            found: dict[str, Any] = json.loads(self._out.read_bytes())
        else:
            data = last_input(self._current) if self._current.exists() else b""
            what = "hangs where no signal reaches it" if code == -signal.SIGKILL else f"ended the process with {code}"
            finding = {"target": self._job.target, "index": -1, "reason": what, "data": data.hex()}
            found = asdict(self._job) | {"executions": 0, "seconds": 0, "edges": 0, "corpus": 0, "findings": [finding]}
        self._folder.cleanup()
        return found

    def _look(self) -> None:
        seen = self._current.read_bytes() if self._current.exists() else b""
        if seen != self._seen:
            self._seen, self._moved = seen, time.monotonic()
        elif time.monotonic() - self._moved > _SILENT:
            self._process.kill()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()


def main(arguments: Sequence[str]) -> int:
    """Returns 1 when there was a finding."""
    args = _parse(arguments)
    if args.list:
        for target in TARGETS.values():
            print(f"{target.name:18} {target.share:8,}  {target.what}")
        return 0
    if args.worker:
        return _work(args)
    names = list(TARGETS) if args.target == "all" else [args.target]
    jobs = [
        Job(name, args.seed, args.executions or (None if args.seconds else TARGETS[name].share), args.seconds)
        for name in names
    ]
    if args.state is not None:
        Path(args.state).mkdir(parents=True, exist_ok=True)
    findings = 0

    def done(report: dict[str, Any]) -> None:
        nonlocal findings
        findings += len(report["findings"])
        print(
            f"{report['target']:18} {report['executions']:9,} executions {report['seconds']:7.1f} s"
            f" {report['edges']:6} edges {report['corpus']:5} inputs {len(report['findings'])} findings",
            flush=True,
        )
        for finding in report["findings"]:
            data = bytes.fromhex(finding["data"])
            print(f"  #{finding['index']}: {finding['reason']}\n    {data[:300]!r}", flush=True)
            if args.findings is not None:
                folder = Path(args.findings)
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{finding['target']}-{hashlib.sha256(data).hexdigest()[:12]}").write_bytes(data)

    state = None if args.state is None else Path(args.state).absolute()
    run_jobs(jobs, args.jobs, state=state, done=done)
    return 1 if findings else 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture.fuzz", description="Fuzz the parsers of the client.")
    parser.add_argument("--list", action="store_true", help="name the targets, with the executions of a full run")
    parser.add_argument("--target", choices=[*TARGETS, "all"], default="all")
    parser.add_argument("--executions", type=int, help="how many; default: the target's share of a million")
    parser.add_argument("--seconds", type=float, help="how long, instead")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time")
    parser.add_argument("--state", help="a folder that remembers where the run ended, to go on there the next time")
    parser.add_argument("--findings", help="a folder for the inputs that are findings")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _work(args: argparse.Namespace) -> int:
    folder = Path(args.worker)
    report = fuzz(
        TARGETS[args.target],
        seed=args.seed,
        executions=args.executions,
        seconds=args.seconds,
        state=None if args.state is None else Path(args.state) / f"{args.target}-{args.seed}.json",
        current=folder / "current",
    )
    told = asdict(report) | {
        "findings": [asdict(finding) | {"data": finding.data.hex()} for finding in report.findings]
    }
    part = folder / "report.part"
    part.write_text(json.dumps(told))
    part.rename(folder / "report")
    return 0
