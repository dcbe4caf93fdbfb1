"""The store on a GitHub that works: what it makes, twice, and what it finds there."""

from __future__ import annotations

from pathlib import Path

from feedgen.github import GitHubStore
from tests.feedgen_github.conftest import check_public, digest, page
from tests.support.github import FakeGitHub


def test_a_release_becomes_public_whole(github: FakeGitHub, store: GitHubStore, files: dict[str, Path]) -> None:
    assert store.publish(page(), files) == tuple(files)
    release = check_public(github, files)
    assert (release.name, release.body, release.prerelease) == ("shop v1.0.0", "Notes", False)
    assert github.repo.latest == release.id
    url = store.url("v1.0.0", "shop-1.0.0.zip")
    assert url == f"{github.web_url}/acme/shop/releases/download/v1.0.0/shop-1.0.0.zip"
    stored = store.find("v1.0.0", "shop-1.0.0.zip")
    assert stored is not None
    assert (stored.sha256, stored.public) == (digest(files["shop-1.0.0.zip"]), True)
    uploads = [call.path for call in github.calls if call.area == "uploads"]
    published = max(n for n, call in enumerate(github.calls) if call.method == "PATCH")
    assert len(uploads) == 2
    assert all(n < published for n, call in enumerate(github.calls) if call.area == "uploads")
