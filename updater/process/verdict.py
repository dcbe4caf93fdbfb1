"""When answers of a health check are enough: a pure function of those that came (docs/formats.md section 7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from updater.frozen import frozen

__all__ = ["HealthResult", "Verdict", "judge_answers"]


@frozen
class HealthResult:
    """One probe: whether it was good, what was found, such as "answered 503", and which worker answered, if told."""

    ok: bool
    reason: str
    worker: str = ""


@frozen
class Verdict:
    """Whether the app is well. ``missing`` says what is not there yet; empty when it is well.

    ``in_a_row``: good answers since the last other one. ``workers``: how many workers have given enough of them.
    """

    healthy: bool
    missing: str
    in_a_row: int
    workers: int


def judge_answers(results: Sequence[HealthResult], *, answers: int, workers: int) -> Verdict:
    """Judge ``results``, oldest first: the last ``answers`` must be good, and with ``workers`` so many different ones
    must each have given as many.

    Any other answer begins the count anew for all workers: as long as one still serves the old version, a visitor
    may meet it.
    """
    row: list[HealthResult] = []
    for result in reversed(results):
        if not result.ok:
            break
        row.append(result)
    counts = Counter(result.worker for result in row if result.worker)
    enough = sum(count >= answers for count in counts.values())
    missing = ""
    if len(row) < answers:
        missing = _row_missing(results, len(row), answers)
    elif enough < workers:
        known = ", ".join(f"{worker} {count}" for worker, count in sorted(counts.items())) or "none"
        missing = f"only {enough} of {workers} workers answered {answers} times each (by worker: {known})"
    return Verdict(healthy=not missing, missing=missing, in_a_row=len(row), workers=enough)


def _row_missing(results: Sequence[HealthResult], row: int, answers: int) -> str:
    """Why the last answers are too few: the last one that was not good, or that there were none."""
    if results and not results[-1].ok:
        return results[-1].reason
    return f"only {row} of {answers} good answers in a row"
