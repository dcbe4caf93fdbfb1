"""docs/key-leak.md, word by word: with a client that knew the site before and one that starts from the first root."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.feedgen_workflows.conftest import Hosted
from tests.feedgen_workflows.words import commands, follow

pytestmark = pytest.mark.slow


class Client:
    """A site, and the client's own command."""

    def __init__(self, hosted: Hosted, folder: Path) -> None:
        found = re.search(r'root_sha256 = "([0-9a-f]{64})"', (hosted.clone / "feedgen.toml").read_text())
        assert found
        self.folder = folder
        self.run("install", hosted.pages.url + "stable.json", folder, "--root-sha256", found[1], "--yes")

    def run(self, *arguments: str | Path, code: int = 0) -> str:
        command = [sys.executable, "-m", "updater", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def offered(self) -> str | None:
        answer = json.loads(self.run("check", "--site", self.folder, "--json"))
        return answer["latest_version"] if answer["update_available"] else None

    def update(self) -> str:
        self.run("update", "--site", self.folder, "--yes")
        return (self.folder / "app.py").read_text()


@pytest.fixture
def published(repository: Hosted, tmp_path: Path) -> Hosted:
    """1.0.0 is out; the keys are where the commands look for them."""
    repository.keys = tmp_path / ".config" / "tagship" / "shop" / "keys"
    repository.feedgen("init", "--app", "shop", "--base-url", repository.pages.url)
    repository.tag("v1.0.0")
    repository.feedgen("publish", "v1.0.0")
    repository.feedgen("site", "push", "-m", "Begin the site")
    return repository


def drill(hosted: Hosted, name: str) -> None:
    for block in commands("key-leak.md", "drill", name):
        follow(block, hosted.clone)


def burgled(hosted: Hosted, tmp_path: Path) -> Hosted:
    """A thief's clone, with everything that CI has: its keys, and the right to push."""
    thief = Hosted(tmp_path / "thief", tmp_path / "stolen", hosted.github, hosted.pages)
    subprocess.run(["git", "clone", "-q", hosted.github.bare, thief.clone], check=True)
    thief.keys.mkdir()
    for name in ("stable", "beta", "alpha", "online", "minisign"):
        shutil.copy(hosted.keys / f"{name}.pem", thief.keys)
    thief.feedgen("site", "pull")
    (thief.clone / "app.py").write_text("EVIL = True\n")
    thief.git("commit", "-q", "-am", "evil")
    thief.git("tag", "v6.6.6")
    return thief


def test_leaked_ci_key(published: Hosted, tmp_path: Path) -> None:
    warm, victim = Client(published, tmp_path / "warm"), Client(published, tmp_path / "victim")
    thief = burgled(published, tmp_path)
    thief.feedgen("publish", "v6.6.6", "--keys", str(thief.keys))
    thief.feedgen("site", "push", "-m", "Totally normal")
    assert warm.offered() == "6.6.6", "the thief has the keys, so this works"
    assert "EVIL" in victim.update()

    (published.clone / "app.py").write_text("VERSION = 'v6.6.7'\n")
    published.git("commit", "-q", "-am", "Clean")
    drill(published, "leaked-ci-key")

    assert "6.6.7" in warm.update()
    assert "6.6.7" in victim.update()
    assert "6.6.7" in (Client(published, tmp_path / "cold").folder / "app.py").read_text()
    thief.feedgen("site", "pull", "--discard")
    thief.git("tag", "v6.6.8")
    refused = thief.feedgen("publish", "v6.6.8", "--keys", str(thief.keys), code=1)
    assert "not at hand" in refused.output or "another key" in refused.output


def test_lost_ci_key(published: Hosted, tmp_path: Path) -> None:
    warm = Client(published, tmp_path / "warm")
    (published.keys / "online.pem").unlink()
    drill(published, "lost-ci-key")
    assert (published.keys / "online-2.pem").is_file()
    published.tag("v1.1.0")
    published.feedgen("publish", "v1.1.0")
    published.feedgen("site", "push")
    assert "1.1.0" in warm.update()
    assert "1.1.0" in (Client(published, tmp_path / "cold").folder / "app.py").read_text()


def test_lost_root_key(published: Hosted, tmp_path: Path) -> None:
    warm = Client(published, tmp_path / "warm")
    (published.keys / "root-1.pem").unlink()
    drill(published, "lost-root-key")
    shown = published.feedgen("root", "show").output
    assert "2 of 3" in shown
    assert "root-1 " not in shown
    (published.keys / "root-2.pem").unlink()  # the new key counts: with root-3 it is two again
    published.feedgen("root", "rotate", "--role", "stable")
    published.tag("v1.1.0")
    published.feedgen("publish", "v1.1.0")
    published.feedgen("site", "push")
    assert "1.1.0" in warm.update()
    assert "1.1.0" in (Client(published, tmp_path / "cold").folder / "app.py").read_text()


def test_too_few_root_keys(published: Hosted) -> None:
    for name in ("root-1", "root-2"):
        (published.keys / f"{name}.pem").unlink()
    before = published.branch_tip()
    said = published.feedgen("root", "rotate", "--role", "online").output
    assert "not published yet" in said
    published.feedgen("root", "discard")
    published.feedgen("site", "push")
    assert published.branch_tip() == before
    published.tag("v1.1.0")
    published.feedgen("publish", "v1.1.0")
