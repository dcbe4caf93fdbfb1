"""Which repository, on which server, with whose token."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from feedgen.errors import ConfigError
from updater.transport.urls import insecure_reason, shown

__all__ = ["GitHubTarget", "find_target", "origin_url"]

DEFAULT_API = "https://api.github.com"
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")
_SCP_LIKE = re.compile(r"(?:[^@/]+@)?(?P<host>[^:/]+):(?!//)(?P<path>.+)")
_TOKEN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class GitHubTarget:
    """``repository`` as ``owner/name``; ``api_url`` without a slash at its end; ``in_actions``: a workflow runs us."""

    repository: str
    api_url: str
    token: str = field(repr=False)
    in_actions: bool = False


def find_target(environ: Mapping[str, str], *, configured: str | None, remote: str | None) -> GitHubTarget:
    """Find it in the environment, the settings (``[publish] repository``) and the URL of the git remote.

    The settings come first, because packages may be kept in another repository than the one whose workflow runs.
    Raises ``ConfigError`` when something is missing; no message ever holds the token.
    """
    api_url = environ.get("GITHUB_API_URL", "").strip().rstrip("/") or DEFAULT_API
    if reason := insecure_reason(api_url):
        raise ConfigError(
            f"GITHUB_API_URL ({shown(api_url)}) cannot be used: {reason}",
            hint="For GitHub Enterprise Server it is https://HOST/api/v3.",
        )
    repository = configured or environ.get("GITHUB_REPOSITORY", "").strip() or _from_remote(remote, api_url)
    if not _REPOSITORY.fullmatch(repository):
        raise ConfigError(
            f"{repository!r} is not a repository on GitHub",
            hint='Write it as "owner/name" in [publish] repository of feedgen.toml.',
        )
    return GitHubTarget(repository, api_url, _token(environ), environ.get("GITHUB_ACTIONS") == "true")


def origin_url(repo: Path) -> str | None:
    """The URL of the git remote ``origin``; None when there is none."""
    command = ["git", "-C", str(repo), "config", "--get", "remote.origin.url"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise ConfigError("git could not be run", hint="Install git, or set GITHUB_REPOSITORY.") from error
    return done.stdout.strip() or None


def _token(environ: Mapping[str, str]) -> str:
    for name in ("GITHUB_TOKEN", "GH_TOKEN"):
        token = environ.get(name, "").strip()
        if not token:
            continue
        if not _TOKEN.fullmatch(token):
            raise ConfigError(f"{name} is not a token: it has spaces or other odd characters", hint="Set it again.")
        return token
    raise ConfigError(
        "Publishing to GitHub needs a token, and neither GITHUB_TOKEN nor GH_TOKEN is set",
        hint="In a workflow: env: GITHUB_TOKEN: ${{ github.token }}. On your machine: GH_TOKEN=$(gh auth token), or a"
        " fine-grained token for this repository with the permission 'Contents: Read and write'.",
    )


def _from_remote(remote: str | None, api_url: str) -> str:
    """``owner/name`` out of a remote's URL, which must be of the server that the token goes to."""
    hint = 'Set GITHUB_REPOSITORY, or repository = "owner/name" under [publish] in feedgen.toml.'
    if not remote:
        raise ConfigError("It is not known which repository on GitHub keeps the packages", hint=hint)
    host, path = _parts(remote)
    expected = urlsplit(api_url).hostname or ""
    if host not in (expected, expected.removeprefix("api.")):
        raise ConfigError(
            f"The git remote 'origin' is on {host or 'this machine'}, not on {expected.removeprefix('api.')}",
            hint=f"For GitHub Enterprise set GITHUB_API_URL, such as https://{host}/api/v3. Otherwise: {hint}"
            if host
            else hint,
        )
    return path.strip("/").removesuffix(".git")


def _parts(remote: str) -> tuple[str, str]:
    """Host and path of a remote; user names and passwords in it are dropped."""
    if "://" in remote:
        try:
            parts = urlsplit(remote)
            return (parts.hostname or "").removeprefix("ssh."), parts.path
        except ValueError:
            return "", ""
    match = _SCP_LIKE.fullmatch(remote)
    return (match["host"].lower(), match["path"]) if match else ("", "")
