"""The store on a GitHub that works: what it makes, twice, and what it finds there."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import pytest

from feedgen.errors import PublishError, StoreError
from feedgen.github import GitHubStore
from feedgen.github.releases import LONGEST_BODY
from tests.feedgen_github.conftest import COMMIT, TOKEN, Open, check_public, digest, page
from tests.support.github import Asset, FakeGitHub, Fault, Release, Token
from updater.errors import DownloadHTTPError
from updater.transport import HTTPTransport

NAME = "shop-1.0.0.zip"


def writes(github: FakeGitHub) -> list[str]:
    return [f"{call.method} {call.path}" for call in github.calls if call.writes]


def test_a_release_becomes_public_whole(github: FakeGitHub, store: GitHubStore, files: dict[str, Path]) -> None:
    assert store.publish(page(), files) == tuple(files)
    release = check_public(github, files)
    assert (release.name, release.body, release.prerelease) == ("shop v1.0.0", "Notes", False)
    assert github.repo.latest == release.id
    assert store.url("v1.0.0", NAME) == f"{github.web_url}/acme/shop/releases/download/v1.0.0/{NAME}"
    order = [call.area if call.area in ("uploads", "storage") else call.method for call in github.calls]
    assert order.index("PATCH") > max(n for n, area in enumerate(order) if area == "uploads")
    assert order.index("storage") > order.index("PATCH")


def test_again_writes_nothing(github: FakeGitHub, opened: Open, files: dict[str, Path]) -> None:
    opened().store.publish(page(), files)
    before = len(writes(github))
    assert opened().store.publish(page(), files) == ()
    assert len(writes(github)) == before


def test_immutable_releases(github: FakeGitHub, opened: Open, files: dict[str, Path]) -> None:
    github.repo.immutable_releases = True
    opened().store.publish(page(), files)
    assert check_public(github, files).immutable
    assert opened().store.publish(page(), files) == ()


def test_flags_are_always_said(github: FakeGitHub, opened: Open, files: dict[str, Path]) -> None:
    github.repo.tags |= {"v1.1.0-beta.1": COMMIT, "v0.9.1": COMMIT}
    store = opened().store
    store.publish(page(), files)
    (newest,) = github.repo.of_tag("v1.0.0")
    store.publish(page("v1.1.0-beta.1", prerelease=True, latest=False), files)
    store.publish(page("v0.9.1", latest=False), files)
    assert github.repo.latest == newest.id
    assert github.repo.of_tag("v1.1.0-beta.1")[0].prerelease


def test_a_draft_of_somebody_else_is_completed(github: FakeGitHub, store: GitHubStore, files: dict[str, Path]) -> None:
    other = Asset(5, "installer.exe", b"MZ")
    github.repo.releases[1] = Release(1, "v1.0.0", "Our autumn release", "By hand", draft=True, assets=[other])
    store.publish(page(), files)
    (release,) = github.repo.of_tag("v1.0.0")
    assert (release.name, release.body, release.draft) == ("Our autumn release", "By hand", False)
    assert [asset.name for asset in release.assets] == ["installer.exe", *files]
    assert release.assets[0] is other


def test_a_public_release_of_somebody_else_gets_our_files(
    github: FakeGitHub, store: GitHubStore, files: dict[str, Path]
) -> None:
    github.repo.releases[1] = Release(1, "v1.0.0", "Theirs", prerelease=True, assets=[Asset(5, "a.exe", b"MZ")])
    assert store.publish(page(), files) == tuple(files)
    assert "PATCH" not in [call.method for call in github.calls]
    assert len(github.repo.releases[1].assets) == 3


def test_an_immutable_release_without_our_files_is_explained(
    github: FakeGitHub, store: GitHubStore, files: dict[str, Path]
) -> None:
    github.repo.releases[1] = Release(1, "v1.0.0", immutable=True)
    with pytest.raises(StoreError, match="immutable") as caught:
        store.publish(page(), files)
    assert "new version" in caught.value.hint
    assert writes(github) == []


def test_other_bytes_in_a_draft_are_replaced(github: FakeGitHub, store: GitHubStore, files: dict[str, Path]) -> None:
    stale = Asset(5, NAME, b"from an earlier try")
    github.repo.releases[1] = Release(1, "v1.0.0", draft=True, assets=[stale])
    store.publish(page(), files)
    check_public(github, files)


def test_a_missing_tag_is_not_made(github: FakeGitHub, store: GitHubStore, files: dict[str, Path]) -> None:
    github.repo.tags.clear()
    with pytest.raises(PublishError, match="is not in acme/shop") as caught:
        store.publish(page(), files)
    assert "git push origin v1.0.0" in caught.value.hint
    assert writes(github) == []


@pytest.mark.parametrize("annotated", [False, True])
def test_a_tag_of_another_commit(github: FakeGitHub, opened: Open, files: dict[str, Path], annotated: bool) -> None:
    github.repo.annotated = {"v1.0.0"} if annotated else set()
    github.repo.tags["v1.0.0"] = "d" * 40
    with pytest.raises(PublishError, match="dddddddddddd on GitHub"):
        opened().store.publish(page(), files)
    github.repo.tags["v1.0.0"] = COMMIT
    opened().store.publish(page(), files)


def test_old_assets_without_a_digest_are_downloaded(github: FakeGitHub, opened: Open, files: dict[str, Path]) -> None:
    opened().store.publish(page(), files)
    for asset in github.repo.of_tag("v1.0.0")[0].assets:
        asset.claimed = None
    stored = opened().store.find("v1.0.0", NAME)
    assert stored is not None
    assert stored.sha256 == digest(files[NAME])
    assert opened().store.publish(page(), files) == ()


def test_empty_large_and_oddly_named_files_are_refused(github: FakeGitHub, store: GitHubStore, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "good").write_bytes(b"x")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2**31)
    for name, path, text in (
        ("a.zip", "empty", "1 byte up to 2 GiB"),
        ("a.zip", "large", "1 byte up to 2 GiB"),
        ("a b.zip", "good", "would rename"),
    ):
        with pytest.raises(PublishError, match=text):
            store.publish(page(), {name: tmp_path / path})
    assert github.calls == []


def test_long_notes_are_cut(github: FakeGitHub, store: GitHubStore, files: dict[str, Path]) -> None:
    store.publish(page(notes="one line\n" * 20000), files)
    body = github.repo.of_tag("v1.0.0")[0].body
    assert len(body) <= LONGEST_BODY + 10
    assert body.endswith("one line\n\n…")


def test_a_commit_that_nobody_knows_is_not_compared(
    github: FakeGitHub, store: GitHubStore, files: dict[str, Path]
) -> None:
    store.publish(page(commit=""), files)
    check_public(github, files)


def test_an_old_asset_that_cannot_be_downloaded(github: FakeGitHub, opened: Open, files: dict[str, Path]) -> None:
    opened().store.publish(page(), files)
    github.repo.of_tag("v1.0.0")[0].assets[0].claimed = None
    github.faults = [Fault("GET", "^/storage/", status=500, times=99)]
    with pytest.raises(StoreError, match="could not be downloaded"):
        opened().store.find("v1.0.0", NAME)


@pytest.mark.parametrize("fallback", [False, True])
def test_calls_for_one_more_release(github: FakeGitHub, opened: Open, files: dict[str, Path], fallback: bool) -> None:
    counts = {}
    for number in (10, 100, 1000):
        github.repo.releases.clear()
        github.preload(number)
        if fallback:
            github.faults = [Fault("POST", "^/graphql$", status=404, message="Not Found", times=99)]
        with github.counting() as made:
            opened().store.publish(page(), files)
        counts[number] = len(made)
        check_public(github, files)
    expected = {10: 13, 100: 13, 1000: 22} if fallback else {10: 12, 100: 12, 1000: 12}
    assert counts == expected


def test_drafts_are_found_in_the_list_too(github: FakeGitHub, store: GitHubStore, files: dict[str, Path]) -> None:
    github.repo.releases[1] = Release(1, "v1.0.0", "A draft", draft=True)
    github.preload(250)
    github.faults = [Fault("POST", "^/graphql$", status=403, message="Resource not accessible", times=99)]
    store.publish(page(), files)
    assert check_public(github, files).id == 1


def test_unchanged_answers_cost_nothing(github: FakeGitHub, opened: Open, files: dict[str, Path]) -> None:
    found = opened()
    found.store.publish(page(), files)
    before = github.remaining
    found.store.publish(page(), files)
    assert 304 in [call.status for call in github.calls]
    assert before - github.remaining <= 2


def test_a_renamed_repository(github: FakeGitHub, opened: Open, files: dict[str, Path]) -> None:
    github.repo.renamed_from = "acme/oldname"
    found = opened(repository="acme/oldname")
    found.store.publish(page(), files)
    check_public(github, files)
    assert "called acme/shop now" in found.said[0]


def test_a_private_repository(github: FakeGitHub, opened: Open, files: dict[str, Path]) -> None:
    github.repo.private = True
    found = opened()
    found.store.publish(page(), files)
    url = found.store.url("v1.0.0", NAME)
    with HTTPTransport() as public, pytest.raises(DownloadHTTPError), public.open(url, max_bytes=10**6):
        pass
    ((_, transport),) = found.store.routes()
    with transport.open(url, max_bytes=10**6) as response:
        assert b"".join(response.chunks) == files[NAME].read_bytes()
    assert any("private" in line for line in found.said)


@pytest.mark.parametrize("private", [False, True])
def test_enterprise(opened: Open, files: dict[str, Path], private: bool) -> None:
    with FakeGitHub(enterprise=True) as server:
        server.repo.tags["v1.0.0"] = COMMIT
        server.repo.private = private
        assert server.api_url.endswith("/api/v3")
        found = opened(fake=server)
        found.store.publish(page(), files)
        assert found.store.url("v1.0.0", NAME).startswith(f"{server.web_url}/acme/shop/releases/download/")
        check_public(server, files)
        assert server.violations == []
        opened()


def test_uploads_are_streamed(github: FakeGitHub, opened: Open, tmp_path: Path) -> None:
    """The body is read in pieces while it is sent, never as a whole."""
    from feedgen.github.connection import UploadBody

    large = tmp_path / "large.zip"
    large.write_bytes(b"x" * 3_000_000)
    sizes: list[int] = []
    real = UploadBody.read

    def read(self: UploadBody, size: int = -1) -> bytes:
        data = real(self, size)
        sizes.append(len(data))
        return data

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UploadBody, "read", read)
        opened().store.publish(page(), {"large.zip": large})
    assert sum(sizes) == 3_000_000
    assert max(sizes) <= 64 * 1024


def test_the_token_is_never_told(github: FakeGitHub, opened: Open, files: dict[str, Path], caplog: object) -> None:
    import logging

    import _pytest.logging

    assert isinstance(caplog, _pytest.logging.LogCaptureFixture)
    caplog.set_level(logging.DEBUG)
    found = opened()
    found.store.publish(page(), files)
    github.tokens[TOKEN] = Token(permissions={"contents": "read"})
    github.repo.tags["v2.0.0"] = COMMIT
    with pytest.raises(StoreError) as caught:
        opened().store.publish(page("v2.0.0"), files)
    told = [caplog.text, str(caught.value), caught.value.hint, repr(found.client.target), *found.said]
    assert all(TOKEN not in text for text in told)
    assert "token" not in dataclasses.asdict(found.client.limits)


def test_it_is_quick(github: FakeGitHub, opened: Open, files: dict[str, Path]) -> None:
    started = time.perf_counter()
    opened().store.publish(page(), files)
    assert time.perf_counter() - started < 5
