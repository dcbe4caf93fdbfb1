"""An app on a pretended GitHub, with its workflows as ``feedgen init --github`` writes them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from feedgen.cli import cli
from feedgen.workflow.plan import ENVIRONMENTS
from tests.support.actions import PIN, BranchServer, GitHubLike, make_library, make_python

PASSPHRASE = "correct horse battery staple"


@dataclass
class Hosted:
    """The maintainer's clone, the pretended GitHub, and what Pages serves."""

    clone: Path
    keys: Path
    github: GitHubLike
    pages: BranchServer

    @property
    def site(self) -> Path:
        return self.clone / ".feedgen" / "site"

    def git(self, *arguments: str, where: Path | None = None) -> str:
        done = subprocess.run(
            ["git", "-C", str(where or self.clone), *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def feedgen(self, *arguments: str, code: int | None = 0) -> Result:
        before = Path.cwd()
        os.chdir(self.clone)
        try:
            result = CliRunner().invoke(cli, list(arguments), catch_exceptions=False)
        finally:
            os.chdir(before)
        if code is not None:
            assert result.exit_code == code, result.output
        return result

    def tag(self, tag: str, **files: str) -> None:
        """Commit, tag and push a release."""
        (self.clone / "app.py").write_text(f"VERSION = {tag!r}\n")
        for name, text in files.items():
            (self.clone / name).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", tag)
        self.git("tag", tag)
        self.git("push", "-q", "origin", "main", tag)

    def branch_log(self) -> list[str]:
        return self.git("log", "--format=%s", "gh-pages", where=self.github.bare).splitlines()

    def branch_file(self, path: str) -> str:
        return self.git("show", f"gh-pages:{path}", where=self.github.bare)

    def branch_tip(self) -> str:
        return self.git("rev-parse", "gh-pages", where=self.github.bare)


@pytest.fixture(scope="session")
def runner_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Our project as a runner downloads it, and a Python with the locked dependencies."""
    folder = tmp_path_factory.mktemp("runner")
    return make_library(folder), make_python(folder)


@pytest.fixture(autouse=True)
def maintainer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FEEDGEN_PASSPHRASE", PASSPHRASE)
    for name in ("GITHUB_ACTIONS", "GITHUB_TOKEN", "GH_TOKEN", "GITHUB_OUTPUT", "GITHUB_REPOSITORY"):
        monkeypatch.delenv(name, raising=False)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Maintainer")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "maintainer@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Hosted]:
    """A clone with a remote, before ``feedgen init``."""
    bare, clone = tmp_path / "github" / "acme" / "shop.git", tmp_path / "shop"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", bare], check=True)
    subprocess.run(["git", "clone", "-q", bare, clone], check=True, stderr=subprocess.DEVNULL)
    (clone / "README.md").write_text("shop\n")
    (tmp_path / "scratch").mkdir()
    github = GitHubLike(bare, Path(), Path(), tmp_path / "scratch")
    pages = BranchServer(bare, "gh-pages", github.pages)
    hosted = Hosted(clone, tmp_path / "keys", github, pages)
    hosted.git("symbolic-ref", "HEAD", "refs/heads/main")
    yield hosted
    pages.close()


def set_up(repository: Hosted, runner_files: tuple[Path, Path], *options: str, store: str) -> Hosted:
    """Set the app up to publish from GitHub, as the documentation says, and forget the site folder."""
    repository.github.library, repository.github.python = runner_files
    keys = str(repository.keys)
    arguments = ("--github", "--repository", "acme/shop", "--workflows-at", PIN, "--store", store, *options)
    repository.feedgen("init", "--app", "shop", "--base-url", repository.pages.url, "--keys", keys, *arguments)
    repository.feedgen("site", "push", "-m", "Begin the site")
    repository.git("add", "-A")
    repository.git("commit", "-q", "-m", "Set up")
    repository.git("push", "-q", "origin", "main")
    repository.github.secrets = secrets(repository.keys)
    shutil.rmtree(repository.site)
    return repository


def secrets(keys: Path, environment: str = "release-stable") -> dict[str, str]:
    """What the environment holds: act has no environments, so that a test says which one it plays."""
    names = ENVIRONMENTS[environment]
    return {"FEEDGEN_PASSPHRASE": PASSPHRASE} | {
        f"FEEDGEN_KEY_{name.upper()}": (keys / f"{name}.pem").read_text() for name in names
    }
