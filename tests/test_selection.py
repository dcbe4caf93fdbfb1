"""Which release a site goes to, and the reasons it is given."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.packages import make_package
from updater.schema.cohorts import COHORTS, cohort_of
from updater.schema.feed import Feed, Release, Requires, Rollout, RolloutStep, Yank
from updater.selection import Selection, select

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SITE = "5" * 32
SALT = "1.1.0"


def release(version: str, **fields: Any) -> Release:
    return replace(make_package({"a": b"1"}, version=version).to_release(), **fields)


def choose(*releases: Release, installed: str | None = "1.0.0", **options: Any) -> Selection:
    feed = Feed("shop", "stable", 1, NOW, tuple(releases))
    return select(feed, installed, **({"site_id": SITE, "now": NOW, "python": "3.11.7"} | options))


def rollout(*steps: tuple[int, int]) -> Rollout:
    """(hours from now, percent)"""
    return Rollout(SALT, tuple(RolloutStep(NOW + timedelta(hours=hours), percent) for hours, percent in steps))


PERCENT = cohort_of(SITE, SALT) * 100 // COHORTS
"""Where the site stands: a rollout above it has reached it."""

YANKED = release("1.1.0", yanked=Yank("it loses orders"))
STOP = release("1.1.0", stop=True)

CASES: dict[str, tuple[Selection, str | None, bool, str]] = {
    "the newest": (choose(release("1.2.0"), release("1.1.0"), release("1.0.0")), "1.2.0", False, "1.2.0 is the newest"),
    "whatever the order": (choose(release("1.1.0"), release("1.10.0"), release("1.9.0")), "1.10.0", False, "newest"),
    "critical is said": (choose(release("1.1.0", critical=True)), "1.1.0", False, "critical"),
    "nothing newer": (choose(release("1.0.0")), None, False, "1.0.0 is the newest"),
    "older ones only": (choose(release("0.9.0")), None, False, "1.0.0 is newer than all"),
    "an empty feed": (choose(installed=None), None, False, "no release yet"),
    "the first install": (choose(release("1.1.0"), installed=None), "1.1.0", False, "first install"),
    "yanked: the next best": (choose(release("1.2.0", yanked=Yank("bad")), release("1.1.0")), "1.1.0", False, "bad"),
    "yanked: nothing else": (choose(YANKED), None, True, "it loses orders"),
    "yanked without a reason": (choose(release("1.1.0", yanked=Yank(""))), None, True, "no reason given"),
    "the installed one is yanked": (choose(YANKED, installed="1.1.0"), None, False, "it loses orders"),
    "halted": (choose(release("1.1.0", halted=True)), None, True, "halted"),
    "a stop first": (choose(release("1.2.0"), STOP), "1.1.0", False, "1.1.0 has to be installed first"),
    "the lowest stop first": (choose(release("1.3.0"), release("1.2.0", stop=True), STOP), "1.1.0", False, "1.1.0"),
    "a stop behind": (choose(release("1.2.0"), STOP, installed="1.1.0"), "1.2.0", False, "newest"),
    "a yanked stop is none": (
        choose(release("1.2.0"), release("1.1.0", stop=True, yanked=Yank("bad"))),
        "1.2.0",
        False,
        "newest",
    ),
    "no stop for a first install": (choose(release("1.2.0"), STOP, installed=None), "1.2.0", False, "first install"),
    "too far": (
        choose(release("2.0.0", requires=Requires(from_version="1.5.0")), release("1.5.0")),
        "1.5.0",
        False,
        "only be reached from 1.5.0",
    ),
    "just near enough": (choose(release("2.0.0", requires=Requires(from_version="1.0.0"))), "2.0.0", False, "newest"),
    "another Python": (
        choose(release("1.1.0", requires=Requires(python=">=3.12"))),
        None,
        True,
        "needs Python >=3.12, this site runs 3.11.7",
    ),
    "this Python": (choose(release("1.1.0", requires=Requires(python=">=3.11"))), "1.1.0", False, "newest"),
    "a future Python's beta": (
        choose(release("1.1.0", requires=Requires(python=">=3.11")), python="3.16.0b1"),
        "1.1.0",
        False,
        "newest",
    ),
    "unreadable Python": (choose(release("1.1.0", requires=Requires(python="new"))), None, True, "cannot be read"),
    "not my cohort": (choose(release("1.1.0", cohorts=())), None, True, "another group"),
    "my cohort": (
        choose(release("1.1.0", cohorts=((cohort_of(SITE, "1.1.0"), cohort_of(SITE, "1.1.0")),))),
        "1.1.0",
        False,
        "newest",
    ),
    "rolled out this far": (
        choose(release("1.1.0", rollout=rollout((-1, PERCENT + 1))), automatic=True),
        "1.1.0",
        False,
        "newest",
    ),
    "not this far": (
        choose(release("1.1.0", rollout=rollout((-1, PERCENT))), automatic=True),
        None,
        True,
        f"held back: the rollout is at {PERCENT} %",
    ),
    "not yet": (
        choose(release("1.1.0", rollout=rollout((1, 100))), automatic=True),
        None,
        True,
        "held back: the rollout is at 0 %",
    ),
    "a person does not wait": (choose(release("1.1.0", rollout=rollout((1, 100)))), "1.1.0", False, "newest"),
    "asked for": (choose(release("1.2.0"), release("1.1.0"), to="1.1.0"), "1.1.0", False, "was asked for"),
    "asked for in another spelling": (choose(release("1.1.0"), to="v1.1"), None, True, "is not in the stable feed"),
    "asked for while it rolls out": (
        choose(release("1.1.0", rollout=rollout((1, 100))), to="1.1.0", automatic=True),
        "1.1.0",
        False,
        "asked for",
    ),
    "asked for, unknown": (choose(release("1.1.0"), to="9.9"), None, True, "newest there: 1.1.0"),
    "asked for, installed": (choose(release("1.0.0"), to="1.0.0"), None, True, "installed already"),
    "asked for, older": (choose(release("0.9.0"), to="0.9.0"), None, True, "`updater rollback`"),
    "asked for, yanked": (choose(YANKED, to="1.1.0"), None, True, "it loses orders"),
    "asked for, behind a stop": (choose(release("1.2.0"), STOP, to="1.2.0"), "1.1.0", False, "1.1.0 is on the way"),
    "asked for, behind a stop that cannot be had": (
        choose(release("1.2.0"), replace(STOP, halted=True), to="1.2.0"),
        None,
        True,
        "1.1.0 has to be installed first",
    ),
    "asked for, too far": (
        choose(release("2.0.0", requires=Requires(from_version="1.5.0")), release("1.5.0"), to="2.0.0"),
        "1.5.0",
        False,
        "1.5.0 is on the way",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_release_is_chosen_and_the_reasons_say_why(case):
    found, version, blocked, said = CASES[case]
    assert (found.release.version if found.release else None) == version
    assert found.blocked == blocked
    assert said in " ".join(found.reasons)
    assert all(reason.endswith((".", ")")) for reason in found.reasons), found.reasons


def test_the_newest_is_told_even_when_the_site_must_not_have_it():
    found = choose(release("1.3.0", halted=True), release("1.2.0", requires=Requires(python=">=4")), release("1.1.0"))
    assert found.newest is not None
    assert found.release is not None
    assert (found.newest.version, found.release.version) == ("1.2.0", "1.1.0")


def test_cohorts_are_stable_spread_and_independent():
    sites = [f"{number:032x}" for number in range(2000)]
    one, two = ([cohort_of(site, salt) for site in sites] for salt in ("1.1.0", "1.2.0"))
    assert one == [cohort_of(site, "1.1.0") for site in sites]
    assert 0 <= min(one) < 100
    assert COHORTS - 100 < max(one) < COHORTS
    early = {site for site, cohort in zip(sites, one, strict=True) if cohort < COHORTS // 10}
    again = {site for site, cohort in zip(sites, two, strict=True) if cohort < COHORTS // 10}
    assert 140 < len(early) < 260
    assert len(early & again) < 60, "the same sites are the first every time"


def test_a_cohort_never_changes_between_versions_of_the_client():
    assert (cohort_of("0" * 32, "1.0.0"), cohort_of("f" * 32, "1.0.0")) == (5245, 3728)


def test_a_rollout_reaches_everybody_exactly_once():
    """Sites that have a release keep it as the percentage grows, and at 100 all have it."""
    sites = [f"{number:032x}" for number in range(300)]

    def reached(percent: int) -> set[str]:
        one = release("1.1.0", rollout=rollout((-1, percent)))
        return {site for site in sites if choose(one, automatic=True, site_id=site).release}

    assert reached(0) == set()
    assert reached(20) < reached(60) < reached(100) == set(sites)
