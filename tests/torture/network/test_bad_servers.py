"""A server that answers wrongly in every way that we know, at the first, the middle and the last byte of every file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture.figures import Figures
from tests.torture.network.runner import Judgement, run_case
from tests.torture.network.table import POSITIONS, TABLE, WAYS, Case, Kind, Row, Verb, cases
from tests.torture.network.world import World

pytestmark = pytest.mark.usefixtures("short_pauses")


def _named(name: str) -> Row:
    return next(row for row in TABLE if row.name == name)


SAMPLE = [
    Case("update", "metadata", _named("reset"), "middle"),
    Case("update", "metadata", _named("captive portal"), "start"),
    Case("update", "metadata", _named("endless chunks"), "last"),
    Case("update", "feed", _named("flipped bit"), "middle"),
    Case("update", "feed", _named("cut"), "last"),
    Case("update", "feed", _named("drip"), "start"),
    Case("update", "package", _named("redirect loop"), "start"),
    Case("update", "package", _named("redirect to plain http"), "start"),
    Case("update", "package", _named("200 instead of 206"), "middle"),
    Case("update", "package", _named("416 for every range"), "last"),
    Case("setup", "metadata", _named("TLS to a plain port"), "middle"),
    Case("setup", "feed", _named("gzip bomb"), "start"),
    Case("download", "package", _named("chunked, cut"), "middle"),
    Case("download", "package", _named("too many bytes"), "last"),
]


@pytest.mark.parametrize("case", SAMPLE, ids=str)
def test_a_sample(case: Case, world: World, folder: Path) -> None:
    run_case(case, world, folder / "case")


def test_the_table_is_as_large_as_it_says() -> None:
    """At least 25 behaviours, each at three places of every kind of file."""
    assert len(TABLE) >= 50
    assert len({row.name for row in TABLE}) == len(TABLE)
    in_body = [row for row in TABLE if row.in_body]
    assert len(in_body) * len(POSITIONS) * len(WAYS) >= 75


# urllib3 leaves the connection of an answer with two lengths to the garbage collector, which complains at any time.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.torture
@pytest.mark.parametrize(("verb", "kind"), WAYS)
def test_every_wrong_answer(verb: Verb, kind: Kind, world: World, folder: Path) -> None:
    with Figures(f"network, wrong answers: {verb}, {kind}") as figures:
        for number, case in enumerate(cases(verb, kind)):
            figures.add()
            try:
                run_case(case, world, folder / str(number))
            except Judgement as judgement:
                figures.wrong(f"{case}: {judgement}")
