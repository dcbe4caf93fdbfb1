"""Globs over tree paths, one dialect for every file that has them (docs/formats.md 1.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

__all__ = ["matches_any"]


@lru_cache(maxsize=1024)
def _compile(pattern: str) -> re.Pattern[str]:
    anchored = "/" in pattern.rstrip("/")
    text = pattern.lstrip("/")
    if text.endswith("/"):
        text += "**"
    out = "" if anchored else "(?:.*/)?"
    segments = text.split("/")
    for index, segment in enumerate(segments):
        last = index == len(segments) - 1
        if segment == "**":
            out += ".+" if last else "(?:[^/]+/)*"
        else:
            out += "".join({"*": "[^/]*", "?": "[^/]"}.get(char, re.escape(char)) for char in segment)
            out += "" if last else "/"
    return re.compile(out, re.DOTALL)


def matches_any(path: str, patterns: Iterable[str]) -> bool:
    """Whether ``path`` (relative, ``/``-separated) matches one of ``patterns``."""
    return any(_compile(pattern).fullmatch(path) for pattern in patterns)
