"""Deltas on GitHub: made from packages that are fetched back, and attached before the release is public."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from tests.feedgen_github.test_publish import online, push_tags  # noqa: F401 - a fixture
from tests.feedgen_publish.conftest import App, app, environment, made  # noqa: F401 - fixtures
from tests.support.github import FakeGitHub, Killed, kill_client_at
from updater.transport import HTTPTransport

STORE = ("--store", "github")
NAMES = ["shop-1.0.0-1.1.0.delta", "shop-1.1.0.index", "shop-1.1.0.zip", "shop-1.1.0.zip.minisig"]


@pytest.fixture
def second(online: App, github: FakeGitHub) -> App:  # noqa: F811
    """With v1.0.0 published, and v1.1.0 to be published: a large file that stays, and a small one that changes."""
    large = "".join(random.Random(1).choices("abcdefghijklmnop \n", k=20_000))
    online.git("tag", "-d", "v1.0.0")
    online.release("v1.0.0", **{"large.txt": large})
    online.release("v1.1.0", **{"small.txt": "new"})
    push_tags(online.folder, github)
    online.run("publish", "v1.0.0", *STORE)
    return online


def check(shop: App, github: FakeGitHub) -> None:
    """Everything that the feed names is there to download."""
    newest = shop.feed("stable").releases[0]
    assert newest.version == "1.1.0"
    assert newest.package.index is not None
    (delta,) = newest.deltas
    wanted = [(newest.package.urls[0], newest.package.size), (delta.urls[0], delta.size)]
    wanted.append((newest.package.index.urls[0], newest.package.index.size))
    for url, size in wanted:
        assert url.startswith(f"{github.web_url}/acme/shop/releases/download/v1.1.0/")
        with HTTPTransport() as transport, transport.open(url, max_bytes=size) as response:
            assert sum(map(len, response.chunks)) == size
    (release,) = github.repo.of_tag("v1.1.0")
    assert sorted(asset.name for asset in release.assets) == NAMES


def test_a_delta_is_attached_before_the_release_is_public(second: App, github: FakeGitHub) -> None:
    github.repo.immutable_releases = True
    output = second.run("publish", "v1.1.0", *STORE).output
    assert output.index("Fetching shop-1.0.0.zip") < output.index("Uploading shop-1.0.0-1.1.0.delta")
    assert output.index("Uploading shop-1.0.0-1.1.0.delta") < output.index("Publishing the release v1.1.0")
    check(second, github)
    before = second.snapshot()
    with github.counting() as calls:
        assert "nothing changed" in second.run("publish", "v1.1.0", *STORE).output
    assert not [call for call in calls if call.writes]
    assert second.snapshot() == before
    second.run("verify")


def test_late_deltas_need_a_release_that_takes_them(second: App, github: FakeGitHub) -> None:
    path = second.folder / "feedgen.toml"
    text = path.read_text()
    path.write_text(f"{text}\n[deltas]\nfrom_last = 0\n")
    second.run("publish", "v1.1.0", *STORE)
    path.write_text(text)
    (release,) = github.repo.of_tag("v1.1.0")
    release.immutable = True
    before = second.snapshot()
    output = second.run("deltas", *STORE, code=1).output
    assert "is immutable" in output
    assert "feedgen deltas --store DIR" in output
    assert second.snapshot() == before
    release.immutable = False
    second.run("deltas", *STORE)
    check(second, github)
    assert "nothing changed" in second.run("deltas", *STORE).output


@pytest.mark.slow
@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.exhaustive)], ids=["some", "all"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_every_request(second: App, github: FakeGitHub, after: bool, step: int, tmp_path: Path) -> None:
    github.repo.immutable_releases = True
    shutil.copytree(second.site, tmp_path / "untouched")
    first = github.repo.of_tag("v1.0.0")[0]
    for number in range(1, 100, step):
        github.repo.releases.clear()
        github.repo.releases[first.id] = first
        shutil.rmtree(second.site)
        shutil.copytree(tmp_path / "untouched", second.site)
        killed = False
        with kill_client_at(number, after=after) as made_requests:
            try:
                second.run("publish", "v1.1.0", *STORE)
            except Killed:
                killed = True
        if second.feed("stable").releases[0].version == "1.1.0":
            check(second, github)
        second.run("publish", "v1.1.0", *STORE)
        check(second, github)
        if not killed:
            break
    assert len(made_requests) < number < 50 + step
    second.run("verify")
