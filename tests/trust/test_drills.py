"""Attacks and accidents, rehearsed: each with a site that knows the feed already and one that does not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import repeat
from pathlib import Path

import pytest

from tests.support import server as faults
from tests.support.server import LoopbackServer
from tests.support.trust_repository import TrustRepository
from tests.trust.conftest import EVIL, GOOD, NEWER, NOW, Site
from updater.errors import (
    DowngradeError,
    DownloadError,
    DownloadHTTPError,
    DownloadTimeoutError,
    DownloadTooLargeError,
    ExpiredError,
    FeedError,
    SchemaError,
    SignatureError,
    TargetMismatchError,
)
from updater.transport import HTTPTransport, Limits
from updater.trust import TrustedFeed

LATER = NOW + timedelta(hours=1)


def assert_stale(feed: TrustedFeed, reason: str) -> None:
    assert feed.data == GOOD
    assert feed.freshness.state == "stale"
    assert feed.freshness.last_good == NOW
    assert reason in feed.freshness.reason
    assert str(feed.freshness).startswith("feed is stale, last good on 2026-11-20 10:00 UTC: ")


def assert_recovers(site: Site, data: bytes = NEWER) -> None:
    feed = site.fetch(now=LATER)
    assert (feed.data, feed.freshness.state, feed.freshness.last_good) == (data, "fresh", LATER)


def path_of_feed(repository: TrustRepository, channel: str = "stable") -> str:
    target = repository.signed[channel].targets[f"{channel}.json"]
    return f"feeds/{target.hashes['sha256']}.{channel}.json"


# Attacks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("thief_has", ["beta", "alpha", "online"])
def test_wrong_channel_key(repository: TrustRepository, warm: Site, fresh: Site, thief_has: str) -> None:
    """A thief of another role's key signs a stable feed with it."""
    attacker = repository.thief("online", thief_has)
    attacker.signers["stable"] = attacker.signers[thief_has]
    attacker.publish("stable", EVIL)
    before = warm.state()
    for site in (warm, fresh):
        with pytest.raises(SignatureError) as caught:
            site.fetch(attacker)
        assert caught.value.hint
    assert warm.state() == before
    repository.publish("stable", NEWER)
    repository.publish("stable", NEWER)
    assert_recovers(warm)


def test_another_publishers_site(warm: Site, fresh: Site) -> None:
    stranger = TrustRepository()
    stranger.publish("stable", EVIL)
    for site in (warm, fresh):
        with pytest.raises(SignatureError):
            site.fetch(stranger)


def test_a_channel_cannot_speak_for_another(repository: TrustRepository, warm: Site, fresh: Site) -> None:
    """The real beta key lists stable.json: the delegation does not let it."""
    attacker = repository.thief("online", "beta")
    attacker.publish("beta", EVIL)
    role = attacker.signed["beta"]
    role.targets["stable.json"] = role.targets["beta.json"]
    attacker.files[f"feeds/{role.targets['beta.json'].hashes['sha256']}.stable.json"] = EVIL
    attacker.set_version("beta", role.version + 1)
    assert warm.fetch(attacker).data == GOOD
    assert fresh.fetch(attacker).data == GOOD


def test_rollback_to_an_older_site(repository: TrustRepository, warm: Site) -> None:
    old = repository.photograph()
    repository.publish("stable", NEWER)
    assert warm.fetch().data == NEWER
    with repository.serving(old):
        feed = warm.fetch(now=LATER)
    assert (feed.data, feed.freshness.state) == (NEWER, "stale")


def test_rollback_signed_with_the_online_key(repository: TrustRepository, warm: Site) -> None:
    """A newer timestamp for an older snapshot, and a newer snapshot for an older channel role."""
    before = repository.thief("online")
    repository.publish("stable", NEWER)
    assert warm.fetch().data == NEWER
    before.signed["timestamp"].version += 100
    before.refresh_timestamp()
    assert warm.fetch(before).freshness.state == "stale"
    before.signed["snapshot"].version += 100
    before.refresh_online()
    assert warm.fetch(before).freshness.state == "stale"
    assert warm.fetch(before).data == NEWER


def test_freeze(repository: TrustRepository, warm: Site, fresh: Site) -> None:
    """The server keeps showing the same site: harmless until the timestamp expires, then noticed."""
    repository.set_expiry("timestamp")
    assert_stale(warm.fetch(now=LATER), "has expired")
    with pytest.raises(ExpiredError):
        fresh.fetch()
    repository.renew("timestamp")
    assert_recovers(warm, GOOD)


def test_mix_and_match(repository: TrustRepository, warm: Site, fresh: Site) -> None:
    """An old channel role under the new one's name."""
    old_role = repository.files[repository.path_of("stable")]
    repository.publish("stable", NEWER)
    right = repository.files[repository.path_of("stable")]
    repository.files[repository.path_of("stable")] = old_role
    assert_stale(warm.fetch(now=LATER), "older than")
    with pytest.raises(DowngradeError):
        fresh.fetch()
    repository.files[repository.path_of("stable")] = right
    assert_recovers(warm)
    assert_recovers(fresh)


def test_fast_forward_is_recovered_from_by_rotation(repository: TrustRepository, warm: Site, fresh: Site) -> None:
    """Version numbers driven up with stolen keys do not lock sites out once the keys are exchanged."""
    attacker = repository.thief("online", "stable")
    attacker.signed["snapshot"].version = attacker.signed["timestamp"].version = 999_999
    attacker.set_version("stable", 999_999)
    assert warm.fetch(attacker).data == GOOD
    repository.publish("stable", NEWER)
    assert warm.fetch().freshness.state == "stale"
    repository.rotate("online", "stable")
    assert repository.signed["timestamp"].version < 100
    assert_recovers(warm)
    assert_recovers(fresh)
    with pytest.raises(SignatureError):
        warm.fetch(attacker)


def endless() -> Iterator[bytes]:
    return repeat(b"x" * 4096)


@pytest.mark.parametrize("name", ["root", "timestamp", "snapshot", "stable"])
def test_endless_metadata(repository: TrustRepository, warm: Site, fresh: Site, name: str) -> None:
    repository.publish("stable", NEWER)
    path = "metadata/2.root.json" if name == "root" else repository.path_of(name)
    repository.faults[path] = endless
    assert_stale(warm.fetch(now=LATER), "larger")
    with pytest.raises(DownloadTooLargeError):
        fresh.fetch()
    repository.faults.clear()
    assert_recovers(warm)


def test_endless_feed(repository: TrustRepository, warm: Site) -> None:
    repository.publish("stable", NEWER)
    repository.faults[path_of_feed(repository)] = endless
    with pytest.raises(TargetMismatchError):
        warm.fetch()
    repository.faults.clear()
    assert_recovers(warm)


@pytest.mark.parametrize("body", [EVIL, NEWER + b" ", NEWER[:-1], b"", b"<html>"])
def test_replaced_feed(repository: TrustRepository, warm: Site, body: bytes) -> None:
    """The digest is in the file's name: other bytes there are never a deployment under way."""
    repository.publish("stable", NEWER)
    repository.faults[path_of_feed(repository)] = body
    before = warm.state()
    with pytest.raises(TargetMismatchError):
        warm.fetch()
    assert warm.state() == before
    repository.faults.clear()
    assert_recovers(warm)


@pytest.mark.parametrize("drip", [faults.drip_body(b"x" * 500, 0.02), faults.drip_headers(0.02)])
def test_slow_drip(tmp_path: Path, drip: faults.Behaviour) -> None:
    limits = Limits(headers=0.3, min_rate=5000, window=0.3, grace=0.2)
    with LoopbackServer() as server, HTTPTransport(limits) as http:
        repository = TrustRepository(server.url)
        repository.publish("stable", GOOD)
        server.files = repository.files
        site = Site(repository, tmp_path / "site", http)
        assert site.fetch().data == GOOD
        server.behaviours["metadata/timestamp.json"] = drip
        assert_stale(site.fetch(now=LATER), "at the moment")
        with pytest.raises(DownloadTimeoutError):
            Site(repository, tmp_path / "other", http).fetch()
        server.behaviours.clear()
        assert_recovers(site, GOOD)


def test_stolen_ci_keys_and_the_rotation_after(
    repository: TrustRepository, warm: Site, fresh: Site, tmp_path: Path
) -> None:
    """With the online and the channel key an attacker reaches sites; after root and targets N+1 no more."""
    attacker = repository.thief("online", "stable")
    attacker.publish("stable", EVIL)
    victim = Site(repository, tmp_path / "victim")
    assert victim.fetch(attacker).data == EVIL, "the attack has to work, or the drill proves nothing"

    repository.rotate("online", "stable")
    repository.publish("stable", NEWER)
    for site in (warm, fresh, victim):
        assert_recovers(site)
    # The attacker goes on: higher versions, and the public new root in front of its own metadata.
    attacker.signed["timestamp"].version = attacker.signed["snapshot"].version = 1000
    attacker.publish("stable", EVIL)
    for public_root in ({}, {"metadata/2.root.json": repository.files["metadata/2.root.json"]}):
        attacker.files.update(public_root)
        for site in (warm, fresh, victim):
            before = site.state()
            with pytest.raises(SignatureError):
                site.fetch(attacker)
            assert site.state() == before
    newcomer = Site(repository, tmp_path / "newcomer")
    newcomer.root = repository.files["root.json"]
    with pytest.raises(SignatureError):
        newcomer.fetch(attacker)
    assert newcomer.fetch().data == NEWER


def test_root_keys_can_be_exchanged(repository: TrustRepository, warm: Site, fresh: Site) -> None:
    repository.rotate("root")
    repository.rotate("root", "targets")
    repository.publish("stable", NEWER)
    for site in (warm, fresh):
        feed = site.fetch()
        assert (feed.data, feed.root_version) == (NEWER, 3)


def test_a_root_that_the_old_keys_did_not_sign(repository: TrustRepository, warm: Site) -> None:
    stranger = TrustRepository()
    stranger.rotate("online")
    repository.files["metadata/2.root.json"] = stranger.files["metadata/2.root.json"]
    with pytest.raises(SignatureError):
        warm.fetch()


# Accidents -----------------------------------------------------------------------------------------------------


def test_stale_edge(repository: TrustRepository, warm: Site) -> None:
    edge = repository.photograph()
    repository.publish("stable", NEWER)
    assert warm.fetch().data == NEWER
    with repository.serving(edge):
        feed = warm.fetch(now=LATER)
    assert feed.freshness.state == "stale"
    assert feed.freshness.reason == "the server offers metadata older than this site has already seen"
    assert feed.data == NEWER
    assert_recovers(warm)


@pytest.mark.parametrize("missing", ["snapshot", "stable", "feed"])
@pytest.mark.parametrize("status", [403, 404])
def test_half_published(repository: TrustRepository, warm: Site, fresh: Site, missing: str, status: int) -> None:
    repository.publish("stable", NEWER)
    path = path_of_feed(repository) if missing == "feed" else repository.path_of(missing)
    repository.faults[path] = status
    assert_stale(warm.fetch(now=LATER), "not on the server yet")
    with pytest.raises(DownloadHTTPError) as caught:
        fresh.fetch()
    assert caught.value.status == status
    repository.faults.clear()
    assert_recovers(warm)
    assert_recovers(fresh)


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "stable", "root"])
def test_expired(repository: TrustRepository, warm: Site, fresh: Site, role: str) -> None:
    repository.set_expiry(role)
    assert_stale(warm.fetch(now=LATER), "has expired")
    assert_stale(warm.fetch(now=LATER), "has expired")
    with pytest.raises(ExpiredError) as caught:
        fresh.fetch()
    assert "clock" in caught.value.hint
    repository.renew(role)
    assert_recovers(warm, GOOD)
    assert_recovers(fresh, GOOD)


@pytest.mark.parametrize("fault", [500, 503, 401, 429, DownloadError("no network"), DownloadTimeoutError("too slow")])
@pytest.mark.parametrize("path", ["metadata/2.root.json", "metadata/timestamp.json"])
def test_server_trouble(
    repository: TrustRepository, warm: Site, fresh: Site, fault: int | DownloadError, path: str
) -> None:
    repository.faults[path] = fault
    assert_stale(warm.fetch(now=LATER), "at the moment")
    with pytest.raises(DownloadError):
        fresh.fetch()
    repository.faults.clear()
    assert_recovers(warm, GOOD)


@pytest.mark.parametrize("body", [b"", b"<html>captive portal</html>", b"{}", b"[" * 10_000, b'{"signed":1}'])
def test_something_else_than_metadata(repository: TrustRepository, warm: Site, fresh: Site, body: bytes) -> None:
    repository.faults["metadata/timestamp.json"] = body
    for site in (warm, fresh):
        with pytest.raises(SchemaError) as caught:
            site.fetch()
        assert caught.value.hint
    repository.faults.clear()
    assert_recovers(warm, GOOD)


def test_the_caller_refuses_the_content(repository: TrustRepository, warm: Site) -> None:
    """``accept`` decides last: what it refuses never becomes the last good feed."""
    repository.publish("stable", EVIL)
    before = warm.state()["last_good.json"]

    def refuse(data: bytes) -> None:
        assert data == EVIL
        raise DowngradeError("sequence goes backwards")

    with pytest.raises(DowngradeError, match="sequence"):
        warm.fetch(accept=refuse)
    assert warm.state()["last_good.json"] == before
    repository.faults["metadata/timestamp.json"] = 503
    assert_stale(warm.fetch(now=LATER), "at the moment")
    repository.faults.clear()
    repository.publish("stable", NEWER)
    assert_recovers(warm)


def test_channels_do_not_share_their_last_good(repository: TrustRepository, warm: Site) -> None:
    repository.publish("beta", NEWER)
    repository.faults["metadata/timestamp.json"] = 503
    with pytest.raises(DownloadHTTPError):
        warm.fetch(channel="beta")
    repository.faults.clear()
    assert warm.fetch(channel="beta").data == NEWER
    assert warm.fetch(channel="stable").data == GOOD


def test_a_channel_that_is_not_offered(repository: TrustRepository, warm: Site) -> None:
    repository.signed["stable"].targets.clear()
    repository.set_version("stable", 50)
    with pytest.raises(FeedError, match="offers no channel 'stable'"):
        warm.fetch()


def test_what_is_reported(repository: TrustRepository, warm: Site) -> None:
    feed = warm.fetch()
    assert (feed.channel, feed.root_version) == ("stable", 1)
    assert str(feed.freshness) == "feed is fresh, verified on 2026-11-20 10:00 UTC"
    assert set(feed.expires) == {"root", "timestamp", "snapshot", "targets", "stable"}
    assert set(feed.expires.values()) == {repository.expires}
    assert repository.expires > datetime.now(UTC)
