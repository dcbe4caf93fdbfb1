"""Watching a committed release: what passes, and how many bad answers in a row do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from updater.process import HealthResult, watch
from updater.process.probation import MOST_FAILURES
from updater.schema.site_config import HealthConfig


def watched(answers: str, seconds: float) -> tuple[str | None, float]:
    """``answers``: + good, - bad, the last one for ever; one probe a second. What came out, and when."""
    clock = [0.0]
    told = list(answers)

    def ask() -> HealthResult:
        good = (told.pop(0) if len(told) > 1 else told[0]) == "+"
        return HealthResult(good, "answered" if good else f"answered 500 at {clock[0]:g}")

    def sleep(pause: float) -> None:
        clock[0] += pause

    config = HealthConfig(probation=seconds, interval=1.0)
    return watch(config, "1.1.0", cwd=Path("/"), ask=ask, clock=lambda: clock[0], sleep=sleep), clock[0]


@pytest.mark.parametrize(
    ("answers", "reason", "until"),
    [
        ("+", None, 10),
        ("++--++--+", None, 10),
        ("++---", "answered 500 at 4", 4),
        ("---", "answered 500 at 2", 2),
        ("+++++++++-+", None, 11),
        ("+++++++++--+", None, 12),
        ("+++++++++---", "answered 500 at 11", 11),
    ],
)
def test_a_streak_of_bad_answers_fails_it_and_the_last_answer_decides(answers, reason, until):
    assert MOST_FAILURES == 3
    assert watched(answers, 10) == (reason, until)


def test_no_probation_asks_nothing():
    assert watched("-", 0) == (None, 0)
