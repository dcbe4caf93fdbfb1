"""When to check and what may install itself."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.contrib.django.policy import FREQUENCIES, Policy, Window, is_due, why_not_now

MONDAY = datetime(2026, 1, 19, 2, 0, tzinfo=UTC)


@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_a_timer_as_often_as_the_settings_say_checks_every_time(frequency):
    policy, period = Policy(frequency=frequency), FREQUENCIES[frequency]
    assert is_due(policy, None, MONDAY)
    assert is_due(policy, MONDAY + timedelta(seconds=20), MONDAY + period)
    assert not is_due(policy, MONDAY, MONDAY + period - timedelta(hours=1))


def test_nothing_is_due_without_automatic_checks_and_a_clock_that_was_set_back_makes_it_due():
    assert not is_due(Policy(auto_check=False), None, MONDAY)
    assert is_due(Policy(), MONDAY + timedelta(days=400), MONDAY)


@pytest.mark.parametrize(
    ("critical", "ordinary_on", "critical_on", "allowed"),
    [
        (False, False, False, False),
        (False, False, True, False),
        (False, True, False, True),
        (True, True, False, False),
        (True, False, True, True),
    ],
)
def test_what_installs_itself(critical, ordinary_on, critical_on, allowed):
    policy = Policy(ordinary=ordinary_on, critical=critical_on)
    reason = why_not_now(policy, critical=critical, skipped=False, now=MONDAY)
    assert (reason == "") is allowed
    assert allowed or ("critical updates" in reason and ("non-critical" in reason) is not critical)


def test_a_skipped_version_never_installs_itself():
    policy = Policy(ordinary=True, critical=True)
    assert "skip" in why_not_now(policy, critical=True, skipped=True, now=MONDAY)


NIGHT = Window(time(22), time(4), frozenset({4}))  # Friday night


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        (datetime(2026, 1, 23, 21, 59, tzinfo=UTC), False),
        (datetime(2026, 1, 23, 22, 0, tzinfo=UTC), True),
        (datetime(2026, 1, 24, 3, 59, tzinfo=UTC), True),
        (datetime(2026, 1, 24, 4, 0, tzinfo=UTC), False),
        (datetime(2026, 1, 23, 3, 0, tzinfo=UTC), False),  # the night from Thursday on
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_it_opens_on(moment, is_open):
    assert NIGHT.contains(moment) is is_open
    policy = Policy(ordinary=True, window=NIGHT)
    assert (why_not_now(policy, critical=False, skipped=False, now=moment) == "") is is_open


@given(start=st.times(), end=st.times(), moment=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)))
def test_a_window_and_the_one_around_it_cover_every_moment_once(start, end, moment):
    if start == end:
        assert Window(start, end).contains(moment)
    else:
        assert Window(start, end).contains(moment) is not Window(end, start).contains(moment)
