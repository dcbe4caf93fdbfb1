"""Whether the app that runs now is the version it should be (docs/formats.md section 7, ``[health]``)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from updater.errors import CommandError, HealthCheckError
from updater.process.run import run
from updater.process.verdict import HealthResult, judge_answers
from updater.schema.site_config import HealthConfig

if TYPE_CHECKING:
    from updater.process.http_probe import Answer

__all__ = ["HealthResult", "probe", "wait_until_healthy"]

PROBE_TIMEOUT = 10.0
"""Seconds one URL probe may take."""

TOKEN_VARIABLE = "TAGSHIP_PROBE"  # noqa: S105 - a name
"""Holds, for a health command, the token that the maintenance page lets through."""


def probe(
    config: HealthConfig,
    expected_version: str,
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
    token: str = "",
) -> HealthResult:
    """Ask once: the URL, then the command; all that are given must pass. Never raises for an app that is not well.

    ``timeout`` (seconds, for the command; the URL has at most PROBE_TIMEOUT of it) is the configured one when None.
    ``token`` gets past the maintenance page.
    """
    limit = config.timeout if timeout is None else timeout
    return _probe(config, expected_version, cwd=cwd, env=env, limit=limit, token=token, times=1)[-1]


def wait_until_healthy(
    config: HealthConfig,
    expected_version: str,
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    token: str = "",
    on_probe: Callable[[HealthResult], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> HealthResult:
    """Probe every ``config.interval`` seconds until `judge_answers` is satisfied.

    Anything else means "not yet" until ``config.timeout`` seconds have passed; then HealthCheckError says what was
    missing. Good answers that began in time are waited for, unless workers are told apart. Without a URL and a
    command the answer is good at once.
    """
    deadline = clock() + config.timeout
    results: list[HealthResult] = []
    while True:
        # A probe that begins just before the deadline still gets a fair second.
        limit = max(1.0, deadline - clock())
        times = max(1, config.workers)
        for result in _probe(config, expected_version, cwd=cwd, env=env, limit=limit, token=token, times=times):
            results = [*results, result] if result.ok else [result]
            if on_probe is not None:
                on_probe(result)
        verdict = judge_answers(results, answers=config.answers, workers=config.workers)
        if verdict.healthy or not (config.url or config.command):
            return results[-1]
        begun_in_time = results[-1].ok and not config.workers
        if not begun_in_time and clock() + config.interval > deadline:
            raise HealthCheckError(
                f"the app did not come up as version {expected_version} within {config.timeout:g} seconds:"
                f" {verdict.missing}",
                hint="Look at the app's own log; [health] in updater.toml says what is asked.",
            )
        sleep(config.interval)


def _probe(
    config: HealthConfig,
    expected: str,
    *,
    cwd: Path,
    env: Mapping[str, str] | None,
    limit: float,
    token: str,
    times: int,
) -> list[HealthResult]:
    """One round: the URL ``times`` times at once, then the command once. A command that fails spoils the round."""
    results = [HealthResult(ok=True, reason="")]
    if config.url:
        from updater.process.http_probe import ask  # TLS and email parsing: only when a URL is asked

        answers = ask(config.url, timeout=min(limit, PROBE_TIMEOUT), token=token, times=times)
        # those that are not good come last: what they say is what is told
        results = sorted((_judge(answer, config, expected) for answer in answers), key=lambda found: not found.ok)
        if not results[-1].ok:
            return results
    said = "" if not config.command else _run_command(config, cwd, env, limit, token)
    if config.command and said != _EXITED:
        return [HealthResult(ok=False, reason=said)]
    return [
        HealthResult(
            ok=True,
            reason=", ".join(filter(None, (result.reason, said))) or "no health check is configured",
            worker=result.worker,
        )
        for result in results
    ]


def _judge(answer: Answer, config: HealthConfig, expected: str) -> HealthResult:
    """Whether an answer is one of the expected version, and which worker gave it."""
    if answer.problem:
        return HealthResult(ok=False, reason=answer.problem)
    for key in filter(None, (config.version_key, config.worker_key if config.workers else "")):
        if answer.document is None:
            return HealthResult(ok=False, reason=answer.unreadable)
        if key not in answer.document:
            return HealthResult(ok=False, reason=f"answered without the key {key!r}")
    document = answer.document or {}
    worker = str(document.get(config.worker_key, ""))[:100] if config.worker_key else ""
    if not config.version_key:
        return HealthResult(ok=True, reason="answered", worker=worker)
    version = document[config.version_key]
    if version != expected:
        by = f" (worker {worker})" if worker else ""
        reason = f"answered version {str(version)[:100]}, expected {expected}{by}"
        return HealthResult(ok=False, reason=reason, worker=worker)
    return HealthResult(ok=True, reason=f"answered version {expected}", worker=worker)


_EXITED = "command exited with 0"


def _run_command(config: HealthConfig, cwd: Path, env: Mapping[str, str] | None, timeout: float, token: str) -> str:
    """How the command ended: `_EXITED`, or what was wrong."""
    if token:
        env = {**(os.environ if env is None else env), TOKEN_VARIABLE: token}
    try:
        done = run(config.command, cwd=cwd, env=env, timeout=timeout)
    except CommandError as error:
        return str(error)
    if done.returncode == 0:
        return _EXITED
    last = done.output.splitlines()[-1].strip() if done.output else ""
    return f"command {done.outcome}" + (f": {last[:500]}" if last else "")
