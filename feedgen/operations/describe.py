"""What differs between two sets of feeds, in lines for people: pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from updater.schema import Release

__all__ = ["describe_changes"]

_LONGEST = 70


def describe_changes(changes: Iterable[tuple[str, Release | None, Release]]) -> tuple[str, ...]:
    """One line for each thing that changes about releases, given as channel, how each is listed, and how it shall be.

    Equal lines of several channels are joined.
    """
    found: dict[str, list[str]] = {}
    for channel, old, new in changes:
        for line in ["is listed"] if old is None else _member_lines(old.to_json(), new.to_json()):
            found.setdefault(f"{new.version}: {line}", []).append(channel)
    return tuple(f"{line}  (in {', '.join(channels)})" for line, channels in found.items())


def _member_lines(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    lines = []
    for key in dict.fromkeys((*old, *new)):
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            lines += [f"{key}.{line}" for line in _member_lines(before, after)]
        elif before in (None, [], {}):
            lines.append(f"{key} becomes {_shown(after)}")
        elif after in (None, [], {}):
            lines.append(f"{key} goes away, was {_shown(before)}")
        else:
            lines.append(f"{key} becomes {_shown(after)}, was {_shown(before)}")
    return lines


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
