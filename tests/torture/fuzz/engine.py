"""The loop: take an input, change it, run the target, keep what reaches new lines."""

from __future__ import annotations

import base64
import json
import mmap
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture.fuzz.coverage import Coverage
from tests.torture.fuzz.guard import Finding, Guard
from tests.torture.fuzz.mutations import LARGEST
from tests.torture.fuzz.targets import Target

__all__ = ["Report", "fuzz", "last_input", "sandbox"]

_LARGEST_CORPUS = 2000
_MOST_FINDINGS = 20


@dataclass
class Report:
    """What came of one run: ``executions`` done in it, ``next`` the number of the execution a later run begins with."""

    target: str
    seed: int
    executions: int = 0
    next: int = 0
    seconds: float = 0.0
    edges: int = 0
    corpus: int = 0
    findings: list[Finding] = field(default_factory=list)


@contextmanager
def sandbox() -> Iterator[Path]:
    """A folder to work in, in memory where there is one: the disk would cost more than the parsers."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder).resolve()


def fuzz(
    target: Target,
    *,
    seed: int,
    executions: int | None = None,
    seconds: float | None = None,
    state: Path | None = None,
    current: Path | None = None,
    watched: int = 8,
) -> Report:
    """Run one target until so many ``executions`` or ``seconds`` are over, the first inputs being its seeds.

    ``state``: a file that is read if it exists, to go on where an earlier run ended, and written at the end.
    ``current``: a file that holds the running input, for whoever has to end a process that no signal wakes. One
    execution in ``watched`` is watched line by line, which takes several times as long; 0 watches none.
    """
    seeds = target.seeds()
    report = Report(target.name, seed)
    found: list[bytes] = []
    if state is not None and state.exists():
        saved = json.loads(state.read_text())
        report.next = saved["next"]
        found = [base64.b64decode(text) for text in saved["corpus"]]
    coverage = Coverage()
    started = time.monotonic()
    with sandbox() as folder, Guard(folder) as guard, _Current(current) as write_current:
        work = target.open(folder)
        if work_again := list(found):
            for data in (*seeds, *work_again):
                coverage.watch(lambda data=data: guard.run(work, data, target.allowed))  # type: ignore[misc]
        keys: set[str] = set()
        while not _over(report, executions, seconds, started):
            index = report.next
            data = seeds[index] if index < len(seeds) else _mutant(target, seeds, found, seed, index)
            write_current(data)
            if watched and (index % watched == 0 or index < len(seeds)):
                reason, new = coverage.watch(lambda: guard.run(work, data, target.allowed))  # noqa: B023
                if new and index >= len(seeds) and len(found) < _LARGEST_CORPUS:
                    found.append(data)
            else:
                reason = guard.run(work, data, target.allowed)
            report.next += 1
            report.executions += 1
            if reason is not None:
                finding = Finding(target.name, index, reason, data)
                if finding.key not in keys:
                    keys.add(finding.key)
                    report.findings.append(finding)
                if len(report.findings) >= _MOST_FINDINGS:
                    break
    report.seconds = time.monotonic() - started
    report.edges, report.corpus = len(coverage), len(seeds) + len(found)
    if state is not None:
        corpus = [base64.b64encode(data).decode() for data in found]
        state.write_text(json.dumps({"next": report.next, "corpus": corpus}))
    return report


def _over(report: Report, executions: int | None, seconds: float | None, started: float) -> bool:
    if executions is not None and report.executions >= executions:
        return True
    return seconds is not None and time.monotonic() - started >= seconds


def _mutant(target: Target, seeds: list[bytes], found: list[bytes], seed: int, index: int) -> bytes:
    rng = random.Random(f"{target.name}:{seed}:{index}")
    pool = found if found and rng.randrange(2) else seeds
    data = target.mutate(rng, rng.choice(pool), pool)
    while rng.randrange(4) == 0:
        data = target.mutate(rng, data, pool)
    return data[:LARGEST]


class _Current:
    """The running input, in a mapped file: it survives the process."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._map: mmap.mmap | None = None

    def __enter__(self) -> Callable[[bytes], None]:
        if self._path is not None:
            with self._path.open("w+b") as file:
                file.truncate(8 + LARGEST)
                self._map = mmap.mmap(file.fileno(), 8 + LARGEST)
        return self._write

    def __exit__(self, *_: object) -> None:
        if self._map is not None:
            self._map.close()

    def _write(self, data: bytes) -> None:
        if self._map is not None:
            self._map[:8] = len(data).to_bytes(8, "little")
            self._map[8 : 8 + len(data)] = data


def last_input(path: Path) -> bytes:
    """What a run was busy with when it ended, from its ``current`` file."""
    data = path.read_bytes()
    return data[8 : 8 + int.from_bytes(data[:8], "little")]
