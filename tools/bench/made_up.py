"""Made-up apps of any size, for curves: text that compresses like source code, and releases that differ by so much."""

from __future__ import annotations

import random
from pathlib import Path

__all__ = ["write_app"]

_WORDS = [f"{stem}_{part}" for stem in ("order", "price", "user", "cart", "page", "view") for part in range(200)]
_LINES = 120


def write_app(folder: Path, files: int, *, changed: int = 0) -> Path:
    """An app of ``files`` modules of about 5 kB at ``folder``; ``changed`` of them have a few lines that are new."""
    for number in range(files):
        path = folder / f"part{number % 101:03}" / f"module{number:05}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(_source(number, edited=_is_changed(number, files, changed))), encoding="utf-8")
    return folder


def _is_changed(number: int, files: int, changed: int) -> bool:
    """Spread over the whole app."""
    return (number * changed) // files != ((number + 1) * changed) // files


def _source(number: int, *, edited: bool) -> list[str]:
    rng = random.Random(number)  # noqa: S311 - contents, not secrets
    lines = [f"    {rng.choice(_WORDS)} = {rng.choice(_WORDS)}({rng.randrange(1000)})" for _ in range(_LINES)]
    if edited:
        for line in range(0, _LINES, 30):
            lines[line] = f"    {rng.choice(_WORDS)} = {rng.choice(_WORDS)}(release={rng.randrange(1000)})"
    return [f"def function_{number}():", *lines, ""]
