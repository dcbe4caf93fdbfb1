"""Feed computation and pruning, as pure functions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from feedgen.errors import FeedRegressionError
from feedgen.publish.feeds import add_release
from feedgen.publish.prune import plan_pruning, read_record, record_bytes
from feedgen.publish.regression import check_no_regression
from feedgen.repository.roles import LIFETIME_DAYS, due, expiry, listed_in
from updater.schema import CHANNELS, Feed, Package, Release, channel_of

START = datetime(2026, 1, 1, tzinfo=UTC)


def release(version: str, digit: str = "a", url: str = "packages/x.zip") -> Release:
    return Release(version, START, Package((url,), 100, digit * 64, 40, 60), "b" * 64, 50)


versions = st.builds(
    lambda numbers, suffix: f"{numbers[0]}.{numbers[1]}{suffix}",
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
    st.sampled_from(["", "", "a1", "b1", "rc1", ".dev1", ".post1"]),
)


def add_all(feeds: dict[str, Feed], version: str, now: datetime, digit: str = "a") -> None:
    for channel in listed_in(channel_of(version)):
        feeds[channel] = add_release(
            feeds.get(channel), release(version, digit), app="shop", component="core", channel=channel, now=now
        )


@given(st.lists(versions, max_size=12))
def test_feeds_follow_the_rules(published: list[str]) -> None:
    feeds: dict[str, Feed] = {}
    for hours, version in enumerate(published):
        before = dict(feeds)
        add_all(feeds, version, START + timedelta(hours=hours))
        for channel, feed in feeds.items():
            old = before.get(channel)
            check_no_regression(old, feed)
            assert (old is None or feed.sequence > old.sequence) == (old is None or feed.releases != old.releases)
            assert old is None or (feed.generated != old.generated) == (feed.releases != old.releases)
            assert Feed.parse(feed.to_bytes()) == feed
    for channel in CHANNELS:
        wanted = {v for v in published if CHANNELS.index(channel_of(v)) <= CHANNELS.index(channel)}
        listed = [item.version for item in feeds[channel].releases] if channel in feeds else []
        assert set(listed) == wanted
        assert listed == sorted(listed, key=Version, reverse=True)


@given(st.lists(versions, min_size=1, max_size=6, unique=True), st.data())
def test_nothing_published_is_exchanged_or_dropped(published: list[str], data: st.DataObject) -> None:
    feeds: dict[str, Feed] = {}
    for version in published:
        add_all(feeds, version, START)
    with pytest.raises(FeedRegressionError, match="other contents"):
        add_all(feeds, data.draw(st.sampled_from(published)), START, digit="c")
    feed = feeds["alpha"]
    fewer = replace(feed, sequence=feed.sequence + 1, releases=feed.releases[1:])
    with pytest.raises(FeedRegressionError, match="drop"):
        check_no_regression(feed, fewer)
    with pytest.raises(FeedRegressionError, match="newer"):
        check_no_regression(feed, replace(feed, releases=(*feed.releases, release("99.0"))))


def test_adding_again_keeps_the_very_same_feed() -> None:
    feed = add_release(None, release("1.0"), app="shop", component="core", channel="stable", now=START)
    later = START + timedelta(days=1)
    assert add_release(feed, release("1.0"), app="shop", component="core", channel="stable", now=later) is feed
    moved = add_release(
        feed, release("1.0", url="https://x.example/x.zip"), app="shop", component="core", channel="stable", now=later
    )
    assert (moved.sequence, moved.generated) == (2, later)


def test_a_beta_does_not_enter_the_stable_feed() -> None:
    with pytest.raises(ValueError, match="does not belong"):
        add_release(None, release("1.0b1"), app="shop", component="core", channel="stable", now=START)


def test_a_clock_that_goes_back_does_not_turn_a_feed_back() -> None:
    feed = add_release(None, release("1.0"), app="shop", component="core", channel="stable", now=START)
    earlier = START - timedelta(days=3)
    again = add_release(feed, release("1.1"), app="shop", component="core", channel="stable", now=earlier)
    assert again.generated == START
    check_no_regression(feed, again)


@pytest.mark.parametrize(
    ("role", "left", "expected"),
    [
        ("timestamp", 10, True),
        ("timestamp", 10.1, False),
        ("stable", 60, True),
        ("stable", 61, False),
        ("beta", 30, True),
        ("beta", 31, False),
        ("root", 60, True),
        ("root", 61, False),
        ("snapshot", -1, True),
    ],
)
def test_when_roles_are_due(role: str, left: float, expected: bool) -> None:
    assert due(role, START + timedelta(days=left), START) is expected


@pytest.mark.parametrize("role", LIFETIME_DAYS)
def test_fresh_metadata_is_not_due(role: str) -> None:
    assert not due(role, expiry(role, START), START)


paths = st.sampled_from([f"metadata/{number}.stable.json" for number in range(6)])


@given(st.sets(paths), st.sets(paths), st.dictionaries(paths, st.integers(-20, 5)), st.integers(0, 10))
def test_pruning(present: set[str], live: set[str], ages: dict[str, int], grace: int) -> None:
    since = {path: START + timedelta(days=age) for path, age in ages.items()}
    plan = plan_pruning(present, live, since, now=START, grace=timedelta(days=grace))
    dead = present - live
    assert set(plan.delete) | set(plan.since) == dead
    assert not set(plan.delete) & set(plan.since)
    for path in dead:
        assert (path in plan.delete) == (max(-ages.get(path, 0), 0) >= grace)
    assert read_record(record_bytes(plan.since)) == plan.since
    again = plan_pruning(present - set(plan.delete), live, plan.since, now=START, grace=timedelta(days=grace))
    assert (again.delete, again.since) == ((), plan.since)


@pytest.mark.parametrize("data", [b"", b"[]", b'{"files": 1}', b'{"files": {"a": 1}}', b'{"files": {"a": "x"}}'])
def test_a_damaged_record_only_delays(data: bytes) -> None:
    assert read_record(data) == {}
