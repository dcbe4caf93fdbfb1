"""What differs between two sets of feeds, in lines for people: pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from updater.schema import CHANNELS, Feed

__all__ = ["describe_changes"]

_LONGEST = 70


def describe_changes(old: Mapping[str, Feed], new: Mapping[str, Feed]) -> tuple[str, ...]:
    """One line for each thing that ``new`` feeds, by channel, would change in ``old`` ones; equal ones are joined."""
    found: dict[str, list[str]] = {}
    for channel in CHANNELS:
        if channel not in new:
            continue
        before = {release.version: release.to_json() for release in old[channel].releases} if channel in old else {}
        for release in new[channel].releases:
            listed = before.get(release.version)
            lines = _member_lines(listed, release.to_json()) if listed is not None else ["is listed"]
            for line in lines:
                found.setdefault(f"{release.version}: {line}", []).append(channel)
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
