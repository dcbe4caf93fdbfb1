"""Where a site's settings come from: updater.toml, then the environment, then the organisation, which wins.

docs/policy.md describes it to owners. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import field
from typing import Any

from updater.errors import ConfigError
from updater.frozen import frozen
from updater.schema.document import EnvironmentText, Reader
from updater.schema.toml import read_toml

__all__ = ["Settings", "merged", "variables"]

_NAME = re.compile(r"UPDATER_([A-Z]+)_([A-Z0-9_]+)")
"""A variable that stands for a setting: ``UPDATER_BACKUP_MAX_BACKUPS`` is ``max_backups`` of ``[backup]``."""


@frozen
class Settings:
    """What stands where: the text of updater.toml, the variables of the environment that stand for settings, and the
    organisation's files as pairs of path and text, of which a later one wins."""

    text: str
    environment: Mapping[str, str] = field(default_factory=dict)
    organisation: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As a plan keeps it."""
        return {
            "text": self.text,
            "environment": dict(self.environment),
            "organisation": [{"path": path, "text": text} for path, text in self.organisation],
        }

    @classmethod
    def read(cls, reader: Reader) -> Settings:
        """Read it back; what is wrong becomes problems of the reader."""
        files = [(child.text("path"), child.text("text", empty=True)) for child in reader.children("organisation")]
        return cls(reader.text("text", empty=True), reader.text_map("environment"), tuple(files))


def variables(environ: Mapping[str, str], sections: Collection[str]) -> dict[str, str]:
    """Those variables of an environment that stand for a setting in one of ``sections``."""
    return {name: text for name, text in environ.items() if _place(name, sections) is not None}


def merged(settings: Settings, document: str, sections: Collection[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """One table of all, and where each overridden ``section.key`` comes from. Raises ConfigError for broken TOML."""
    table = read_toml(settings.text, document)
    origins: dict[str, str] = {}
    for section, key, value, origin in _overrides(settings, sections):
        there = table.setdefault(section, {})
        if isinstance(there, dict):  # anything else is told by whoever reads it
            there[key] = value
            origins[f"{section}.{key}"] = origin
    return table, origins


def _overrides(settings: Settings, sections: Collection[str]) -> Iterator[tuple[str, str, Any, str]]:
    for name, text in sorted(settings.environment.items()):
        place = _place(name, sections)
        if place is not None:
            yield (*place, EnvironmentText(text), f"the variable {name}")
    for path, text in settings.organisation:
        for section, keys in read_toml(text, path).items():
            if section == "schema":
                continue
            if section not in sections or not isinstance(keys, dict):  # passed over, it would hold nothing back
                raise ConfigError(
                    f"{path}: {section!r} is no section; there are {', '.join(sections)}.",
                    hint="Correct the organisation's file; until then nothing is decided.",
                )
            for key, value in keys.items():
                yield section, key, value, path


def _place(name: str, sections: Collection[str]) -> tuple[str, str] | None:
    match = _NAME.fullmatch(name)
    if match is None or match[1].lower() not in sections:
        return None
    return match[1].lower(), match[2].lower()
