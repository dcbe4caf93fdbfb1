"""Globs over tree paths, one dialect for every file that has them (docs/formats.md 1.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

__all__ = ["matches_any"]

_Parts = tuple[re.Pattern[str] | None, ...]
"""One matcher per segment; None is ``**``."""


@lru_cache(maxsize=1024)
def _compile(pattern: str) -> _Parts:
    anchored = "/" in pattern.rstrip("/")
    text = pattern.lstrip("/")
    if text.endswith("/"):
        text += "**"
    segments = text.split("/") if anchored else ["**", *text.split("/")]
    return tuple(None if segment == "**" else _compile_segment(segment) for segment in segments)


def _compile_segment(segment: str) -> re.Pattern[str]:
    """Text between two stars matches at its first occurrence or not at all, so no pattern takes long to fail."""
    words = ["".join("." if char == "?" else re.escape(char) for char in word) for word in segment.split("*")]
    first, last = words[0], words[-1]
    if len(words) == 1:
        return re.compile(first, re.DOTALL)
    middle = "".join(f"(?>.*?{word})" for word in words[1:-1] if word)
    return re.compile(f"{first}{middle}.*{last}", re.DOTALL)


def _matches(segments: list[str], parts: _Parts) -> bool:
    """Only the latest ``**`` is ever extended, so the work is bounded by the product of both lengths."""
    at = part = 0
    retry: tuple[int, int] | None = None
    while at < len(segments):
        matcher = parts[part] if part < len(parts) else _NOTHING
        if matcher is None:
            if part == len(parts) - 1:
                return True  # a last ** takes all that is left, and something is
            retry = (at, part)
            part += 1
        elif matcher.fullmatch(segments[at]):
            at, part = at + 1, part + 1
        elif retry is not None:
            retry = (retry[0] + 1, retry[1])
            at, part = retry[0], retry[1] + 1
        else:
            return False
    return part == len(parts)


_NOTHING = re.compile(r"(?!)")


def matches_any(path: str, patterns: Iterable[str]) -> bool:
    """Whether ``path`` (relative, ``/``-separated) matches one of ``patterns``."""
    segments = path.split("/")
    return any(_matches(segments, _compile(pattern)) for pattern in patterns)
