"""Checks before the first change: would every path be writable, and is there room? (standard library only)"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from updater.errors import DiskSpaceError, PreflightError

__all__ = ["MARGIN", "Finding", "check_space", "preflight", "unwritable"]

MARGIN = 16 * 2**20
"""Bytes that must stay free besides what is computed: journals, history, bytecode."""


@dataclass(frozen=True)
class Finding:
    """What one check found. ``advice`` says what to do about it; empty when all is well."""

    check: str
    level: Literal["ok", "warning", "error"]
    message: str
    advice: str = ""


def unwritable(tree: Path, state: Path, paths: Iterable[str]) -> list[str]:
    """Sentences about the directories of ``paths`` in which this process may not rename files from ``state``."""
    problems = []
    device = state.stat().st_dev
    folders = sorted({str(_existing((tree / path).parent)) for path in paths})
    for folder in map(Path, folders):
        if not os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
            problems.append(f"{folder} is not writable for this user")
        elif folder.stat().st_dev != device:
            problems.append(f"{folder} is on another filesystem than {state}: files cannot be renamed into it")
    return problems


def check_space(directory: Path, needed: int, what: str) -> None:
    """Raise DiskSpaceError unless the filesystem of ``directory`` has ``needed`` bytes and a margin free."""
    available = shutil.disk_usage(_existing(directory)).free
    if available < needed + MARGIN:
        raise DiskSpaceError(
            f"Not enough disk space for {what}: {_mib(needed + MARGIN)} needed, {_mib(available)} free at {directory}.",
            needed=needed + MARGIN,
            available=available,
            hint="Free some space, or remove old restore points: `updater backup list`, `updater backup delete ID`.",
        )


def preflight(tree: Path, state: Path, paths: Iterable[str], needed: int) -> None:
    """Refuse an update that could not be carried through. Raises PreflightError (DiskSpaceError)."""
    problems = unwritable(tree, state, paths)
    if problems:
        shown = problems[:10] + ([f"and {len(problems) - 10} more"] if len(problems) > 10 else [])
        raise PreflightError(
            "The update would not be able to write everywhere:\n  " + "\n  ".join(shown),
            hint="Run it as the user who owns these directories (for example `sudo -u OWNER updater update`).",
        )
    check_space(state, needed, "staging the update")


def _existing(path: Path) -> Path:
    while not path.is_dir():
        path = path.parent
    return path


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
