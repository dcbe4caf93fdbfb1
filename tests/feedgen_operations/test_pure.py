"""From decisions to feeds and back, as pure functions: any decisions, any order, nothing lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from feedgen.errors import ConfigError, FeedgenError
from feedgen.operations.describe import describe_changes
from feedgen.operations.edits import edit_notes, halt, mark, promote, ramp, resume, set_rollout, unyank, yank
from feedgen.operations.schedule import Ramp, parse_duration, percent_at, postponed, ramp_steps
from feedgen.operations.simulation import simulate
from feedgen.operations.state import Entry, ReleaseState, differences, published_entries, state_of
from feedgen.operations.state_file import read_state, state_text
from feedgen.publish.catalog import Catalog
from feedgen.publish.feeds import Rendered, render
from feedgen.publish.regression import check_no_regression
from feedgen.repository.roles import listed_in
from updater.schema import (
    CHANNELS,
    Feed,
    Notes,
    Package,
    Release,
    Requires,
    Rollout,
    RolloutStep,
    Yank,
    channel_of,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
VERSIONS = ("1.0", "1.1a1", "1.1b1", "1.1", "2.0.dev1")
EXTRA = {"x-new": {"a": [1, None]}}

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
words = texts.filter(bool)
times = st.integers(0, 10_000).map(lambda minutes: START + timedelta(minutes=minutes))


@st.composite
def rollouts(draw: st.DrawFn) -> Rollout:
    at = sorted(draw(st.sets(times, max_size=4)))
    percents = sorted(draw(st.lists(st.integers(0, 100), min_size=len(at), max_size=len(at))))
    return Rollout(draw(words), tuple(RolloutStep(*pair) for pair in zip(at, percents, strict=True)))


@st.composite
def states(draw: st.DrawFn, channels: tuple[str, ...] = CHANNELS) -> ReleaseState:
    halted = draw(st.booleans())
    pair = st.tuples(st.integers(0, 9999), st.integers(0, 9999)).map(lambda both: (min(both), max(both)))
    return ReleaseState(
        channel=draw(st.sampled_from(channels)),
        critical=draw(st.booleans()),
        security=tuple(draw(st.lists(words, max_size=2))),
        stop=draw(st.booleans()),
        halted=halted,
        halted_at=draw(st.none() | times) if halted else None,
        yanked=draw(st.none() | st.builds(Yank, texts, st.none() | times)),
        rollout=draw(st.none() | rollouts()),
        cohorts=draw(st.none() | st.lists(pair, min_size=1, max_size=2).map(tuple)),
        requires=Requires(draw(st.sampled_from([None, ">=3.11"])), tuple(draw(st.lists(words, max_size=2))), "1.0"),
        notes=Notes(
            draw(texts | st.just('a\n"""b""""\\\r\n\x7f"')),
            draw(st.sampled_from([None, "https://acme.example/"])),
            draw(st.dictionaries(st.sampled_from(["de", "pt-BR"]), words)),
        ),
    )


def release(version: str) -> Release:
    package = Package(("packages/x.zip",), 100, "a" * 64, 40, 60, extra=EXTRA)
    return Release(version, START, package, "b" * 64, 50, notes=Notes(extra=EXTRA), extra=EXTRA)


def entries_of(decided: dict[str, ReleaseState]) -> dict[str, Entry]:
    return {version: Entry(release(version), state) for version, state in decided.items()}


def rendered(feeds: dict[str, Feed], entries: dict[str, Entry], now: datetime = START) -> Rendered:
    return render(Catalog(feeds), entries, app="shop", component="core", now=now)


def publish(feeds: dict[str, Feed], entries: dict[str, Entry], now: datetime = START) -> dict[str, Feed]:
    return {**feeds, **rendered(feeds, entries, now).feeds}


decisions = st.dictionaries(st.sampled_from(VERSIONS), states(), min_size=1)


@settings(max_examples=40)
@given(decisions)
def test_what_is_decided_is_what_feeds_say(decided: dict[str, ReleaseState]) -> None:
    feeds = publish({}, entries_of(decided))
    assert {version: entry.state for version, entry in published_entries(feeds).items()} == decided
    for channel, feed in feeds.items():
        assert feed.sequence == 1
        assert Feed.parse(feed.to_bytes()) == feed
        assert [r.version for r in feed.releases] == sorted(
            (r.version for r in feed.releases), key=Version, reverse=True
        )
        assert {r.version for r in feed.releases} == {v for v, s in decided.items() if channel in listed_in(s.channel)}
    assert publish(feeds, entries_of(decided), START + timedelta(days=1)) == feeds


@settings(max_examples=40)
@given(decisions, st.data())
def test_a_change_changes_that_and_loses_nothing(decided: dict[str, ReleaseState], data: st.DataObject) -> None:
    old = publish({}, entries_of(decided))
    version = data.draw(st.sampled_from(sorted(decided)))
    now = decided[version]
    new_state = data.draw(states(channels=CHANNELS[: CHANNELS.index(now.channel) + 1]))
    change = rendered(old, entries_of({version: new_state}), START + timedelta(hours=1))
    new = {**old, **change.feeds}
    found = published_entries(new)
    assert found[version].state == new_state
    assert {v: e for v, e in found.items() if v != version} == {
        v: e for v, e in published_entries(old).items() if v != version
    }
    for channel, feed in new.items():
        check_no_regression(old.get(channel), feed)
        changed = channel not in old or old[channel].releases != feed.releases
        assert feed.sequence == (old[channel].sequence if channel in old else 0) + changed
        for item in feed.releases:
            assert {key: value for key, value in item.extra.items() if key != "halted_at"} == EXTRA
            assert (item.package.extra, item.notes.extra) == (EXTRA, EXTRA)
    assert bool(describe_changes(change.changes)) == bool(differences(now, new_state))


@given(states())
def test_a_file_says_what_is_decided(state: ReleaseState) -> None:
    assert read_state(state_text("1.1", state), "releases/1.1.toml", "1.1") == state


def test_the_documented_file() -> None:
    text = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
    example = text[text.index("### 8.1 ") :].split("```toml\n")[1].split("```")[0]
    state = read_state(example, "formats.md", "1.4.0b2", published_in="beta")
    assert (state.channel, state.halted, state.security) == ("stable", True, ("CVE-2026-12345",))
    assert read_state(state_text("1.4.0b2", state), "again", "1.4.0b2") == state


def test_unknown_fields_of_what_is_decided_survive() -> None:
    rollout = Rollout("s", (RolloutStep(START, 5, EXTRA), RolloutStep(START + timedelta(1), 9)), True, EXTRA)
    known = replace(release("1.0"), yanked=Yank("bad", START, EXTRA), rollout=rollout)
    state = state_of(known, "stable")
    assert state.applied_to(known) == known
    later = replace(state, rollout=Rollout("s", (RolloutStep(START, 5), RolloutStep(START + timedelta(2), 9))))
    changed = later.applied_to(known).rollout
    assert changed is not None
    assert (changed.extra, changed.steps[0].extra, changed.steps[1].extra) == (EXTRA, EXTRA, {})


def test_a_strange_field_of_our_name_is_no_time() -> None:
    for value in ("yesterday", 7, None):
        assert state_of(replace(release("1.0"), halted=True, extra={"halted_at": value}), "stable").halted_at is None


edits = st.sampled_from(
    [
        promote("stable"),
        yank("bad", START),
        unyank(),
        halt(START),
        resume(START + timedelta(hours=1)),
        mark(critical=True),
        mark(stop=True, critical=False),
        set_rollout((RolloutStep(START, 20),), START),
        set_rollout((RolloutStep(START, 100),), START),
        ramp(Ramp(timedelta(days=7)), START),
        edit_notes("new", None),
        edit_notes("neu", "de"),
        edit_notes("", "de"),
    ]
)


@given(states(), edits)
def test_an_edit_that_is_made_changes_nothing_more(state: ReleaseState, edit) -> None:  # type: ignore[no-untyped-def]
    try:
        once = edit("1.1", state)
    except FeedgenError:
        return
    assert edit("1.1", once) == once
    assert CHANNELS.index(once.channel) <= CHANNELS.index(state.channel)


@given(st.integers(1, 100), st.integers(1, 60 * 24 * 30))
def test_ramps(start: int, minutes: int) -> None:
    plan = Ramp(timedelta(minutes=minutes), start)
    steps = ramp_steps(plan, START)
    assert steps[0] == RolloutStep(START, start)
    assert steps[-1].percent == 100
    assert all(a.at < b.at and a.percent < b.percent for a, b in pairwise(steps))
    rollout = Rollout("s", steps)
    assert percent_at(rollout, START - timedelta(seconds=1)) == 0
    assert percent_at(rollout, START + plan.over) == 100
    assert percent_at(None, START) == 100
    assert postponed(rollout, START, START) == rollout


@given(rollouts(), times, times)
def test_a_pause_moves_what_was_to_come(rollout: Rollout, since: datetime, now: datetime) -> None:
    moved = postponed(rollout, since, now)
    if now <= since:
        assert moved == rollout
    else:
        assert percent_at(moved, now) == percent_at(rollout, since)
        assert percent_at(moved, now + timedelta(days=8)) == percent_at(rollout, since + timedelta(days=8))


def test_a_schedule_set_while_halted_is_not_postponed() -> None:
    halted = halt(START)("1.1", ReleaseState("stable"))
    noon = START + timedelta(hours=12)
    later = set_rollout((RolloutStep(noon, 20),), noon)("1.1", halted)
    assert percent_at(resume(START + timedelta(days=1))("1.1", later).rollout, START + timedelta(days=1)) == 20


@pytest.mark.parametrize("text", ["", "7", "0d", "d", "-1d", "1.5d", "7 days", "1y"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a duration"):
        parse_duration(text)


def test_usual_channels() -> None:
    assert [channel_of(version) for version in VERSIONS] == ["stable", "alpha", "beta", "stable", "alpha"]


def test_a_fleet_follows_its_schedule() -> None:
    """Reached: what the schedule says, within four standard deviations; installed: a day later, everybody reached."""
    rollout = Rollout("1.1", (RolloutStep(START, 10), RolloutStep(START + timedelta(days=3), 50)))
    moments = [START + timedelta(days=days) for days in range(7)]
    day = timedelta(days=1)
    curve = simulate(rollout, START, salt="1.1", sites=4000, every=day, moments=moments)
    assert [moment.offered for moment in curve] == [10, 10, 10, 50, 50, 50, 50]
    for moment in curve:
        share = moment.offered / 100
        assert abs(moment.reached / 100 - share) < 4 * (share * (1 - share) / 4000) ** 0.5
        assert moment.installed <= moment.reached
    assert curve[0].installed < 1
    for before, after in pairwise(curve):
        assert after.installed >= (before.reached if before.offered == after.offered else before.installed)
    assert curve == simulate(rollout, START, salt="1.1", sites=4000, every=day, moments=moments)
    (everybody,) = simulate(None, START, salt="1.1", sites=100, every=day, moments=[START + day])
    assert (everybody.reached, everybody.installed) == (100, 100)
