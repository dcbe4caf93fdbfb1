"""Which failed releases an automatic update tries again, and when it gives up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.test_selection import NOW, choose, release
from updater.site.failed_releases import (
    MOST_ATTEMPTS,
    Attempt,
    forget_failures,
    held_back,
    read_failures,
    record_failure,
)

NOON = datetime(2026, 1, 20, 12, tzinfo=UTC)


def attempts(count: int, at: datetime = NOON) -> tuple[Attempt, ...]:
    return tuple(Attempt(f"id-{number}", at, "no answer") for number in range(count))


@pytest.mark.parametrize(
    ("count", "hours", "held"),
    [(0, 0, False), (1, 0.9, True), (1, 1, False), (2, 11, True), (2, 12, False), (3, 12, True), (3, 10_000, True)],
)
def test_pauses_grow_and_then_only_a_person_tries(count, hours, held):
    reason = held_back(attempts(count), NOON + timedelta(hours=hours))
    assert (reason is not None) is held
    assert reason is None or ("no answer" in reason and "2026-01-20 12:00 UTC" in reason)
    assert MOST_ATTEMPTS == 3


def test_a_clock_that_was_set_back_holds_nothing_for_years():
    assert held_back(attempts(1), NOON - timedelta(days=900)) is None


def test_recorded_once_for_each_transaction_and_forgotten_on_success(tmp_path):
    path = tmp_path / "failed.json"
    record_failure(path, "1.2.0", Attempt("a", NOON, "x" * 5000))
    record_failure(path, "1.2.0", Attempt("a", NOON, "again"))
    record_failure(path, "1.2.0", Attempt("b", NOON, "no answer"))
    record_failure(path, "1.3.0", Attempt("c", NOON, "no answer"))
    found = read_failures(path)
    assert [attempt.id for attempt in found["1.2.0"]] == ["a", "b"]
    assert len(found["1.2.0"][0].reason) == 1000
    forget_failures(path, "1.2.0")
    forget_failures(path, "9.9.9")
    assert list(read_failures(path)) == ["1.3.0"]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"format": 2}', b'{"format": 1, "releases": {"1.0": [{}]}}'])
def test_a_damaged_record_holds_nothing_back(tmp_path, damage):
    (tmp_path / "failed.json").write_bytes(damage)
    assert read_failures(tmp_path / "failed.json") == {}


@pytest.mark.parametrize(
    ("automatic", "to", "chosen"), [(True, None, "1.1.0"), (True, "1.2.0", "1.2.0"), (False, None, "1.2.0")]
)
def test_only_automatic_updates_are_held_back(automatic, to, chosen):
    found = choose(
        release("1.2.0"),
        release("1.1.0"),
        automatic=automatic,
        to=to,
        failed={"1.2.0": attempts(MOST_ATTEMPTS, NOW - timedelta(days=9))},
    )
    assert found.release is not None
    assert found.release.version == chosen
    assert any("failed on this site 3 times" in reason for reason in found.reasons) is (chosen == "1.1.0")
