"""A small app in a git repository, set up for publishing; made once, copied for each test."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from feedgen.cli import cli
from feedgen.config import load_project
from feedgen.keys import KeyRing
from feedgen.publish.publisher import Publisher
from feedgen.publish.store import local_store
from updater.schema import Feed

PASSPHRASE = "correct horse battery staple"
BASE_URL = "https://acme.example/shop/"


@dataclass
class App:
    """One app's repository, site and keys."""

    folder: Path
    keys: Path

    @property
    def site(self) -> Path:
        return self.folder / ".feedgen" / "site"

    def run(self, *arguments: str, code: int | None = 0) -> Result:
        """Run ``feedgen`` in the repository; ``code`` is the exit code it must have."""
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            result = CliRunner().invoke(cli, list(arguments), catch_exceptions=False)
        finally:
            os.chdir(before)
        assert "Traceback" not in result.output
        if code is not None:
            assert result.exit_code == code, result.output
        return result

    def git(self, *arguments: str) -> None:
        git(self.folder, *arguments)

    def release(self, tag: str, **files: str) -> None:
        """Commit files and tag them."""
        (self.folder / "app.py").write_text(f"VERSION = {tag!r}\n")
        for name, text in files.items():
            (self.folder / name).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", tag)
        self.git("tag", tag)

    def feed(self, channel: str) -> Feed:
        return Feed.parse((self.site / f"{channel}.json").read_bytes())

    def snapshot(self) -> dict[str, bytes]:
        """Every file of the site, by path."""
        files = sorted(path for path in self.site.rglob("*") if path.is_file())
        return {path.relative_to(self.site).as_posix(): path.read_bytes() for path in files}

    def ring(self) -> KeyRing:
        return KeyRing(self.keys, lambda _what: PASSPHRASE, {})

    def publisher(self) -> Publisher:
        config = load_project(self.folder).config
        return Publisher(self.folder, config, self.site, local_store(None, self.site, config), self.ring())

    def put_away(self, *names: str) -> Path:
        """Move keys to where they are not found; returns that folder."""
        away = self.keys.parent / "offline"
        away.mkdir(exist_ok=True)
        for name in names:
            shutil.move(self.keys / f"{name}.pem", away / f"{name}.pem")
        return away


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@acme.example", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def days_ago(days: float) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(days=days)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this machine's keys and settings; no waiting for its disk either."""
    monkeypatch.setattr(os, "fsync", lambda _handle: None)
    for name in list(os.environ):
        if name.startswith("FEEDGEN_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FEEDGEN_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a commit, and the one ``feedgen init`` of the whole run."""
    top = tmp_path_factory.mktemp("made")
    (top / "repo").mkdir()
    git(top / "repo", "init", "-q", "-b", "main")
    (top / "repo" / "app.py").write_text("VERSION = 'none'\n")
    patch = pytest.MonkeyPatch()
    patch.setenv("FEEDGEN_PASSPHRASE", PASSPHRASE)
    App(top / "repo", top / "keys").run("init", "--app", "shop", "--base-url", BASE_URL, "--keys", str(top / "keys"))
    patch.undo()
    git(top / "repo", "add", "-A")
    git(top / "repo", "commit", "-q", "-m", "start")
    return top


@pytest.fixture
def app(made: Path, tmp_path: Path) -> App:
    """An app that is set up and has published nothing."""
    shutil.copytree(made / "repo", tmp_path / "repo")
    keys = tmp_path / "config" / "tagship" / "shop" / "keys"
    shutil.copytree(made / "keys", keys)
    return App(tmp_path / "repo", keys)


@pytest.fixture(scope="session")
def made_published(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with 1.0.0 published."""
    top = tmp_path_factory.mktemp("published")
    shutil.copytree(made, top, dirs_exist_ok=True)
    app = App(top / "repo", top / "keys")
    app.release("v1.0.0")
    patch = pytest.MonkeyPatch()
    patch.setenv("FEEDGEN_PASSPHRASE", PASSPHRASE)
    app.run("publish", "v1.0.0", "--keys", str(top / "keys"))
    patch.undo()
    return top


@pytest.fixture
def published(made_published: Path, tmp_path: Path) -> Iterator[App]:
    """An app with 1.0.0 published."""
    shutil.copytree(made_published / "repo", tmp_path / "repo")
    keys = tmp_path / "config" / "tagship" / "shop" / "keys"
    shutil.copytree(made_published / "keys", keys)
    yield App(tmp_path / "repo", keys)
