"""The command line of ``feedgen build``."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from feedgen.cli.build import build_command
from feedgen.errors import ReleaseNotFoundError
from tests.feedgen_build.repo import Repo, config_text


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    repo = Repo(tmp_path / "repo")
    repo.release("v1.0.0", {"feedgen.toml": config_text(), "a": "a", "old": "x"})
    repo.release("v1.1.0", {"shop/migrations/0001_initial.py": "", "old": None})
    return repo


def run(*arguments: object) -> str:
    result = CliRunner().invoke(build_command, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_json(repo: Repo, tmp_path: Path) -> None:
    said = json.loads(run("v1.1.0", "--repo", repo.path, "--output", tmp_path / "out", "--json"))
    package = Path(said["package"])
    assert package == tmp_path / "out" / "shop-1.1.0.zip"
    assert said["sha256"] == hashlib.sha256(package.read_bytes()).hexdigest()
    assert (said["deleted"], said["migrations"], said["previous"]) == (["old"], ["shop.0001_initial"], "1.0.0")


@pytest.mark.parametrize("check", [True, False])
def test_text(repo: Repo, tmp_path: Path, check: bool) -> None:
    said = run("v1.1.0", "--repo", repo.path, "-o", tmp_path / "out", *(["--check"] if check else []))
    assert ("twice, with equal bytes" in said) is check
    assert "1.1.0 (stable)" in said
    assert "1 deleted since 1.0.0" in said
    assert "new migrations: shop.0001_initial" in said
    assert "note: CHANGELOG.md is missing" in said
    assert (tmp_path / "out/shop-1.1.0.zip").exists()


def test_errors_are_left_to_the_program(repo: Repo) -> None:
    with pytest.raises(ReleaseNotFoundError):
        run("v7.0.0", "--repo", repo.path)
