"""The history of download counts stays small and never lies about its age."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from feedgen.page.adoption import (
    BOTTOM,
    MOST_VERSIONS,
    TOP,
    chart,
    history_bytes,
    read_history,
    record_counts,
)

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def test_recording_twice_is_recording_once() -> None:
    once = record_counts({}, {"1.0.0": 5, "1.1.0": 0, "not a version": 3}, NOW)
    assert once == {"2026-06-01": {"1.0.0": 5}}
    assert record_counts(once, {"1.0.0": 5}, NOW) == once
    assert record_counts(once, {"1.0.0": 6}, NOW + timedelta(hours=3)) == {"2026-06-01": {"1.0.0": 6}}


def test_days_are_utc() -> None:
    late = datetime.fromisoformat("2026-06-01T23:30:00-05:00")
    assert list(record_counts({}, {"1.0.0": 1}, late)) == ["2026-06-02"]


def test_old_days_become_weeks_and_go() -> None:
    history: dict[str, dict[str, int]] = {}
    for day in range(1500):
        history = record_counts(history, {f"1.{number}.0": day + 1 for number in range(200)}, NOW + timedelta(days=day))
        assert len(history) <= 92 + 3 * 53 + 2
    assert len(next(iter(history.values()))) == MOST_VERSIONS
    assert "1.199.0" in history[max(history)]
    assert "1.0.0" not in history[max(history)]
    assert len(history_bytes(history)) < 400_000
    days = [datetime.fromisoformat(day) for day in history]
    assert days[-1] - days[0] < timedelta(days=3 * 365)
    assert all(later - earlier <= timedelta(days=8) for earlier, later in pairwise(days))


def test_round_trip() -> None:
    history = {"2026-05-01": {"1.0.0": 1}, "2026-06-01": {"1.0.0": 2, "1.1.0": 1}}
    assert read_history(history_bytes(history)) == history
    assert history_bytes(history) == history_bytes(dict(reversed(history.items())))


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"x": 1}', b'{"2026-1-1": {}}', b"\xff"])
def test_damage_is_no_history(data: bytes) -> None:
    assert read_history(data) == {}


def test_what_can_be_read_is_kept() -> None:
    data = b'{"2026-06-01": {"1.0.0": 2, "1.1.0": "many", "<b>": 3, "1.2.0": true}}'
    assert read_history(data) == {"2026-06-01": {"1.0.0": 2}}


def test_chart() -> None:
    drawn = chart({"2026-05-01": {"1.0.0": 10}, "2026-06-01": {"1.0.0": 100, "1.1.0": 7, "1.2.0": 6}})
    assert drawn is not None
    assert drawn.rows == (("1.2.0", 6, 6), ("1.1.0", 7, 7), ("1.0.0", 100, 90))
    heights = sorted(line.label_y for line in drawn.lines)
    assert all(lower - upper >= 17 for upper, lower in pairwise(heights))
    assert [text for _, text in drawn.y_ticks] == ["0", "30", "60", "90", "120"]
    for line in drawn.lines:
        for point in line.points.split():
            assert TOP <= float(point.split(",")[1]) <= BOTTOM


def test_one_day_is_a_chart() -> None:
    drawn = chart({"2026-06-01": {"1.0.0": 1}})
    assert drawn is not None
    assert drawn.lines[0].points.count(",") == 2


def test_no_count_is_no_chart() -> None:
    assert chart({}) is None
    assert chart({"2026-06-01": {}}) is None
