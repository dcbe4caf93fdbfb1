"""A few calls of GitHub's REST API on one repository, through PyGithub: status and parsed body, errors as values."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from feedgen.errors import ConfigError, PublishError

__all__ = ["Answer", "GitHubApi", "RepositoryApi", "repository_api"]

_TIMEOUT = 20  # seconds
_ATTEMPTS = 3  # of a call that may be repeated; a doctor that waits for minutes is switched off


@dataclass(frozen=True)
class Answer:
    """Status, body (parsed JSON, None when empty) and headers (lower case names) of one call."""

    status: int
    body: Any = None
    headers: Mapping[str, str] | None = None

    @property
    def ok(self) -> bool:
        """Whether the call did what was asked."""
        return 200 <= self.status < 300

    def header(self, name: str) -> str:
        """A header's value, "" when it is not there."""
        return (self.headers or {}).get(name.lower(), "")


class RepositoryApi(Protocol):
    """One repository of GitHub. ``path`` is appended to ``/repos/OWNER/NAME``."""

    repository: str

    def call(self, verb: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """One request. Raises ``PublishError`` when GitHub cannot be reached."""
        ...

    def top(self, path: str) -> Answer:
        """One GET outside of the repository, such as ``/rate_limit``."""
        ...


class GitHubApi:
    """See ``RepositoryApi``."""

    def __init__(self, repository: str, token: str, base_url: str) -> None:
        from github import Auth, Github, GithubRetry

        retry = GithubRetry(total=_ATTEMPTS, allowed_methods=frozenset({"GET", "PUT", "PATCH"}))
        client = Github(
            auth=Auth.Token(token) if token else None,
            base_url=base_url,
            timeout=_TIMEOUT,
            retry=retry,
            seconds_between_requests=0,
            seconds_between_writes=0,
        )
        self.repository = repository
        self._requester = client.requester

    def call(self, verb: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """See ``RepositoryApi.call``."""
        return self._send(verb, f"/repos/{self.repository}{path}", body)

    def top(self, path: str) -> Answer:
        """See ``RepositoryApi.top``."""
        return self._send("GET", path, None)

    def _send(self, verb: str, path: str, body: Mapping[str, Any] | None) -> Answer:
        import requests
        from github import GithubException

        try:
            status, headers, text = self._requester.requestJson(verb, path, input=dict(body) if body else None)
        except GithubException as error:
            return Answer(error.status, error.data, error.headers or {})
        except requests.RequestException as error:
            raise PublishError(
                f"GitHub cannot be reached: {error}", hint="Check the network, or look without it: --offline."
            ) from error
        return Answer(status, _parsed(text), {name.lower(): value for name, value in headers.items()})


def _parsed(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text


def repository_api(repository: str, environ: Mapping[str, str] | None = None) -> GitHubApi:
    """The API as the environment describes it: ``GITHUB_TOKEN`` (or ``GH_TOKEN``) and ``GITHUB_API_URL``.

    Raises ``ConfigError`` when ``repository`` is not OWNER/NAME.
    """
    environ = os.environ if environ is None else environ
    owner, _, name = repository.partition("/")
    if not owner or not name or "/" in name:
        raise ConfigError(
            f"{repository!r} does not name a repository", hint="Say --repository OWNER/NAME, such as acme/shop."
        )
    token = environ.get("GITHUB_TOKEN") or environ.get("GH_TOKEN") or ""
    return GitHubApi(repository, token, (environ.get("GITHUB_API_URL") or "https://api.github.com").rstrip("/"))
