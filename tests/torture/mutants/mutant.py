"""One broken client: a line of the product that is changed, and the tests that have to notice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Mutant", "caught", "check_applies", "copy_project"]

ROOT = Path(__file__).parents[3]
_PARTS = ("updater", "tests", "tools", "examples", "pyproject.toml")
_TIMEOUT = 600


@dataclass(frozen=True)
class Mutant:
    """``old`` stands exactly once in ``file`` and becomes ``new``. ``tests``: arguments for pytest, likeliest first.

    ``survives``: why one may go unnoticed, on some machines; empty for all others.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    survives: str = ""


def copy_project(folder: Path) -> Path:
    """What a test run needs, copied, so that breaking it breaks nothing else."""
    for part in _PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(
                source,
                folder / part,
                ignore=shutil.ignore_patterns("__pycache__", "github-openapi.json"),
                symlinks=True,
            )
        else:
            shutil.copy2(source, folder / part)
    return folder


def check_applies(mutant: Mutant, project: Path = ROOT) -> None:
    """Raise AssertionError unless the line to be broken is there, once: a mutant of what has gone proves nothing."""
    count = (project / mutant.file).read_text(encoding="utf-8").count(mutant.old)
    assert count == 1, f"{mutant.name}: what it breaks stands {count} times in {mutant.file}"


def caught(mutant: Mutant, project: Path) -> bool:
    """Break the copy at ``project``, run the tests that should notice, mend it. Whether one failed."""
    check_applies(mutant, project)
    path = project / mutant.file
    sound = path.read_text(encoding="utf-8")
    path.write_text(sound.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        return any(_fails(project, selection) for selection in mutant.tests)
    finally:
        path.write_text(sound, encoding="utf-8")


def _fails(project: Path, selection: str) -> bool:
    """Whether the tests fail; that none was found, or they could not start, is no catch."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", *selection.split(" ")]
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "TORTURE_"))}
    environ |= {"PYTHONPATH": str(project), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=project, env=environ, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return True  # it hangs: noticed as well
    assert done.returncode in (0, 1), f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.returncode == 1
