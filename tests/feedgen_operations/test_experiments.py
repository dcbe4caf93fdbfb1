"""A/B tests: which site gets which variant, from the first second to the end."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedgen.errors import ConfigError, PublishError
from feedgen.operations.experiments import begin, end, ranges, share_of
from feedgen.operations.state import ReleaseState
from feedgen.operations.state_file import read_state, state_text
from tests.feedgen_operations.conftest import Published
from updater.schema.cohorts import COHORTS
from updater.selection import select

NOW = datetime(2026, 1, 20, 10, tzinfo=UTC)
SITES = [f"{number:032x}" for number in range(2000)]


def offered(app: Published, installed: str = "1.0.0") -> dict[str, str | None]:
    """What each of many sites is offered."""
    feed = app.seen()
    found = {}
    for site in SITES:
        release = select(feed, installed, site_id=site, now=NOW, python="3.12.0").release
        found[site] = None if release is None else release.version
    return found


@pytest.fixture
def running(app: Published) -> Published:
    """1.4.0 for one half of the sites and 1.4.1 for the other, begun before either was published."""
    app.run("experiment", "begin", "checkout", "1.4.0=50", "1.4.1=50")
    app.release("v1.4.1")
    for tag in ("v1.4.0", "v1.4.1"):
        app.run("publish", tag)
    return app


def test_each_site_is_offered_one_variant_from_the_first_second(app: Published) -> None:
    app.run("experiment", "begin", "checkout", "1.4.0=50", "1.4.1=50")
    app.run("publish", "v1.4.0")
    only = offered(app)
    assert 850 < Counter(only.values())["1.4.0"] < 1150
    app.release("v1.4.1")
    app.run("publish", "v1.4.1")
    both = offered(app)
    assert set(both.values()) == {"1.4.0", "1.4.1"}
    assert all(both[site] == "1.4.0" for site in SITES if only[site] == "1.4.0"), "nobody changes groups"
    reasons = select(app.seen(), "1.4.0", site_id=next(s for s in SITES if only[s]), now=NOW, python="3.12.0").reasons
    assert "1.4.1: meant for another group of sites (checkout)." in reasons


def test_the_groups_stay_for_later_releases_and_differ_between_experiments(running: Published) -> None:
    before = offered(running)
    for tag in ("v1.5.0", "v1.5.1"):
        running.release(tag)
    running.run("experiment", "begin", "checkout", "1.5.0=50", "1.5.1=50")
    for tag in ("v1.5.0", "v1.5.1"):
        running.run("publish", tag)
    after = offered(running)
    assert {(before[site], after[site]) for site in SITES} == {("1.4.0", "1.5.0"), ("1.4.1", "1.5.1")}
    running.run("experiment", "end", "checkout", "--winner", "1.5.1")
    running.release("v1.6.0")
    running.release("v1.6.1")
    running.run("experiment", "begin", "colours", "1.6.0=50", "1.6.1=50")
    for tag in ("v1.6.0", "v1.6.1"):
        running.run("publish", tag)
    other = offered(running)
    same = sum(before[site] == "1.4.0" and other[site] == "1.6.0" for site in SITES)
    assert 400 < same < 600, "independent"


def test_the_winner_is_for_everybody_and_the_other_for_nobody_new(running: Published) -> None:
    before = running.snapshot()
    assert (
        "Would change for sites"
        in running.run("experiment", "end", "checkout", "--winner", "1.4.1", "--dry-run").output
    )
    assert running.snapshot() == before
    running.run("experiment", "end", "checkout", "--winner", "1.4.1")
    assert set(offered(running).values()) == {"1.4.1"}
    assert set(offered(running, "1.4.0").values()) == {"1.4.1"}
    assert "There is no experiment" not in running.run("experiment", "end", "checkout").output
    assert "no experiment 'other'" in running.run("experiment", "end", "other", code=1).output
    running.run("verify")


def test_twice_changes_nothing_and_what_is_published_becomes_one(app: Published) -> None:
    app.run("publish", "v1.4.0")
    app.release("v1.4.1")
    app.run("publish", "v1.4.1")
    app.run("experiment", "begin", "checkout", "1.4.0=20", "1.4.1=30")
    counts = Counter(offered(app).values())
    assert 300 < counts["1.4.0"] < 500 and 500 < counts["1.4.1"] < 700 and 850 < counts[None] < 1150
    after = app.snapshot()
    assert "nothing changed" in app.run("experiment", "begin", "checkout", "1.4.0=20", "1.4.1=30").output
    assert app.snapshot() == after
    shown = json.loads(app.run("experiment", "show", "checkout", "--json").output)
    assert [(row["version"], row["percent"], row["downloads"]) for row in shown["variants"]] == [
        ("1.4.1", 30.0, None),
        ("1.4.0", 20.0, None),
    ]
    assert "not counted" in app.run("experiment", "show", "checkout").output
    assert "experiment checkout" in app.run("list").output


@pytest.mark.parametrize("words", [["1.4.0=50"], ["1.4.0=60", "1.4.1=41"], ["1.4.0=0", "1.4.1=50"], ["1.4.0", "1.4.1"]])
def test_what_is_no_experiment_is_refused(app: Published, words: list[str]) -> None:
    before = app.snapshot()
    app.run("experiment", "begin", "checkout", *words, code=2)
    assert app.snapshot() == before


def test_a_release_belongs_to_one_experiment() -> None:
    edit = begin("two", {"1.4.0": 50, "1.4.1": 50})["1.4.0"]
    for taken in (ReleaseState("stable", experiment="one"), ReleaseState("stable", cohorts=((0, 9),))):
        with pytest.raises(PublishError, match="already"):
            edit("1.4.0", taken)
    with pytest.raises(ConfigError):
        begin("no name", {"1.4.0": 50, "1.4.1": 50})
    state = ReleaseState("stable", experiment="two", cohorts=((0, 4999),))
    with pytest.raises(PublishError, match="no variant"):
        end("two", {"1.4.0": state}, "1.3.0", NOW)
    assert share_of(state) == 50
    assert read_state(state_text("1.4.0", state), "f", "1.4.0") == state


@given(st.lists(st.integers(1, 50), min_size=2, max_size=6).filter(lambda shares: sum(shares) <= 100))
def test_variants_never_overlap(shares: list[int]) -> None:
    cohorts = [pair for pairs in ranges({str(n): share for n, share in enumerate(shares)}).values() for pair in pairs]
    assert cohorts[0][0] == 0 and cohorts[-1][1] == sum(shares) * COHORTS // 100 - 1
    assert all(before[1] + 1 == after[0] for before, after in pairwise(cohorts))
