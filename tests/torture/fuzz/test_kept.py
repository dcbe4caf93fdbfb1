"""Every hostile input that is kept is refused as its name says, or accepted and understood; nothing else happens."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.torture.fuzz.engine import sandbox
from tests.torture.fuzz.guard import Guard
from tests.torture.fuzz.kept import CORPUS, all_cases
from tests.torture.fuzz.targets import TARGETS

CASES = {f"{target}/{name}": (target, data, expected) for target, name, data, expected in all_cases()}
Runner = Callable[[str, bytes], tuple[str | None, BaseException | None]]


@pytest.fixture(scope="module")
def run() -> Iterator[Runner]:
    """Runs an input through its target: what the guard says, and the refusal."""
    works: dict[str, Callable[[bytes], None]] = {}
    guards: dict[str, Guard] = {}
    with ExitStack() as opened:

        def run_one(name: str, data: bytes) -> tuple[str | None, BaseException | None]:
            if name not in works:
                folder = opened.enter_context(sandbox())
                works[name], guards[name] = TARGETS[name].open(folder), Guard(folder)
            refusals: list[BaseException] = []

            def work(data: bytes) -> None:
                try:
                    works[name](data)
                except TARGETS[name].allowed as error:
                    refusals.append(error)
                    raise

            with guards[name] as guard:
                return guard.run(work, data, TARGETS[name].allowed), refusals[0] if refusals else None

        yield run_one


def test_files_and_tables_agree():
    """``python -m tests.torture.fuzz.kept`` writes the files of new entries."""
    files = {path.relative_to(CORPUS).as_posix(): path.read_bytes() for path in CORPUS.rglob("*") if path.is_file()}
    assert {name: data for name, (_, data, _) in CASES.items()} == files
    assert len(files) >= 200
    assert sum(map(len, files.values())) < 1 << 20
    assert all(re.fullmatch(r"[a-z-]+/[a-z0-9-]+", name) for name in files)


@pytest.mark.parametrize("name", CASES)
def test_is_refused_as_it_must_be(name: str, run: Runner):
    target, data, expected = CASES[name]
    finding, refusal = run(target, data)
    assert finding is None
    told = "accepted" if refusal is None else f"{type(refusal).__name__}: {refusal}"
    kind, _, part = expected.partition(": ")
    if kind == "FeedError":  # whichever of its kinds
        assert refusal is not None
    else:
        assert told.partition(":")[0] == kind, told
    assert part in told
