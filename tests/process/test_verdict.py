"""When answers are enough: the pure decision, against a slow definition of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.process.verdict import HealthResult, judge_answers


def results(text: str) -> list[HealthResult]:
    """``aab-`` is two good answers of worker a, one of b, and one that is not good."""
    return [HealthResult(letter != "-", "answered 503" if letter == "-" else "fine", letter) for letter in text]


@pytest.mark.parametrize(
    ("text", "answers", "workers", "healthy"),
    [
        ("aaa", 3, 0, True),
        ("aa", 3, 0, False),
        ("aa-a", 3, 0, False),
        ("-aaa", 3, 0, True),
        ("aaabbb", 3, 2, True),
        ("ababab", 3, 2, True),
        ("aaaaaaaaabb", 3, 2, False),
        ("aaa-bbb", 3, 2, False),
        ("aaabbb-", 3, 2, False),
        ("aaabbbccc", 3, 2, True),
        ("aaabbbcc", 3, 3, False),
        ("", 1, 0, False),
        ("", 1, 1, False),
    ],
)
def test_examples(text: str, answers: int, workers: int, healthy: bool) -> None:
    verdict = judge_answers(results(text), answers=answers, workers=workers)
    assert verdict.healthy is healthy
    assert bool(verdict.missing) is not healthy


@given(st.text(alphabet="abc-", max_size=14), st.integers(1, 4), st.integers(0, 3))
def test_the_definition(text: str, answers: int, workers: int) -> None:
    row = text.rpartition("-")[2]
    each = sum(row.count(letter) >= answers for letter in "abc")
    verdict = judge_answers(results(text), answers=answers, workers=workers)
    assert verdict.healthy == (len(row) >= answers and each >= workers)
    assert (verdict.in_a_row, verdict.workers) == (len(row), each)


def test_what_is_missing_is_told() -> None:
    assert judge_answers(results("a-"), answers=3, workers=0).missing == "answered 503"
    assert judge_answers(results("-aa"), answers=3, workers=0).missing == "only 2 of 3 good answers in a row"
    told = judge_answers(results("aaab"), answers=3, workers=2).missing
    assert told == "only 1 of 2 workers answered 3 times each (by worker: a 3, b 1)"
