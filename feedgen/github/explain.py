"""What went wrong with a call, for people: what happened, and which permission or setting is missing (pure)."""

from __future__ import annotations

from datetime import UTC, datetime

from feedgen.errors import RateLimitError, StoreError
from feedgen.github.patience import Failure, number
from feedgen.github.target import GitHubTarget

__all__ = ["CONTENTS", "explain"]

CONTENTS = "contents: write"
"""The permission that publishing needs, as workflows write it."""

_AGAIN = "Run the command again: it completes what was begun."
_SETTINGS = {"contents": "Contents", "administration": "Administration", "environments": "Environments"}


def explain(
    failure: Failure, action: str, target: GitHubTarget, *, need: str, pause: float | None = None
) -> StoreError:
    """The error for a call that is not tried again. ``action`` completes "GitHub would not ...".

    ``need`` is the permission that the call takes. ``pause``: how long GitHub wants us to wait, in seconds from now.
    """
    if failure.rate_limited:
        return _rate_limited(failure, action, pause)
    message, hint = _text(failure, action, target, need)
    return StoreError(message, hint=hint, status=failure.status, codes=failure.codes)


def _rate_limited(failure: Failure, action: str, pause: float | None) -> RateLimitError:
    reset = number(failure.headers, "x-ratelimit-reset")
    when = f" at {datetime.fromtimestamp(reset, UTC):%H:%M} UTC" if reset else " later"
    if number(failure.headers, "x-ratelimit-remaining") != 0 or not reset:
        when = f" in {pause / 60:.0f} minutes" if pause and pause >= 60 else " in a few minutes"
    return RateLimitError(
        f"GitHub limits the number of calls and would not {action} now: {failure.reason}",
        hint=f"Run the command again{when}: it completes what was begun.",
        status=failure.status,
        codes=failure.codes,
    )


def _text(  # noqa: PLR0911 - one for each status
    failure: Failure, action: str, target: GitHubTarget, need: str
) -> tuple[str, str]:
    repository, reason = target.repository, failure.reason
    match failure.status:
        case 0:
            return (
                f"GitHub ({target.api_url}) gave no usable answer when asked to {action}: {reason}",
                f"Check the network, proxies, and www.githubstatus.com. {_AGAIN}",
            )
        case 401:
            return (
                f"GitHub does not accept the token: {reason}",
                "It has expired, was revoked, or is of another server. Set GITHUB_TOKEN (or GH_TOKEN) to a valid one.",
            )
        case 403:
            return f"GitHub would not {action} in {repository}: {reason}", _permission(failure, target, need)
        case 404:
            return (
                f"GitHub would not {action}: it knows no {repository}, or hides it from this token ({reason})",
                f"Check the name {repository}. If it is right: {_permission(failure, target, need)}",
            )
        case 422:
            return f"GitHub would not {action} in {repository}: {reason}", _unprocessable(failure)
        case status if status >= 500:
            return (
                f"GitHub failed to {action} in {repository}, again and again (HTTP {status}: {reason})",
                f"Look at www.githubstatus.com. {_AGAIN}",
            )
        case status:
            return f"GitHub would not {action} in {repository} (HTTP {status}: {reason})", _AGAIN


def _permission(failure: Failure, target: GitHubTarget, need: str) -> str:
    """The permission that is missing: as GitHub names it in its answer, else the one that the call is known to take."""
    if "x-github-sso" in failure.headers:
        return "The organisation requires single sign-on: authorize the token for it in your GitHub settings."
    accepted = failure.headers.get("x-accepted-github-permissions", "").replace("=", ": ").split(";")[0].strip()
    needed = accepted or need
    if target.in_actions:
        text = f"Give the job that publishes: permissions: {{{needed}}}."
        if needed == CONTENTS:
            text += " If it has that, the tagged commit may change workflow files: tag one on the default branch."
        return text
    area, _, level = needed.partition(": ")
    words = f"{_SETTINGS.get(area, area)}: {'Read and write' if level == 'write' else 'Read-only'}"
    return (
        f"A fine-grained token needs the permission '{words}' for {target.repository}, a classic one the scope 'repo'."
    )


def _unprocessable(failure: Failure) -> str:
    text = failure.reason.lower()
    if "immutable" in text:
        return (
            "The release was published before everything was attached, and this repository locks releases then."
            " Its tag cannot be used again: give the next release a new version. Let other tools leave a draft."
        )
    if "already_exists" in failure.codes:
        return "Something else publishes the same release at the same time. Wait until it has ended; then run it again."
    if "tag" in text:
        return "Push the tag first: git push origin TAG. Tag rules of the repository may also forbid it."
    return "Compare the release on GitHub with what was to be published, then run the command again."
