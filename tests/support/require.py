"""Programs that some tests need: a machine without them skips those tests loudly, CI fails."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

__all__ = ["give_up", "require", "strict"]

_ALSO_LOOK_IN = ("/usr/sbin", "/sbin", "/usr/lib/postgresql/*/bin")


def strict() -> bool:
    """Whether a missing program is a failure: under CI nothing may be skipped by accident."""
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


def require(program: str, package: str) -> str:
    """The path of ``program``; without it the calling test is skipped, or fails when CI is set.

    ``package`` is what a person would install to get it (its Debian name).
    """
    found = shutil.which(program) or _elsewhere(program)
    if not found:
        give_up(f"REQUIRED PROGRAM MISSING: {program} (install the package {package!r})")
    return found


def give_up(message: str) -> NoReturn:
    """Skip the calling test because this machine cannot run it, or fail it when CI is set."""
    if strict():
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def _elsewhere(program: str) -> str | None:
    """Debian keeps the PostgreSQL server's programs, among others, outside PATH. The newest version wins."""
    for pattern in _ALSO_LOOK_IN:
        for folder in sorted(Path("/").glob(pattern.lstrip("/")), reverse=True):
            if found := shutil.which(program, path=str(folder)):
                return found
    return None
