"""``feedgen init``: what it makes, and what it refuses."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from feedgen.config import template
from tests.feedgen_publish.conftest import BASE_URL, App, git
from updater.schema import PublisherConfig
from updater.trust import fingerprint


@pytest.fixture
def fresh(tmp_path: Path) -> App:
    (tmp_path / "repo").mkdir()
    git(tmp_path / "repo", "init", "-q")
    return App(tmp_path / "repo", tmp_path / "config" / "tagship" / "shop" / "keys")


def test_makes_keys_site_and_settings(fresh: App) -> None:
    result = fresh.run("init", "--app", "shop", "--base-url", BASE_URL.rstrip("/"))
    names = {path.stem for path in fresh.keys.iterdir()}
    assert names == {"root-1", "root-2", "root-3", "stable", "beta", "alpha", "online", "minisign"}
    assert stat.S_IMODE(fresh.keys.stat().st_mode) == 0o700
    for path in fresh.keys.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert (fresh.site / "404.html").read_bytes() == b"404\n"
    assert (fresh.site / ".nojekyll").read_bytes() == b""
    assert (fresh.site / "root.json").read_bytes() == (fresh.site / "metadata" / "1.root.json").read_bytes()
    assert (fresh.folder / ".feedgen" / ".gitignore").read_text() == "*\n"
    config = PublisherConfig.parse((fresh.folder / "feedgen.toml").read_text())
    assert (config.app, config.base_url) == ("shop", BASE_URL)
    digest = fingerprint((fresh.site / "root.json").read_bytes())
    assert f"updater install {BASE_URL}stable.json DIR --root-sha256 {digest}" in result.output
    assert "not been published yet" not in fresh.run("verify").stdout


def test_metadata_is_small_enough_for_a_cheap_check(fresh: App) -> None:
    fresh.run("init", "--app", "shop", "--base-url", BASE_URL)
    bodies = [(fresh.site / name).stat().st_size for name in ("metadata/timestamp.json", "404.html")]
    assert sum(bodies) <= 400


def test_solo_needs_one_of_two_root_keys(fresh: App) -> None:
    assert "Solo" in fresh.run("init", "--app", "shop", "--base-url", BASE_URL, "--solo").output
    assert "1 of 2" in fresh.run("root", "show").output
    assert not (fresh.keys / "root-3.pem").exists()


def test_runs_again_without_harm(fresh: App) -> None:
    fresh.run("init", "--app", "shop", "--base-url", BASE_URL)
    before, keys = fresh.snapshot(), {path: path.read_bytes() for path in fresh.keys.iterdir()}
    result = fresh.run("init", "--app", "shop", "--base-url", BASE_URL, code=2)
    assert "already holds a published site" in result.output
    assert (fresh.snapshot(), {path: path.read_bytes() for path in fresh.keys.iterdir()}) == (before, keys)


def test_keys_are_never_overwritten(fresh: App, tmp_path: Path) -> None:
    fresh.run("init", "--app", "shop", "--base-url", BASE_URL)
    result = fresh.run("init", "--app", "shop", "--base-url", BASE_URL, "--site", str(tmp_path / "other"), code=2)
    assert "already holds keys" in result.output
    assert "restore its site folder" in result.output
    assert not (tmp_path / "other").exists()


def test_existing_settings_are_used_and_kept(fresh: App) -> None:
    text = template("shop", BASE_URL, django=False) + "# mine\n"
    (fresh.folder / "feedgen.toml").write_text(text)
    assert "says 'shop' where --app says 'other'" in fresh.run("init", "--app", "other", code=2).output
    fresh.run("init")
    assert (fresh.folder / "feedgen.toml").read_text() == text


@pytest.mark.parametrize("where", ["inside", "link", "git-file"])
def test_keys_must_not_lie_in_a_repository(fresh: App, tmp_path: Path, where: str) -> None:
    keys = fresh.folder / "deep" / "keys"
    if where == "link":
        (tmp_path / "link").symlink_to(fresh.folder)
        keys = tmp_path / "link" / "keys"
    if where == "git-file":
        (tmp_path / "worktree").mkdir()
        (tmp_path / "worktree" / ".git").write_text("gitdir: elsewhere\n")
        keys = tmp_path / "worktree" / "keys"
    result = fresh.run("init", "--app", "shop", "--base-url", BASE_URL, "--keys", str(keys), code=2)
    assert "git work tree" in result.output
    assert not keys.exists()
    assert not (fresh.folder / "feedgen.toml").exists()
    assert not fresh.site.exists()


@pytest.mark.parametrize("passphrase", ["", "   ", "short"])
def test_weak_passphrase_is_refused(fresh: App, monkeypatch: pytest.MonkeyPatch, passphrase: str) -> None:
    monkeypatch.setenv("FEEDGEN_PASSPHRASE", passphrase)
    result = fresh.run("init", "--app", "shop", "--base-url", BASE_URL, code=2)
    assert "passphrase" in result.output
    assert not fresh.keys.exists()


def test_without_terminal_or_variable(fresh: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEEDGEN_PASSPHRASE")
    assert "FEEDGEN_PASSPHRASE" in fresh.run("init", "--app", "shop", "--base-url", BASE_URL, code=2).output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--app", "Shop!", "--base-url", BASE_URL], "--app 'Shop!' cannot be used"),
        (["--app", "shop", "--base-url", "http://acme.example/"], "--base-url 'http://acme.example/' cannot be used"),
        (["--app", "shop"], "--base-url"),
        (["--base-url", BASE_URL], "--app"),
    ],
)
def test_bad_arguments(fresh: App, arguments: list[str], expected: str) -> None:
    told = fresh.run("init", *arguments, code=2).output
    assert expected in told
    assert "feedgen.toml" not in told, "names a file that does not exist"
    assert not fresh.keys.exists()


def test_outside_of_a_repository(tmp_path: Path) -> None:
    app = App(tmp_path, tmp_path / "keys")
    assert "git init" in app.run("init", "--app", "shop", "--base-url", BASE_URL, code=2).output
    assert "feedgen init" in app.run("publish", "v1.0.0", code=2).output


def test_django_is_recognised(fresh: App) -> None:
    (fresh.folder / "manage.py").write_text("")
    fresh.run("init", "--app", "shop", "--base-url", BASE_URL)
    config = PublisherConfig.parse((fresh.folder / "feedgen.toml").read_text())
    assert config.post_update_commands == ("migrate --noinput", "collectstatic --noinput")
    assert "/media/" in config.preserve
    assert PublisherConfig.parse(template("x", BASE_URL, django=False)).post_update_commands == ()
