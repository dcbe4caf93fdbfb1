"""Real releases to measure with: wheels from the package index, unpacked, as the trees of an app."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tools.bench.places import HOME

__all__ = ["PAIRS", "SMALL", "Pair", "commit_tree", "git_repository"]

_DATE = "2026-01-20T10:00:00Z"


@dataclass(frozen=True)
class Pair:
    """One project's way from an ``old`` to a ``new`` version."""

    project: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.project} {self.old} → {self.new}"

    @property
    def slug(self) -> str:
        """Its name in paths."""
        return f"{self.project}-{self.old}-{self.new}"

    def tree(self, version: str) -> Path:
        """The unpacked release, downloaded when it is not there yet."""
        home = HOME / "trees" / f"{self.project}-{version}"
        if not home.exists():
            part = home.with_name(f"{home.name}.part")
            shutil.rmtree(part, ignore_errors=True)
            with zipfile.ZipFile(self.wheel(version)) as wheel:
                wheel.extractall(part)
            part.rename(home)
        return home

    def wheel(self, version: str) -> Path:
        """The release as the package index has it."""
        folder = HOME / "wheels" / f"{self.project}-{version}"
        if not list(folder.glob("*.whl")):
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
            wanted = f"{self.project}=={version}"
            subprocess.run([*command, "--only-binary", ":all:", "--dest", str(folder), wanted], check=True)
        return next(folder.glob("*.whl"))


PAIRS = (
    Pair("django", "5.2.1", "5.2.8"),
    Pair("django", "5.1", "5.2"),
    Pair("django", "4.2", "5.2"),
    Pair("wagtail", "7.0.1", "7.0.2"),
    Pair("wagtail", "6.3", "6.4"),
    Pair("django-oscar", "3.2.5", "4.0"),
    Pair("cryptography", "44.0.2", "44.0.3"),
    Pair("notebook", "7.3.3", "7.4.0"),
)
SMALL = PAIRS[1]
"""The one to measure with where one is enough."""


def git_repository(folder: Path) -> Path:
    """An empty repository at ``folder``."""
    folder.mkdir(parents=True)
    _git(folder, "init", "--quiet")
    return folder


def commit_tree(repository: Path, tree: Path, version: str) -> None:
    """Make ``tree`` the repository's next commit, tagged ``v<version>``; its feedgen.toml stays."""
    for entry in repository.iterdir():
        if entry.name not in (".git", "feedgen.toml", ".feedgen"):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    shutil.copytree(tree, repository, dirs_exist_ok=True)
    _git(repository, "add", "--all", "--force", "--", ".", ":!.feedgen")
    _git(repository, "commit", "--quiet", "--message", version)
    _git(repository, "tag", f"v{version}")


def _git(folder: Path, *words: str) -> None:
    environment = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    for role in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{role}_NAME": "bench", f"GIT_{role}_EMAIL": "bench@localhost", f"GIT_{role}_DATE": _DATE}
    subprocess.run(["git", *words], cwd=folder, env=environment, check=True, capture_output=True)
