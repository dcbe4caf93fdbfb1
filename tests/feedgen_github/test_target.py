"""Which repository, server and token are used."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from feedgen.errors import ConfigError
from feedgen.github import find_target, origin_url

TOKEN = {"GITHUB_TOKEN": "ghp_sesame"}


@pytest.mark.parametrize(
    ("environ", "configured", "remote", "expected"),
    [
        ({"GITHUB_REPOSITORY": "acme/shop"}, None, None, "acme/shop"),
        ({"GITHUB_REPOSITORY": "acme/shop"}, "acme/releases", None, "acme/releases"),
        ({}, None, "https://github.com/acme/shop.git", "acme/shop"),
        ({}, None, "https://x-access-token:secret@github.com/acme/shop", "acme/shop"),
        ({}, None, "git@github.com:acme/shop.git", "acme/shop"),
        ({}, None, "ssh://git@ssh.github.com:443/acme/shop.git", "acme/shop"),
        ({"GITHUB_API_URL": "https://git.acme.example/api/v3/"}, None, "git@git.acme.example:a/b", "a/b"),
        ({"GITHUB_API_URL": "https://api.acme.ghe.com"}, None, "https://acme.ghe.com/a/b", "a/b"),
    ],
)
def test_repository(environ: dict[str, str], configured: str | None, remote: str | None, expected: str) -> None:
    target = find_target(TOKEN | environ, configured=configured, remote=remote)
    assert target.repository == expected
    assert not target.api_url.endswith("/")


@pytest.mark.parametrize(
    ("environ", "remote", "text"),
    [
        ({}, None, "It is not known which repository"),
        ({}, "git@gitlab.com:acme/shop.git", "is on gitlab.com"),
        ({}, "/srv/git/shop.git", "is on this machine"),
        ({}, "https://user:hunter2@evil.example/acme/shop", "is on evil.example"),
        ({"GITHUB_REPOSITORY": "no slash"}, None, "is not a repository on GitHub"),
        ({"GITHUB_REPOSITORY": "a/b", "GITHUB_API_URL": "http://git.acme.example/api/v3"}, None, "it is not https"),
        ({"GITHUB_REPOSITORY": "a/b", "GITHUB_TOKEN": ""}, None, "needs a token"),
        ({"GITHUB_REPOSITORY": "a/b", "GITHUB_TOKEN": "two\nlines"}, None, "is not a token"),
    ],
)
def test_refused(environ: dict[str, str], remote: str | None, text: str) -> None:
    with pytest.raises(ConfigError, match=text) as caught:
        find_target(TOKEN | environ, configured=None, remote=remote)
    assert caught.value.hint
    assert "hunter2" not in str(caught.value) + caught.value.hint
    assert "lines" not in str(caught.value) + caught.value.hint


def test_tokens() -> None:
    environ = {"GITHUB_REPOSITORY": "a/b", "GH_TOKEN": "second"}
    assert find_target(environ, configured=None, remote=None).token == "second"
    target = find_target(environ | {"GITHUB_TOKEN": " first "}, configured=None, remote=None)
    assert target.token == "first"
    assert "first" not in repr(target)


def test_origin(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert origin_url(tmp_path) is None
    subprocess.run(["git", "-C", str(tmp_path), "remote", "add", "origin", "git@github.com:acme/shop"], check=True)
    assert origin_url(tmp_path) == "git@github.com:acme/shop"
