"""``feedgen publish --store github`` from a tag to a verified feed; twice; and killed at every request."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import feedgen.github.store
from feedgen.github import GitHubClient
from tests.feedgen_github.conftest import LIMITS, TOKEN
from tests.feedgen_publish.conftest import App, app, environment, made  # noqa: F401 - fixtures
from tests.support.github import FakeGitHub, Killed, Token, kill_client_at
from updater.transport import HTTPTransport

PUBLISH = ("publish", "v1.0.0", "--store", "github")


def push_tags(repo: Path, github: FakeGitHub) -> None:
    """What ``git push --tags`` would do."""
    names = subprocess.run(["git", "-C", str(repo), "tag"], capture_output=True, text=True, check=True).stdout.split()
    for name in names:
        command = ["git", "-C", str(repo), "rev-parse", f"{name}^{{commit}}"]
        github.repo.tags[name] = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def online(app: App, github: FakeGitHub, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:  # noqa: F811
    """An app with the tag v1.0.0, in a workflow that has a token."""
    monkeypatch.setenv("GITHUB_API_URL", github.api_url)
    monkeypatch.setenv("GITHUB_REPOSITORY", "acme/shop")
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    client = functools.partial(GitHubClient, limits=LIMITS, clock=github.clock.now, sleep=github.clock.sleep)
    monkeypatch.setattr(feedgen.github.store, "GitHubClient", client)
    app.release("v1.0.0", **{"CHANGELOG.md": "# Changelog\n\n## 1.0.0\n\n- The first one.\n"})
    push_tags(app.folder, github)
    yield app


def check(app: App, github: FakeGitHub) -> None:  # noqa: F811
    """One release; every package that a feed names can be downloaded from where it says."""
    assert len(github.repo.releases) == 1
    (listed,) = app.feed("stable").releases
    (url,) = listed.package.urls
    assert url == f"{github.web_url}/acme/shop/releases/download/v1.0.0/shop-1.0.0.zip"
    with HTTPTransport() as transport, transport.open(url, max_bytes=listed.package.size) as response:
        assert sum(map(len, response.chunks)) == listed.package.size
    (release,) = github.repo.releases.values()
    assert [asset.name for asset in release.assets] == ["shop-1.0.0.index", "shop-1.0.0.zip.minisig", "shop-1.0.0.zip"]


def test_from_a_tag_to_the_feed_and_again(online: App, github: FakeGitHub) -> None:
    with github.counting() as first:
        output = online.run(*PUBLISH).output
    assert len(first) == 16
    assert "Published 1.0.0 (stable)" in output
    assert output.index("Publishing the release") < output.index("Fetching back") < output.index("Signing stable.json")
    assert TOKEN not in output
    check(online, github)
    (release,) = github.repo.releases.values()
    assert (release.name, "The first one." in release.body) == ("shop 1.0.0", True)
    before, calls = online.snapshot(), len(github.calls)
    with github.counting() as second:
        assert "nothing changed" in online.run(*PUBLISH).output
    assert len(second) == 3
    assert online.snapshot() == before
    assert [call.path for call in github.calls[calls:] if call.writes] == []
    online.run("verify")
    assert not (online.site / "packages").exists()
    for asset in release.assets:
        asset.downloads = 7 if asset.name.endswith(".zip") else 99
    counted = json.loads(online.run("stats", "--repository", "acme/shop", "--json").output)
    assert [(row["version"], row["downloads"]) for row in counted["versions"]] == [("1.0.0", 7)]


def test_dry_run_changes_nothing(online: App, github: FakeGitHub) -> None:
    before = online.snapshot()
    output = online.run(*PUBLISH, "--dry-run").output
    assert f"{github.web_url}/acme/shop/releases/download/v1.0.0/shop-1.0.0.zip" in output
    assert online.snapshot() == before
    assert [call.path for call in github.calls if call.writes] == []


def test_notes_that_github_writes(online: App, github: FakeGitHub) -> None:
    github.preload(1)
    output = online.run(*PUBLISH, "--generate-notes").output
    assert "Asking GitHub for the notes of v1.0.0" in output
    (listed,) = online.feed("stable").releases
    link = f"{github.web_url}/acme/shop/compare/v0.0.0...v1.0.0"
    assert listed.notes.markdown.startswith("## What's Changed\n* Carts by @octocat")
    assert listed.notes.markdown.endswith(f"**Full Changelog**: {link}")
    assert github.repo.of_tag("v1.0.0")[0].body == listed.notes.markdown
    asked = [call for call in github.calls if call.path.endswith("/generate-notes")]
    assert len(asked) == 1
    before = online.snapshot()
    assert "nothing changed" in online.run(*PUBLISH, "--generate-notes").output
    assert online.snapshot() == before
    assert len([call for call in github.calls if call.path.endswith("/generate-notes")]) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--generate-notes",), "goes together with --store github"),
        (("--generate-notes", "--store", "github", "--notes", "CHANGELOG.md"), "Choose --notes or --generate-notes"),
    ],
)
def test_notes_from_github_need_github(online: App, options: tuple[str, ...], message: str) -> None:
    assert message in online.run("publish", "v1.0.0", *options, code=2).output
    assert not (online.site / "stable.json").exists()


def test_a_release_taken_back_to_draft_is_published_again(online: App, github: FakeGitHub) -> None:
    online.run(*PUBLISH)
    (release,) = github.repo.releases.values()
    release.draft = True
    online.run(*PUBLISH)
    check(online, github)


def test_a_failure_is_explained(online: App, github: FakeGitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    github.tokens[TOKEN] = Token("actions", {"contents": "read"})
    output = online.run(*PUBLISH, code=1).output
    assert "Resource not accessible by integration" in output
    assert "permissions: {contents: write}" in output
    assert TOKEN not in output
    assert not (online.site / "stable.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.exhaustive)], ids=["some", "all"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_every_request(online: App, github: FakeGitHub, after: bool, step: int, tmp_path: Path) -> None:
    shutil.copytree(online.site, tmp_path / "untouched")
    for number in range(1, 100, step):
        github.repo.releases.clear()
        shutil.rmtree(online.site)
        shutil.copytree(tmp_path / "untouched", online.site)
        killed = False
        with kill_client_at(number, after=after) as made_requests:
            try:
                online.run(*PUBLISH)
            except Killed:
                killed = True
        if (online.site / "stable.json").exists():
            check(online, github)
        online.run(*PUBLISH)
        check(online, github)
        if not killed:
            break
    assert len(made_requests) < number < 30 + step
    online.run("verify")
