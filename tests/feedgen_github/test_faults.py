"""The store on a GitHub that fails: each fault ends in a whole release, or in an error that says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from feedgen.errors import PublishError, RateLimitError, SelfCheckError, StoreError
from feedgen.github import Limits
from tests.feedgen_github.conftest import COMMIT, Open, check_public, page
from tests.support.github import FakeGitHub, Fault, Killed, Token, kill_client_at

UPLOAD = r"/releases/\d+/assets$"
SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."


@pytest.mark.parametrize("kind", ["starter", "lost", "cut", "status", "digest"])
@pytest.mark.parametrize("skip", [0, 1])
def test_a_failed_upload(github: FakeGitHub, opened: Open, files: dict[str, Path], kind: str, skip: int) -> None:
    github.faults = [Fault("POST", UPLOAD, kind, skip=skip)]
    opened().store.publish(page(), files)
    check_public(github, files)


@pytest.mark.parametrize("kind", ["lost", "cut", "status"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "^/repos/acme/shop$"),
        ("GET", "/releases/tags/"),
        ("POST", "^/graphql$"),
        ("GET", "/git/ref/"),
        ("POST", "/releases$"),
        ("GET", UPLOAD),
        ("PATCH", "/releases/"),
        ("GET", "/releases/download/"),
        ("GET", "^/storage/"),
    ],
)
def test_any_call_fails_once(
    github: FakeGitHub, opened: Open, files: dict[str, Path], method: str, path: str, kind: str
) -> None:
    github.faults = [Fault(method, path, kind)]
    opened().store.publish(page(), files)
    assert github.faults[0].times == 0
    check_public(github, files)
    assert len(github.repo.releases) == 1


def test_a_leftover_of_an_earlier_run(github: FakeGitHub, opened: Open, files: dict[str, Path]) -> None:
    github.faults = [Fault("POST", UPLOAD, "starter"), Fault("GET", UPLOAD, times=99, skip=1)]
    with pytest.raises(StoreError):
        opened().store.publish(page(), files)
    assert github.repo.of_tag("v1.0.0")[0].assets[0].state == "starter"
    github.faults = []
    opened().store.publish(page(), files)
    check_public(github, files)


def test_a_hung_upload_is_given_up_and_tried_again(github: FakeGitHub, opened: Open, files: dict[str, Path]) -> None:
    github.faults = [Fault("POST", UPLOAD, "hang")]
    found = opened(limits=Limits(connect=1, read=1, between_writes=0))
    found.store.publish(page(), files)
    check_public(github, files)


def test_a_slow_upload_is_given_up(github: FakeGitHub, opened: Open, files: dict[str, Path]) -> None:
    found = opened(limits=Limits(connect=5, read=5, between_writes=0, grace=-1.0, min_rate=1e12, attempts=2))
    ticks = iter(range(10**9))
    found.client.clock = lambda: float(next(ticks))
    with pytest.raises(StoreError, match="gave no usable answer"):
        found.store.publish(page(), files)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("POST", UPLOAD, status=403, message=SECONDARY, headers={"Retry-After": "77"}),
        Fault("POST", UPLOAD, status=429, message="Too many requests", headers={"Retry-After": "77"}),
        Fault("GET", "/git/ref/", status=403, message=SECONDARY, headers={"Retry-After": "77"}),
    ],
    ids=["403", "429", "reading"],
)
def test_limits_are_waited_for(github: FakeGitHub, opened: Open, files: dict[str, Path], fault: Fault) -> None:
    fault.times = 1
    github.faults = [fault]
    found = opened()
    found.store.publish(page(), files)
    assert github.clock.slept == [77.0]
    assert any("asks to wait 77 s" in line for line in found.said)
    check_public(github, files)


def test_a_limit_without_a_time_is_waited_for_longer_each_time(
    github: FakeGitHub, opened: Open, files: dict[str, Path]
) -> None:
    github.faults = [Fault("POST", "/releases$", status=403, message=SECONDARY, times=3)]
    opened().store.publish(page(), files)
    assert github.clock.slept == [60.0, 120.0, 240.0]


def test_the_hourly_limit_is_waited_for_when_that_is_soon(
    github: FakeGitHub, opened: Open, files: dict[str, Path]
) -> None:
    github.remaining, github.reset = 4, github.clock.now() + 100
    opened().store.publish(page(), files)
    assert github.clock.slept == [101.0]
    check_public(github, files)


def test_the_hourly_limit_is_told_when_that_is_late(github: FakeGitHub, opened: Open, files: dict[str, Path]) -> None:
    github.remaining = 4
    with pytest.raises(RateLimitError, match="limits the number of calls") as caught:
        opened().store.publish(page(), files)
    assert github.clock.slept == []
    assert " UTC" in caught.value.hint


def test_a_storm_is_given_up_in_time(github: FakeGitHub, opened: Open, files: dict[str, Path]) -> None:
    github.faults = [Fault("POST", "/releases$", status=503, message="Unavailable", times=99)]
    with pytest.raises(StoreError, match="HTTP 503") as caught:
        opened().store.publish(page(), files)
    assert github.clock.slept == [1, 2, 4, 8, 16, 30]
    assert "githubstatus" in caught.value.hint


def test_bytes_that_stay_wrong_are_refused(github: FakeGitHub, opened: Open, files: dict[str, Path]) -> None:
    github.faults = [Fault("POST", UPLOAD, "digest", times=99)]
    with pytest.raises(StoreError, match="other bytes than were sent"):
        opened().store.publish(page(), files)
    assert github.repo.of_tag("v1.0.0")[0].draft


def test_a_page_of_a_captive_portal(github: FakeGitHub, opened: Open, files: dict[str, Path]) -> None:
    github.faults = [Fault("GET", "", "html", times=99), Fault("POST", "", "html", times=99)]
    with pytest.raises(PublishError):
        opened().store.publish(page(), files)


def test_immutable_meanwhile(github: FakeGitHub, opened: Open, files: dict[str, Path]) -> None:
    github.faults = [Fault("POST", UPLOAD, status=422, message="Cannot upload assets to an immutable release.")]
    with pytest.raises(StoreError, match="immutable release") as caught:
        opened().store.publish(page(), files)
    assert "cannot be used again" in caught.value.hint


def test_the_public_address_may_need_a_moment(github: FakeGitHub, opened: Open, files: dict[str, Path]) -> None:
    github.repo.public_after = 3
    opened().store.publish(page(), files)
    assert github.clock.slept == [1, 2, 4]


def test_a_public_address_that_never_works(github: FakeGitHub, opened: Open, files: dict[str, Path]) -> None:
    github.repo.public_after = 99
    with pytest.raises(SelfCheckError, match="does not serve what was published") as caught:
        opened().store.publish(page(), files)
    assert "No feed names it yet" in caught.value.hint


@pytest.mark.parametrize(
    ("token", "in_actions", "hint"),
    [
        (Token("actions", {"contents": "read"}), True, "permissions: {contents: write}"),
        (Token("fine", {"contents": "read"}), False, "'Contents: Read and write' for acme/shop"),
        (Token("classic", {"contents": "read"}), False, "a classic one the scope 'repo'"),
    ],
    ids=["actions", "fine-grained", "classic"],
)
def test_the_missing_permission_is_named(
    github: FakeGitHub, opened: Open, files: dict[str, Path], token: Token, in_actions: bool, hint: str
) -> None:
    github.tokens["t"] = token
    with pytest.raises(StoreError) as caught:
        opened(token="t", in_actions=in_actions).store.publish(page(), files)
    assert hint in caught.value.hint
    assert "create the release v1.0.0" in str(caught.value)


def test_a_revoked_token_and_a_wrong_name(github: FakeGitHub, opened: Open, files: dict[str, Path]) -> None:
    with pytest.raises(StoreError, match="does not accept the token"):
        opened(token="revoked").store.publish(page(), files)
    with pytest.raises(StoreError, match="knows no acme/other") as caught:
        opened(repository="acme/other").store.publish(page(), files)
    assert "Check the name acme/other" in caught.value.hint


def test_single_sign_on(github: FakeGitHub, opened: Open, files: dict[str, Path]) -> None:
    sso = {"X-GitHub-SSO": "required; url=https://github.com/orgs/acme/sso"}
    github.faults = [Fault("GET", "^/repos/acme/shop$", status=403, message="Protected by SAML", headers=sso)]
    with pytest.raises(StoreError) as caught:
        opened().store.publish(page(), files)
    assert "single sign-on" in caught.value.hint


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_every_request(github: FakeGitHub, opened: Open, files: dict[str, Path], after: bool) -> None:
    for number in range(1, 100):
        github.repo.releases.clear()
        try:
            with kill_client_at(number, after=after) as made:
                opened().store.publish(page(), files)
        except Killed:
            pass
        if len(made) < number:
            break
        opened().store.publish(page(), files)
        check_public(github, files)
    assert 14 <= number <= 20
    assert github.repo.tags["v1.0.0"] == COMMIT
