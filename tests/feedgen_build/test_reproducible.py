"""The same tag gives the same bytes: on other machines, in other clones, under other settings and Pythons."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from feedgen.source import git
from tests.feedgen_build.repo import Repo, config, small
from tests.support.require import strict

ROOT = Path(__file__).resolve().parents[2]
BUILD = """
import sys
from pathlib import Path
from feedgen.build import build_release
from updater.schema import PublisherConfig
text = '[app]\\nname = "shop"\\n[publish]\\nbase_url = "https://acme.example/"\\n'
print(build_release(Path(sys.argv[1]), "v1.0.0", Path(sys.argv[2]), PublisherConfig.parse(text)).sha256)
"""


def build_in_process(python: Path | str, repo: Path, output: Path, *, umask: int = 0o022, **environment: str) -> str:
    done = subprocess.run(
        [python, "-c", BUILD, repo, output],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
        umask=umask,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def clone(source: Path, target: Path, *options: str) -> Path:
    subprocess.run(["git", *options, "clone", "--quiet", str(source), str(target)], check=True, capture_output=True)
    return target


@pytest.mark.parametrize(
    ("umask", "environment"),
    [
        (0o077, {"LC_ALL": "C", "TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "1"}),
        (0o000, {"LC_ALL": "tr_TR.UTF-8", "TZ": "America/Los_Angeles", "PYTHONUTF8": "0", "PYTHONHASHSEED": "2"}),
    ],
)
def test_locale_time_zone_umask_and_hash_seed(tmp_path: Path, umask: int, environment: dict[str, str]) -> None:
    repo = small(tmp_path / "repo")
    expected = repo.build("v1.0.0", tmp_path / "here").sha256
    assert build_in_process(sys.executable, repo.path, tmp_path / "there", umask=umask, **environment) == expected


def test_a_fresh_clone_with_converted_line_endings_and_other_times(tmp_path: Path) -> None:
    repo = small(tmp_path / "repo")
    expected = repo.build("v1.0.0", tmp_path / "a").sha256
    converted = clone(repo.path, tmp_path / "clone", "-c", "core.autocrlf=true", "-c", "core.eol=crlf")
    subprocess.run(["git", "-C", converted, "config", "core.autocrlf", "true"], check=True)
    assert b"\r\n" in (converted / "catalog/models.py").read_bytes()
    for path in converted.rglob("*.py"):
        os.utime(path, (1, 1))
    assert Repo.build(_at(converted), "v1.0.0", tmp_path / "b").sha256 == expected
    bare = clone(repo.path, tmp_path / "bare", "-c", "core.bare=true")
    assert Repo.build(_at(bare), "v1.0.0", tmp_path / "c").sha256 == expected


def _at(path: Path) -> Repo:
    repo = object.__new__(Repo)
    repo.path = path
    return repo


def test_the_order_in_which_git_lists_things(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = small(tmp_path / "repo")
    repo.release("v1.1.0", {"catalog/models.py": None, "static/noise.bin": None, "a/migrations/0002_b.py": "x = 1"})
    expected = repo.build("v1.1.0", tmp_path / "a")
    assert expected.manifest.deleted == ("catalog/models.py", "static/noise.bin")
    tree, tags = git.Repository.tree, git.Repository.tags_merged_into
    chance = random.Random(7)
    monkeypatch.setattr(git.Repository, "tree", lambda *a: chance.sample(found := tree(*a), len(found)))
    monkeypatch.setattr(git.Repository, "tags_merged_into", lambda *a: tags(*a)[::-1])
    assert repo.build("v1.1.0", tmp_path / "b").sha256 == expected.sha256


def test_building_from_a_folder_below_the_top(tmp_path: Path) -> None:
    repo = small(tmp_path / "repo")
    (repo.path / "catalog").mkdir()
    expected = repo.build("v1.0.0", tmp_path / "a").sha256
    assert Repo.build(_at(repo.path / "catalog"), "v1.0.0", tmp_path / "b", config()).sha256 == expected


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_other_pythons(tmp_path: Path, version: str) -> None:
    repo = small(tmp_path / "repo")
    expected = repo.build("v1.0.0", tmp_path / "here").sha256
    environment = tmp_path / "venv"
    subprocess.run([_python(version), "-m", "venv", environment], check=True, capture_output=True)
    python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
    wanted = ["deflate==0.9.0", "packaging>=24.0", "backports.zstd>=1.0"]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True, capture_output=True)
    assert build_in_process(python, repo.path, tmp_path / "there") == expected


def _python(version: str) -> str:
    """An interpreter of that version: on PATH, or among those that pyenv has. Skipped loudly; a failure under CI."""
    for candidate in _candidates(version):
        version_of = "import sys; print('%d.%d' % sys.version_info[:2])"
        probe = _say(candidate, "-c", version_of)
        if probe == version:
            return candidate
    message = f"REQUIRED PROGRAM MISSING: python{version} (on PATH or in pyenv)"
    if strict():
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def _candidates(version: str) -> list[str]:
    found = [path] if (path := shutil.which(f"python{version}")) else []
    if pyenv := shutil.which("pyenv"):
        listing = _say(pyenv, "versions", "--bare").split()
        for name in sorted((name for name in listing if name.startswith(version + ".")), reverse=True):
            prefix = _say(pyenv, "prefix", name)
            found.append(str(Path(prefix, "bin", "python")))
    return found


def _say(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
