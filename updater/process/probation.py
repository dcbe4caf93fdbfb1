"""Watching a release after it was committed, with traffic on (standard library only).

The commit point lies behind it: the database is not restored any more. What a failure leads to, the caller decides.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from updater.process.health import HealthResult, probe
from updater.schema.site_config import HealthConfig

__all__ = ["MOST_FAILURES", "Probe", "watch"]

MOST_FAILURES = 3
"""Bad answers in a row that fail a probation: one alone may be a restart, or a request that was too many."""

Probe = Callable[[], HealthResult]


def watch(
    config: HealthConfig,
    version: str,
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    ask: Probe | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> str | None:
    """Probe every ``config.interval`` seconds for ``config.probation`` seconds.

    Returns None when the release passed, or what the last of MOST_FAILURES bad answers in a row found.
    """
    until = clock() + config.probation
    ask = ask or (lambda: probe(config, version, cwd=cwd, env=env))
    bad = 0
    while clock() < until or bad:  # the last answer decides, also when the time is over
        result = ask()
        bad = 0 if result.ok else bad + 1
        if bad >= MOST_FAILURES:
            return result.reason
        sleep(config.interval)
    return None
