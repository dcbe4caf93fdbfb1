"""A connection to GitHub's API that waits when it is asked to, tries again, and explains what failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from types import TracebackType
from typing import Any, TypeVar

import requests
from github import Auth, BadAttributeException, Github, GithubException
from github.Repository import Repository
from github.Requester import Requester

from feedgen.github.connection import connection_classes
from feedgen.github.explain import CONTENTS, explain
from feedgen.github.patience import Failure, Limits, pause_before_retry
from feedgen.github.target import GitHubTarget

__all__ = ["GitHubClient"]

T = TypeVar("T")
API_VERSION = "2022-11-28"
_UNUSABLE = (AssertionError, RuntimeError, ValueError, TypeError, BadAttributeException)
"""What PyGithub raises when an answer is not GitHub's, or leads to another host."""


class GitHubClient:
    """GitHub's API for one repository, inside a ``with`` block (one at a time in a process).

    ``clock`` gives seconds since the epoch; ``sleep`` and ``say`` (a line of progress) can be replaced as well.
    """

    def __init__(
        self,
        target: GitHubTarget,
        *,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.target = target
        self.limits = limits or Limits()
        self.clock = clock
        self.sleep = sleep
        self.say = say
        self._classes = connection_classes(self.limits.connect, self.limits.read)

    def __enter__(self) -> GitHubClient:
        Requester.injectConnectionClasses(*self._classes)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.github.close()
        Requester.resetConnectionClasses()

    @cached_property
    def github(self) -> Github:
        """PyGithub, without retries of its own, which would send an upload again without looking what is there."""
        return Github(
            auth=Auth.Token(self.target.token),
            base_url=self.target.api_url,
            user_agent="tagship-feedgen",
            per_page=100,
            retry=None,
            seconds_between_requests=0,
            seconds_between_writes=self.limits.between_writes,
            api_version=API_VERSION,
        )

    @cached_property
    def repository(self) -> Repository:
        """The repository under its present name: a renamed one answers reading calls only under its old one."""
        name = self.target.repository
        found = self.call(f"show {name}", lambda: self.github.get_repo(name))
        if found.full_name.lower() != name.lower():
            self.say(f"Note: {name} on GitHub is called {found.full_name} now")
        return found

    def call(
        self,
        action: str,
        request: Callable[[], T],
        *,
        need: str = CONTENTS,
        recover: Callable[[], T | None] | None = None,
    ) -> T:
        """Make a call, again if that can help. ``action`` completes "GitHub would not ...", ``need``: its permission.

        A call that must not be made twice brings ``recover``: asked after a failure that may have had its effect all
        the same, it returns the result if it is there. Raises ``StoreError`` with what happened and what to do.
        """
        waited = 0.0
        for attempt in range(1, self.limits.attempts + 1):
            try:
                return request()
            except (GithubException, requests.RequestException, *_UNUSABLE) as error:
                failure = _failure(error)
                cause = error
            pause = pause_before_retry(failure, attempt, self.clock())
            if pause is None or waited + pause > self.limits.longest_wait or attempt == self.limits.attempts:
                raise explain(failure, action, self.target, need=need, pause=pause) from _without_secrets(cause)
            self._wait(pause, failure)
            waited += pause
            if recover is not None and failure.ambiguous and (found := recover()) is not None:
                return found
        raise AssertionError("unreachable")

    def _wait(self, pause: float, failure: Failure) -> None:
        if failure.rate_limited:
            self.say(f"GitHub asks to wait {pause:.0f} s ({failure.reason})")
        elif pause >= 5:
            self.say(f"GitHub failed ({failure.status or failure.reason}); trying again in {pause:.0f} s")
        self.sleep(pause)


def _failure(error: Exception) -> Failure:
    if isinstance(error, GithubException):
        headers = {name.lower(): str(value) for name, value in (error.headers or {}).items()}
        return Failure(error.status, _reason(error), headers, _codes(error.data))
    if isinstance(error, requests.exceptions.SSLError):
        return Failure(0, f"the certificate is not trusted ({type(error).__name__})", {}, final=True)
    if isinstance(error, requests.exceptions.Timeout):
        return Failure(0, "it took too long", {})
    if isinstance(error, requests.exceptions.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return Failure(0, "the connection failed or was cut", {})
    if isinstance(error, requests.RequestException):
        return Failure(0, type(error).__name__, {}, final=True)
    what = f"what came back is not an answer of GitHub's API ({type(error).__name__})"
    return Failure(0, what, {}, final=True)


def _reason(error: GithubException) -> str:
    data: Any = error.data
    parts = []
    if isinstance(data, Mapping):
        if isinstance(data.get("message"), str):
            parts.append(data["message"])
        errors = data.get("errors")
        for item in errors if isinstance(errors, list) else []:
            if isinstance(item, Mapping):
                words = [str(item[key]) for key in ("field", "code", "message") if item.get(key)]
                parts.append(" ".join(words))
            else:
                parts.append(str(item))
    return "; ".join(part for part in parts if part) or f"HTTP {error.status}"


def _codes(data: Any) -> tuple[str, ...]:
    errors = data.get("errors") if isinstance(data, Mapping) else None
    found = [item.get("code") for item in errors if isinstance(item, Mapping)] if isinstance(errors, list) else []
    return tuple(code for code in found if isinstance(code, str))


def _without_secrets(error: Exception) -> Exception:
    """The cause as it may be shown: some of ``requests``' messages quote the headers they complain about."""
    return type(error)("headers not shown") if isinstance(error, requests.exceptions.InvalidHeader) else error
