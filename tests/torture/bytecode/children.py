"""Processes that compile and run a tree, with bytecode on whatever the machine's environment says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["Invalidation", "Loaded", "compile_tree", "load", "python"]

Invalidation = Literal["timestamp", "unchecked-hash", "checked-hash"]
_PROGRAM = Path(__file__).with_name("loaded_code.py")


@dataclass(frozen=True)
class Loaded:
    """What `loaded_code` found in a fresh process; see there."""

    imported: tuple[str, ...]
    loaded: tuple[str, ...]
    stale: tuple[str, ...]
    versions: dict[str, str]


def python(*words: str, cwd: Path, stdin: str = "", prefix: Path | None = None) -> str:
    """Run this Python alone: no site-packages, no environment, bytecode written (below ``prefix`` when given)."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    elsewhere = [] if prefix is None else ["-X", f"pycache_prefix={prefix}"]
    done = subprocess.run(
        [sys.executable, "-I", "-S", *elsewhere, *words],
        cwd=cwd,
        env=environ,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def compile_tree(tree: Path, paths: Collection[str], mode: Invalidation, prefix: Path | None = None) -> None:
    """Compile these modules, as an installer or a first start does."""
    names = "\n".join(str(tree / path) for path in paths)
    python("-m", "compileall", "-q", "-f", "-i", "-", "--invalidation-mode", mode, cwd=tree, stdin=names, prefix=prefix)


def load(tree: Path, modules: Collection[str], apps: Collection[str] = (), prefix: Path | None = None) -> Loaded:
    """Import these modules of ``tree`` in a fresh process."""
    asked = json.dumps({"tree": str(tree), "modules": list(modules), "apps": list(apps)})
    answer = json.loads(python(str(_PROGRAM), cwd=tree, stdin=asked, prefix=prefix))
    return Loaded(tuple(answer["imported"]), tuple(answer["loaded"]), tuple(answer["stale"]), dict(answer["versions"]))
