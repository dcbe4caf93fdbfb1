"""TOML that people type: an error names the file, the line, the key and the nearest valid key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from updater.errors import ConfigError, Problem, UnsupportedSchemaError, problem_list
from updater.schema.document import Reader

__all__ = ["finish_config", "read_schema", "read_toml"]

_KEY = re.compile(r"""("[^"]*"|'[^']*'|[A-Za-z0-9_.-]+)[ \t]*=""")
_MOST_PARTS = 50
"""Parts of a dotted key: tomllib takes time with the square of their number."""

_QUOTED = re.compile("\"[^\"]*\"|'[^']*'")
_DOTTED = re.compile(r"[\w-]+(?:[ \t]*\.[ \t]*[\w-]+)+")


def read_toml(text: str, document: str) -> dict[str, Any]:
    """Parse TOML. Raises ConfigError with the line that is not TOML."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") >= _MOST_PARTS and _longest_key(line) > _MOST_PARTS:
            raise ConfigError(
                f"{document} is not acceptable TOML: a key of more than {_MOST_PARTS} parts in line {number}",
                hint="No setting lies that deep; text needs quotes.",
            )
    try:
        text.encode("utf-8")
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{document} is not valid TOML: {error}",
            hint="Check quotes, brackets and the '=' on that line; strings need quotes.",
        ) from error
    except (RecursionError, ValueError) as error:  # nested too deep, or a number of thousands of digits
        raise ConfigError(f"{document} is not acceptable TOML: {error}") from error


def _longest_key(line: str) -> int:
    """Parts of the longest dotted key in a line, or of what could be one."""
    found = (match[0].count(".") + 1 for match in _DOTTED.finditer(_QUOTED.sub("q", line)))
    return max(found, default=1)


def read_schema(reader: Reader) -> None:
    """Check ``schema`` of a file that people type. Raises ConfigError for one that a newer version has to read."""
    try:
        reader.schema(default="1.0")
    except UnsupportedSchemaError as error:
        raise ConfigError(str(error), hint=error.hint) from error


def finish_config(
    reader: Reader, sections: list[Reader], text: str, origins: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Raise one ConfigError that lists everything wrong in a configuration file, with line numbers.

    ``origins`` tells of dotted keys that were set elsewhere, and where.
    """
    for part in (reader, *sections):
        part.refuse_unknown()
    if not reader.problems:
        return
    lines = _key_lines(text)
    found = [_describe(problem, lines, reader.document, origins) for problem in reader.problems]
    raise ConfigError(
        problem_list(reader.document, found),
        hint="Correct the file; docs/formats.md lists every key with an example.",
    )


def _describe(problem: Problem, lines: dict[str, int], document: str, origins: Mapping[str, str]) -> str:
    key = problem.path.removeprefix("$.").removeprefix("$")
    plain = re.sub(r"\[.*", "", key)
    if plain in origins:
        return f"{origins[plain]}: {key}: {problem.message}"
    line = next((lines[name] for name in (key, plain, plain.rpartition(".")[0]) if name in lines), None)
    where = f"{document}:{line}" if line else document
    return f"{where}: {key}: {problem.message}" if key else f"{where}: {problem.message}"


def _key_lines(text: str) -> dict[str, int]:
    """Where each dotted key first stands (best effort: values that span lines are not followed)."""
    found: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip()
        if stripped.startswith("["):
            section = stripped.lstrip("[ \t").partition("]")[0].rstrip().replace('"', "").replace("'", "")
            found.setdefault(section, number)
        elif key := _KEY.match(stripped):
            name = key[1].strip("\"'")
            found.setdefault(f"{section}.{name}" if section else name, number)
    return found
