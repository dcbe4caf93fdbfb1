"""Whether the app that runs now is the version it should be (docs/formats.md section 7, ``[health]``)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from updater.errors import CommandError, HealthCheckError
from updater.process.run import run
from updater.schema.site_config import HealthConfig

__all__ = ["HealthResult", "probe", "wait_until_healthy"]

PROBE_TIMEOUT = 10.0
"""Seconds one URL probe may take."""

REQUIRED = 2
"""Good answers in a row that are needed: workers restart in turn, so the first may come from the one that is new."""


@dataclass(frozen=True)
class HealthResult:
    """One probe: whether it was good, and what was found, such as "answered 503"."""

    ok: bool
    reason: str


def probe(
    config: HealthConfig,
    expected_version: str,
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> HealthResult:
    """Ask once: the URL, then the command; all that are given must pass. Never raises for an app that is not well.

    ``timeout`` (seconds, for the command; the URL has at most PROBE_TIMEOUT of it) is the configured one when None.
    """
    limit = config.timeout if timeout is None else timeout
    reasons = []
    if config.url:
        from updater.process.http_probe import ask_version  # TLS and email parsing: only when a URL is asked

        ok, reason = ask_version(config.url, config.version_key, expected_version, timeout=min(limit, PROBE_TIMEOUT))
        if not ok:
            return HealthResult(ok=False, reason=reason)
        reasons.append(reason)
    if config.command:
        ok, reason = _run_command(config, cwd, env, limit)
        if not ok:
            return HealthResult(ok=False, reason=reason)
        reasons.append(reason)
    return HealthResult(ok=True, reason=", ".join(reasons) or "no health check is configured")


def wait_until_healthy(
    config: HealthConfig,
    expected_version: str,
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    on_probe: Callable[[HealthResult], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> HealthResult:
    """Probe every ``config.interval`` seconds until REQUIRED answers in a row are good.

    Anything else means "not yet" until ``config.timeout`` seconds have passed; then HealthCheckError says what the
    last probe found. Without a URL and a command the answer is good at once.
    """
    deadline = clock() + config.timeout
    good = 0
    while True:
        # A probe that begins just before the deadline still gets a fair second.
        result = probe(config, expected_version, cwd=cwd, env=env, timeout=max(1.0, deadline - clock()))
        if on_probe is not None:
            on_probe(result)
        good = good + 1 if result.ok else 0
        if good == REQUIRED or (result.ok and not config.url and not config.command):
            return result
        if not result.ok and clock() + config.interval > deadline:
            raise HealthCheckError(
                f"the app did not come up as version {expected_version} within {config.timeout:g} seconds:"
                f" {result.reason}",
                hint="Look at the app's own log; [health] in updater.toml says what is asked.",
            )
        sleep(config.interval)


def _run_command(config: HealthConfig, cwd: Path, env: Mapping[str, str] | None, timeout: float) -> tuple[bool, str]:
    try:
        done = run(config.command, cwd=cwd, env=env, timeout=timeout)
    except CommandError as error:
        return False, str(error)
    if done.returncode == 0:
        return True, "command exited with 0"
    last = done.output.splitlines()[-1].strip() if done.output else ""
    return False, f"command {done.outcome}" + (f": {last[:500]}" if last else "")
