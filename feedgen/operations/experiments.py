"""A/B tests: releases of which each site may have one, by a group that it never leaves. Pure; docs/operations.md.

A site's group is decided by its random id and the experiment's name, so that it is the same for every release of the
experiment, and independent of rollouts and of other experiments (`updater.schema.cohorts`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from itertools import accumulate

from feedgen.errors import ConfigError, PublishError
from feedgen.operations.edits import Edit, halt
from feedgen.operations.state import ReleaseState
from updater.schema.cohorts import COHORTS
from updater.schema.text import check_id

__all__ = ["begin", "end", "ranges", "share_of"]


def ranges(shares: Mapping[str, int]) -> dict[str, tuple[tuple[int, int], ...]]:
    """The cohorts of each variant, in the given order, for their shares in percent. Raises ``ConfigError``."""
    if len(shares) < 2 or any(share < 1 for share in shares.values()) or sum(shares.values()) > 100:
        raise ConfigError(
            "An experiment needs two or more variants, with shares of at least 1 % and at most 100 % together",
            hint="For example: feedgen experiment begin checkout 1.4.0=50 1.4.1=50",
        )
    ends = list(accumulate(share * COHORTS // 100 for share in shares.values()))
    return {version: ((first, last - 1),) for version, first, last in zip(shares, [0, *ends], ends, strict=False)}


def begin(name: str, shares: Mapping[str, int]) -> dict[str, Edit]:
    """What makes each of these releases a variant. Raises ``ConfigError``; the edits raise ``PublishError``."""
    try:
        check_id(name)
    except ValueError as error:
        raise ConfigError(f"The experiment's name {error}") from error

    def variant(cohorts: tuple[tuple[int, int], ...]) -> Edit:
        def edit(version: str, state: ReleaseState) -> ReleaseState:
            if state.experiment not in (None, name) or (state.experiment is None and state.cohorts is not None):
                what = state.experiment or "other cohorts"
                raise PublishError(f"{version} is meant for {what} already", hint="End that first.")
            return replace(state, experiment=name, cohorts=cohorts)

        return edit

    return {version: variant(cohorts) for version, cohorts in ranges(shares).items()}


def end(name: str, states: Mapping[str, ReleaseState], winner: str | None, now: datetime) -> dict[str, Edit]:
    """What ends an experiment among the releases ``states``: the winner is for everybody, the others are for nobody new
    (sites that have one keep it until something newer comes). Raises ``PublishError``."""
    variants = [version for version, state in states.items() if state.experiment == name]
    if not variants:
        raise PublishError(f"There is no experiment {name!r}", hint="'feedgen list' shows which releases are variants.")
    if winner is not None and winner not in variants:
        raise PublishError(f"{winner} is no variant of {name}; there are {', '.join(variants)}")

    def for_all(_version: str, state: ReleaseState) -> ReleaseState:
        return replace(state, experiment=None, cohorts=None)

    return {version: for_all if version == winner else halt(now) for version in variants}


def share_of(state: ReleaseState) -> float:
    """The part of all sites that a variant is meant for, in percent."""
    return sum(last - first + 1 for first, last in state.cohorts or ()) * 100 / COHORTS
