"""Whether the version that runs is the one that is installed, asked before an update (standard library only)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from updater.errors import BlockedError
from updater.install.preflight import Finding
from updater.schema.site_config import HealthConfig, OverridePolicy

if TYPE_CHECKING:
    from updater.process.http_probe import Answer

__all__ = ["ask_running", "judge_running", "refuse_other_version"]

TIMES = 3
"""Answers that are looked at: workers may run different versions."""

TIMEOUT = 5.0
"""Seconds for all of them."""


def ask_running(config: HealthConfig) -> list[Answer]:
    """What the app answers now; nothing when there is no URL, or no key to tell its version by."""
    if not config.url or not config.version_key:
        return []
    from updater.process.http_probe import ask

    return ask(config.url, timeout=min(config.timeout, TIMEOUT), times=TIMES)


def judge_running(
    installed: str | None, answers: Sequence[Answer], config: HealthConfig, policy: OverridePolicy = "refuse"
) -> Finding:
    """What doctor and plan say: an error for another version, a warning when the app does not tell."""
    if installed is None:
        return Finding("running", "ok", "Nothing is installed yet.")
    if not answers:
        return Finding("running", "ok", "Not asked: [health] url and version_key would tell which version runs.")
    key = config.version_key
    said = [str(answer.document[key])[:100] for answer in answers if answer.document and key in answer.document]
    other = next((version for version in said if version != installed), None)
    if other is not None:
        return Finding(
            "running",
            "error" if policy == "refuse" else "warning",
            f"the app at {config.url} answers {other}, but {installed} is installed.",
            "Restart it first, and see with `updater verify` that its files are whole.",
        )
    if len(said) < len(answers):
        first = next(answer for answer in answers if not answer.document or key not in answer.document)
        why = first.problem or first.unreadable or f"answered without the key {key!r}"
        return Finding(
            "running",
            "warning",
            f"whether {installed} runs cannot be told: {config.url}: {why}.",
            "Start the app, or correct [health] in updater.toml.",
        )
    return Finding("running", "ok", f"{installed} runs, as installed.")


def refuse_other_version(finding: Finding) -> None:
    """Raise BlockedError for an app that answers another version, unless the owner's policy made it a warning."""
    if finding.level == "error":
        raise BlockedError(
            "The version that runs is not the one that is installed.",
            reasons=(finding.message[0].upper() + finding.message[1:],),
            hint=f'{finding.advice} Or set [policy] running = "allow" in updater.toml.',
        )
