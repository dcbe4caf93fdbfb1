"""Changing single values in the owner's updater.toml, and nothing else: comments and order stay."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from updater.errors import ConfigError
from updater.schema.site_config import ComponentConfig, SiteConfig
from updater.trust.names import CHANNELS, FeedLocation, feed_file

__all__ = [
    "EDITABLE",
    "change_setting",
    "feed_url_for",
    "with_component",
    "with_component_enabled",
    "without_component",
]

EDITABLE: dict[str, tuple[str, str]] = {
    "feed_url": ("feed", "url"),
    "max_backups": ("backup", "max_backups"),
    "max_age_days": ("backup", "max_age_days"),
    "edited": ("policy", "edited"),
}
"""What may be changed by a page or a verb, by the name that these use: its section and key. No command is among it."""

_HEADER = re.compile(r"^\s*\[([^\[\]]+)\]\s*(#.*)?$")
_ANY_HEADER = re.compile(r"^\s*\[")


def change_setting(text: str, name: str, value: str | int) -> str:
    """The file with one value changed or added. Raises ConfigError when the result would not be good settings, or would
    say anything else than that."""
    section, key = EDITABLE[name]
    before = SiteConfig.parse(text)
    changed = _write(text, section, key, json.dumps(value))
    after = SiteConfig.parse(changed)
    if after != _with(before, name, value):
        raise ConfigError(
            f"[{section}] {key} cannot be changed here without changing something else.",
            hint="Change it in updater.toml by hand.",
        )
    return changed


def feed_url_for(url: str, channel: str) -> str:
    """The feed of another channel of the same site. Raises ValueError for a channel that there is not."""
    if channel not in CHANNELS:
        raise ValueError(f"{channel!r} is not a channel")
    location = FeedLocation.parse(url)
    return url.replace(location.base_url + feed_file(location.channel), location.base_url + feed_file(channel), 1)


def _with(config: SiteConfig, name: str, value: Any) -> SiteConfig:
    if name in ("max_backups", "max_age_days"):
        return replace(config, backup=replace(config.backup, **{name: value}))
    return replace(config, **{name: value})


def _write(text: str, section: str, key: str, value: str) -> str:
    """Only what is written as most people write it is understood: a header of its own, and the value on one line."""
    lines = text.splitlines(keepends=True)
    start = next((number for number, line in enumerate(lines) if _names(line, section)), None)
    if start is None:
        end = "" if not text or text.endswith("\n") else "\n"
        return f"{text}{end}\n[{section}]\n{key} = {value}\n"
    assignment = re.compile(rf"^(\s*{key}\s*=\s*)(\"[^\"\\]*\"|'[^']*'|[0-9]+|true|false)(\s*(?:#.*)?)$")
    for number in range(start + 1, len(lines)):
        if _ANY_HEADER.match(lines[number]):
            break
        body, end = lines[number].rstrip("\r\n"), lines[number][len(lines[number].rstrip("\r\n")) :]
        found = assignment.match(body)
        if found:
            lines[number] = f"{found[1]}{value}{found[3]}{end}"
            return "".join(lines)
    header = lines[start] if lines[start].endswith("\n") else f"{lines[start]}\n"
    return "".join([*lines[:start], header, f"{key} = {value}\n", *lines[start + 1 :]])


def _names(line: str, section: str) -> bool:
    found = _HEADER.match(line.rstrip("\r\n"))
    return found is not None and re.sub(r"[\s\"']", "", found[1]) == section


def with_component(text: str, name: str, component: ComponentConfig) -> str:
    """The file with a table for a component that it does not name yet. Raises ConfigError as `change_setting`."""
    key = name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)
    values = f"feed = {json.dumps(component.feed_url)}\ndirectory = {json.dumps(component.directory)}\n"
    return _checked(text, f"{text.rstrip()}\n\n[components.{key}]\n{values}", name, component)


def with_component_enabled(text: str, name: str, *, enabled: bool) -> str:
    """The file with that said of a component that it names. Raises ConfigError as `change_setting`."""
    changed = _write(text, f"components.{name}", "enabled", "true" if enabled else "false")
    return _checked(text, changed, name, replace(SiteConfig.parse(text).components[name], enabled=enabled))


def without_component(text: str, name: str) -> str:
    """The file without a component's table; as it is when there is none. Raises ConfigError as `change_setting`."""
    lines = text.splitlines(keepends=True)
    start = next((number for number, line in enumerate(lines) if _names(line, f"components.{name}")), None)
    if start is None:
        return _checked(text, text, name, None)
    end = next((n for n in range(start + 1, len(lines)) if _ANY_HEADER.match(lines[n])), len(lines))
    while end > start + 1 and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1  # what stands above the next table belongs to that
    while start and not lines[start - 1].strip():
        start -= 1
    return _checked(text, "".join((*lines[:start], *lines[end:])), name, None)


def _checked(text: str, changed: str, name: str, component: ComponentConfig | None) -> str:
    before, after = SiteConfig.parse(text), SiteConfig.parse(changed)
    wanted = {key: value for key, value in before.components.items() if key != name}
    if component is not None:
        wanted[name] = component
    if after != replace(before, components=wanted) or dict(after.components) != wanted:
        raise ConfigError(
            f"[components.{name}] cannot be changed here without changing something else.",
            hint="Change it in updater.toml by hand.",
        )
    return changed
