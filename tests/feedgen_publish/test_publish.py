"""``feedgen publish``: what it writes, twice, when killed, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from feedgen.errors import FeedRegressionError, KeyNotFoundError, PublishError
from feedgen.keys import KeyRing, write_key
from feedgen.publish.writer import site_lock
from tests.feedgen_publish.conftest import BASE_URL, PASSPHRASE, App, days_ago, git
from updater.schema import Feed
from updater.transport import DirectoryTransport
from updater.trust import FeedClient, FeedLocation


def client(app: App, trust: Path, channel: str = "stable") -> Feed:
    """What a site that began with the first root sees."""
    root = (app.site / "metadata" / "1.root.json").read_bytes()
    transport = DirectoryTransport(BASE_URL, app.site)
    found = FeedClient(FeedLocation(BASE_URL, channel), trust, root, transport).fetch(
        now=datetime.now(UTC), accept=lambda _data: None
    )
    assert found.freshness.state == "fresh", found.freshness
    return Feed.parse(found.data)


def test_release_reaches_a_client(app: App, tmp_path: Path) -> None:
    app.release("v1.0.0")
    output = app.run("publish", "v1.0.0").output
    assert "Published 1.0.0 (stable) in stable.json, beta.json, alpha.json" in output
    release = client(app, tmp_path / "trust").releases[0]
    package = app.site / "packages" / "shop-1.0.0.zip"
    assert release.package.urls == ("packages/shop-1.0.0.zip",)
    assert release.package.sha256 == hashlib.sha256(package.read_bytes()).hexdigest()
    assert package.with_name("shop-1.0.0.zip.minisig").is_file()


def test_a_release_may_be_an_image_as_well(app: App, tmp_path: Path) -> None:
    image = f"ghcr.io/acme/shop@sha256:{'0' * 64}"
    app.release("v1.0.0")
    for wrong in ("ghcr.io/acme/shop:latest", f"--x@sha256:{'0' * 64}", "ghcr.io/acme/shop@sha256:0"):
        assert "by digest" in app.run("publish", "v1.0.0", "--container", wrong, code=2).output
    app.run("publish", "v1.0.0", "--container", image)
    assert client(app, tmp_path / "trust").releases[0].container == image
    assert "nothing changed" in app.run("publish", "v1.0.0", "--container", image).output
    assert "nothing changed" in app.run("publish", "v1.0.0").output
    other = image.replace("0", "1")
    assert "published already with" in app.run("publish", "v1.0.0", "--container", other, code=1).output


def test_twice_changes_nothing(published: App) -> None:
    before = published.snapshot()
    times = {path: path.stat().st_mtime_ns for path in published.site.rglob("*")}
    assert "nothing changed" in published.run("publish", "v1.0.0").output
    assert published.snapshot() == before
    assert {path: path.stat().st_mtime_ns for path in published.site.rglob("*")} == times


def test_channels_list_what_they_should(published: App) -> None:
    for tag in ("v1.1.0-alpha.1", "v1.1.0-beta.1", "v1.1.0", "v1.0.1"):
        published.release(tag)
        published.run("publish", tag)
    listed = {channel: [r.version for r in published.feed(channel).releases] for channel in ("stable", "beta", "alpha")}
    assert listed == {
        "stable": ["1.1.0", "1.0.1", "1.0.0"],
        "beta": ["1.1.0", "1.1.0b1", "1.0.1", "1.0.0"],
        "alpha": ["1.1.0", "1.1.0b1", "1.1.0a1", "1.0.1", "1.0.0"],
    }
    sequences = [published.feed(channel).sequence for channel in ("stable", "beta", "alpha")]
    assert sequences == [3, 4, 5]
    published.run("verify")


def test_only_changed_channels_are_signed(published: App) -> None:
    published.release("v1.1.0-alpha.1")
    published.put_away("stable", "beta")
    published.run("publish", "v1.1.0-alpha.1")
    names = set(published.snapshot())
    assert "metadata/3.alpha.json" in names
    assert "metadata/3.beta.json" not in names
    published.run("verify")


def test_missing_key_is_found_before_building(published: App) -> None:
    published.release("v1.1.0")
    published.put_away("beta")
    before = published.snapshot()
    result = published.run("publish", "v1.1.0", code=1)
    assert "FEEDGEN_KEY_BETA" in result.output
    assert "Building" not in result.output
    assert published.snapshot() == before


def test_keys_from_the_environment(published: App, monkeypatch: pytest.MonkeyPatch) -> None:
    published.release("v1.1.0")
    away = published.put_away("stable", "beta", "alpha", "online", "minisign")
    for path in away.iterdir():
        monkeypatch.setenv(f"FEEDGEN_KEY_{path.stem.upper()}", path.read_text())
    published.run("publish", "v1.1.0")
    published.run("verify")


def test_wrong_passphrase(published: App, monkeypatch: pytest.MonkeyPatch) -> None:
    published.release("v1.1.0")
    monkeypatch.setenv("FEEDGEN_PASSPHRASE", "not the right one")
    before = published.snapshot()
    result = published.run("publish", "v1.1.0", code=1)
    assert "passphrase does not open" in result.output
    assert str(published.keys / "stable.pem") in result.output
    assert published.snapshot() == before


def test_keys_with_different_passphrases(published: App) -> None:
    private = published.ring().private_key("beta")
    (published.keys / "beta.pem").unlink()
    write_key(published.keys, "beta", private, "a passphrase of its own")
    asked: list[str] = []

    def ask(what: str) -> str:
        asked.append(Path(what).name)
        return "a passphrase of its own" if what.endswith("beta.pem") else PASSPHRASE

    ring = KeyRing(published.keys, ask, {})
    for name in ("stable", "beta", "alpha", "online", "beta"):
        ring.private_key(name)
    assert asked == ["stable.pem", "beta.pem"]


@pytest.mark.parametrize("damage", [b"", b"rubbish", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_damaged_key_file(published: App, damage: bytes) -> None:
    published.release("v1.1.0")
    (published.keys / "stable.pem").write_bytes(damage)
    assert "stable.pem" in published.run("publish", "v1.1.0", code=1).output


def test_key_of_another_app(published: App) -> None:
    published.release("v1.1.0")
    shutil.copy(published.keys / "beta.pem", published.keys / "stable.pem")
    assert "holds another key" in published.run("publish", "v1.1.0", code=1).output


@pytest.fixture
def squashed(published: App) -> App:
    """1.1.0 adds two migrations, which 1.2.0 has no more."""
    folder = published.folder / "catalog" / "migrations"
    folder.mkdir(parents=True)
    names = {f"catalog/migrations/000{n}_x.py": "class Migration: operations = []\n" for n in (1, 2)}
    published.release("v1.1.0", **names)
    published.run("publish", "v1.1.0")
    for name in names:
        (published.folder / name).unlink()
    published.release("v1.2.0", **{"catalog/migrations/0003_squashed.py": "class Migration: operations = []\n"})
    return published


def test_migrations_that_are_gone_need_a_stop_before(squashed: App) -> None:
    assert json.loads(squashed.run("build", "v1.2.0", "--json").output)["stop"] == "1.1.0"
    refused = squashed.run("publish", "v1.2.0", code=1).output
    assert "1.2.0 lacks migrations of 1.1.0" in refused
    assert "feedgen stop 1.1.0" in refused
    assert [release.version for release in squashed.feed("stable").releases] == ["1.1.0", "1.0.0"]
    squashed.run("stop", "1.1.0")
    squashed.run("publish", "v1.2.0")
    assert squashed.feed("stable").releases[0].version == "1.2.0"


def test_the_maintainer_may_say_that_no_stop_is_needed(squashed: App) -> None:
    squashed.run("publish", "v1.2.0", "--no-stop")
    assert not any(release.stop for release in squashed.feed("stable").releases)


def test_a_release_that_can_only_be_reached_from_there_needs_no_stop(squashed: App) -> None:
    state = squashed.site / "releases" / "1.2.0.toml"
    state.write_text('version = "1.2.0"\nchannel = "stable"\n[requires]\nfrom = "1.1.0"\n')
    squashed.run("publish", "v1.2.0")
    assert squashed.feed("stable").releases[0].requires.from_version == "1.1.0"


def test_moved_tag_is_refused(published: App) -> None:
    before = published.snapshot()
    (published.folder / "app.py").write_text("other contents\n")
    published.git("commit", "-qam", "other")
    published.git("tag", "-f", "v1.0.0")
    result = published.run("publish", "v1.0.0", code=1)
    assert "already published with other contents" in result.output
    assert "new version" in result.output
    assert published.snapshot() == before


def test_other_bytes_in_the_store_are_kept(app: App) -> None:
    app.release("v1.0.0")
    path = app.site / "packages" / "shop-1.0.0.zip"
    path.parent.mkdir()
    path.write_bytes(b"something else")
    assert "is there already with other bytes" in app.run("publish", "v1.0.0", code=1).output
    assert path.read_bytes() == b"something else"
    assert not (app.site / "stable.json").exists()


def test_lost_package_is_built_again(published: App) -> None:
    before = published.snapshot()
    (published.site / "packages" / "shop-1.0.0.zip").unlink()
    published.run("publish", "v1.0.0")
    assert published.snapshot() == before


def test_dry_run_writes_nothing_and_needs_no_key(app: App) -> None:
    app.release("v1.0.0")
    app.put_away("stable", "beta", "alpha", "online", "minisign")
    before = app.snapshot()
    output = app.run("publish", "v1.0.0", "--dry-run").output
    assert "Would publish 1.0.0 (stable)" in output
    assert "stable.json (sequence 1)" in output
    assert app.snapshot() == before


def test_store_outside_of_the_site(app: App, tmp_path: Path) -> None:
    app.release("v1.0.0")
    store = tmp_path / "store"
    assert "store_url" in app.run("publish", "v1.0.0", "--store", str(store), code=2).output
    with (app.folder / "feedgen.toml").open("a") as file:
        file.write('store_url = "https://files.acme.example/shop/"\n')
    app.run("publish", "v1.0.0", "--store", str(store))
    assert app.feed("stable").releases[0].package.urls == ("https://files.acme.example/shop/shop-1.0.0.zip",)
    assert (store / "shop-1.0.0.zip.minisig").is_file()
    assert not (app.site / "packages").exists()
    app.run("verify", "--store", str(store))


def test_moving_the_store_changes_urls_only(published: App, tmp_path: Path) -> None:
    with (published.folder / "feedgen.toml").open("a") as file:
        file.write('store_url = "https://files.acme.example/shop/"\n')
    before = published.feed("stable")
    published.run("publish", "v1.0.0", "--store", str(tmp_path / "store"))
    after = published.feed("stable")
    assert after.sequence == before.sequence + 1
    assert after.releases[0].package.sha256 == before.releases[0].package.sha256
    assert after.releases[0].published == before.releases[0].published


def test_github_needs_a_token(published: App, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_TOKEN", "GH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GITHUB_REPOSITORY", "acme/shop")
    output = published.run("publish", "v1.0.0", "--store", "github", code=2).output
    assert "GITHUB_TOKEN" in output
    assert "Contents: Read and write" in output


@pytest.mark.parametrize(("tag", "code"), [("v9.9.9", 1), ("main", 1), ("1.0.0", 1), ("v1.0.0+local", 1)])
def test_bad_tags(published: App, tag: str, code: int) -> None:
    before = published.snapshot()
    assert "What to do" in published.run("publish", tag, code=code).output
    assert published.snapshot() == before


def test_site_of_another_app(published: App) -> None:
    text = (published.folder / "feedgen.toml").read_text().replace('name = "shop"', 'name = "blog"')
    published.release("v1.1.0", **{"feedgen.toml": text})
    assert "is the stable feed of shop/core" in published.run("publish", "v1.1.0", code=1).output


def test_no_site(app: App) -> None:
    app.release("v1.0.0")
    shutil.rmtree(app.site)
    for command in (["publish", "v1.0.0"], ["refresh"], ["root", "show"]):
        assert "no published site" in app.run(*command, code=1).output


def test_one_writer(published: App) -> None:
    published.release("v1.1.0")
    with site_lock(published.site):
        assert "Another feedgen is working" in published.run("publish", "v1.1.0", code=1).output
    published.run("publish", "v1.1.0")


def test_an_attacker_of_the_site_gets_nothing_signed(published: App) -> None:
    published.release("v1.1.0")
    feed = next((published.site / "feeds").glob("*.stable.json"))
    feed.write_bytes(feed.read_bytes().replace(b"1.0.0", b"6.6.6"))
    before = published.snapshot()
    result = published.run("publish", "v1.1.0", code=1)
    assert "not the feed that was signed" in result.output
    assert published.snapshot() == before


@pytest.mark.parametrize(
    "name", ["1.root.json", "1.targets.json", "2.stable.json", "2.snapshot.json", "timestamp.json"]
)
def test_changed_metadata_is_not_built_upon(published: App, name: str) -> None:
    published.release("v1.1.0")
    path = published.site / "metadata" / name
    path.write_bytes(path.read_bytes().replace(b'"expires":"20', b'"expires":"21'))
    expected = "feedgen.toml pins" if name == "1.root.json" else "is not signed by the keys"
    assert expected in published.run("publish", "v1.1.0", code=1).output


def test_a_site_with_somebody_elses_first_root_is_not_signed(published: App, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    git(folder, "init", "-q")
    other = App(folder, tmp_path / "other-keys")
    other.run("init", "--app", "shop", "--base-url", BASE_URL, "--keys", str(other.keys))
    shutil.rmtree(published.site)
    shutil.copytree(other.site, published.site)
    before = published.snapshot()
    for command in (["publish", "v1.0.0"], ["refresh"], ["root", "show"]):
        assert "feedgen.toml pins" in published.run(*command, code=1).output
    assert published.snapshot() == before


def test_unknown_fields_and_later_additions_survive(published: App) -> None:
    from dataclasses import replace

    publisher = published.publisher()
    feed = published.feed("stable")
    marked = replace(feed.releases[0], critical=True, extra={"x-new": {"a": 1}})
    changed = replace(feed, releases=(marked,), sequence=2, extra={"x-feed": [1]})
    sign_feed(published, "stable", changed)
    publisher.publish("v1.0.0", now=datetime.now(UTC))
    published.release("v1.1.0")
    publisher.publish("v1.1.0", now=datetime.now(UTC))
    kept = published.feed("stable")
    assert kept.extra == {"x-feed": [1]}
    assert kept.releases[1].critical
    assert kept.releases[1].extra == {"x-new": {"a": 1}}


def sign_feed(app: App, channel: str, feed: Feed) -> None:
    from feedgen.publish.site import commit
    from feedgen.publish.writer import SiteWriter
    from feedgen.repository.compose import Change, compose
    from feedgen.repository.state import load

    now = datetime.now(UTC)
    writes = compose(load(app.site), Change(feeds={channel: feed.to_bytes()}), app.ring(), now)
    commit(SiteWriter(app.site), writes, now=now, grace=timedelta(days=7))


# killed


class Killed(BaseException):
    """The end of the process."""


@contextmanager
def killed_at(number: int, site: Path) -> Iterator[list[str]]:
    """The process ends right before the n-th change of the site, with half a file lying about."""
    changes: list[str] = []
    replace, unlink = os.replace, Path.unlink

    def change(target: Path, do: Any) -> None:
        if site not in target.parents:
            do()
            return
        changes.append(target.name)
        if len(changes) == number:
            target.with_name(f".{target.name}.feedgen-tmp").write_bytes(b"half")
            raise Killed
        do()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", lambda a, b: change(Path(b), lambda: replace(a, b)))
        patch.setattr(
            Path, "unlink", lambda self, **k: change(self, lambda: unlink(self, **k)) if self.is_file() else None
        )
        yield changes


def test_killed_at_every_write(published: App, tmp_path: Path) -> None:
    published.release("v1.1.0")
    trust = tmp_path / "trust"
    client(published, trust)
    number, done = 0, False
    while not done:
        number += 1
        copy = App(tmp_path / f"copy-{number}", published.keys)
        shutil.copytree(published.folder, copy.folder)
        try:
            with killed_at(number, copy.site):
                copy.publisher().publish("v1.1.0", now=datetime.now(UTC))
            done = True
        except Killed:
            pass
        warm = tmp_path / f"trust-{number}"
        shutil.copytree(trust, warm)
        seen = client(copy, warm).releases[0].version  # somebody looks before the publisher comes back
        copy.publisher().publish("v1.1.0", now=datetime.now(UTC))
        assert client(copy, warm).releases[0].version == "1.1.0", (number, seen)
        assert not [name for name in copy.snapshot() if "feedgen-tmp" in name]
        if number % 5 == 0:
            copy.run("verify", str(copy.site))
        before = copy.snapshot()
        copy.publisher().publish("v1.1.0", now=datetime.now(UTC))
        assert copy.snapshot() == before
        shutil.rmtree(copy.folder)
    assert number > 12


# pruning


def test_superseded_files_go_after_the_grace_period(published: App, tmp_path: Path) -> None:
    published.release("v1.1.0")
    published.publisher().publish("v1.1.0", now=days_ago(8))
    for path in published.site.rglob("*"):
        if path.is_file():
            os.utime(path, (0, 0))  # what a checkout does to times says nothing
    old = set(published.snapshot())
    published.publisher().publish("v1.1.0", now=days_ago(1.5))
    assert set(published.snapshot()) == old
    result = published.publisher().publish("v1.1.0", now=days_ago(0.5))
    assert "metadata/2.stable.json" in result.pruned
    assert not any("root" in path for path in result.pruned)
    names = set(published.snapshot())
    assert "metadata/1.root.json" in names
    assert len([name for name in names if name.startswith("feeds/")]) == 3
    published.run("verify")
    before = published.snapshot()
    published.publisher().publish("v1.1.0", now=days_ago(0))
    assert published.snapshot() == before


def test_library_errors_are_typed(published: App) -> None:
    published.put_away("online")
    published.release("v1.1.0")
    with pytest.raises(KeyNotFoundError):
        published.publisher().publish("v1.1.0", now=days_ago(0))
    with pytest.raises(PublishError), site_lock(published.site):
        published.publisher().publish("v1.0.0", now=days_ago(0))
    published.git("tag", "-f", "v1.0.0", "v1.1.0")
    shutil.copy(published.keys.parent / "offline" / "online.pem", published.keys)
    with pytest.raises(FeedRegressionError):
        published.publisher().publish("v1.0.0", now=days_ago(0))
