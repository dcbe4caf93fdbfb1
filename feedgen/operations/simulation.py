"""How a rollout would go in a fleet of made-up sites: pure, and the same on every run."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from feedgen.operations.schedule import percent_at
from updater.schema.cohorts import COHORTS, cohort_of
from updater.schema.feed import Rollout

__all__ = ["Moment", "simulate"]


@dataclass(frozen=True)
class Moment:
    """``offered``: the share of sites, in percent, that the schedule names; ``reached``: of those in the fleet whose
    turn has come; ``installed``: that have also asked since."""

    at: datetime
    offered: int
    reached: float
    installed: float


def simulate(
    rollout: Rollout | None, begin: datetime, *, salt: str, sites: int, every: timedelta, moments: Sequence[datetime]
) -> list[Moment]:
    """What ``sites`` sites have of a release at each of ``moments``, when each asks once in ``every``, at a time of
    its own that does not change. ``begin``: when the release was published; ``salt`` is that of the rollout."""
    numbers = random.Random(salt)  # noqa: S311 - no secret: the same fleet on every run
    fleet = [(cohort_of(f"{numbers.getrandbits(128):032x}", salt), numbers.random() * every) for _ in range(sites)]
    found = []
    for moment in moments:
        reached = sum(cohort * 100 < percent_at(rollout, moment) * COHORTS for cohort, _ in fleet)
        installed = sum(_has(cohort, _last_time(begin, offset, every, moment), rollout) for cohort, offset in fleet)
        share = percent_at(rollout, moment)
        found.append(Moment(moment, share, 100 * reached / sites, 100 * installed / sites))
    return found


def _last_time(begin: datetime, offset: timedelta, every: timedelta, moment: datetime) -> datetime | None:
    """When a site asked last before ``moment``; None when it has not asked since ``begin``."""
    first = begin + offset
    return None if moment < first else first + (moment - first) // every * every


def _has(cohort: int, asked: datetime | None, rollout: Rollout | None) -> bool:
    return asked is not None and cohort * 100 < percent_at(rollout, asked) * COHORTS
