"""TOML that people type: an error names the file, the line, the key and the nearest valid key."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from updater.errors import ConfigError, Problem
from updater.schema.document import Reader

__all__ = ["finish_config", "read_toml"]

_HEADER = re.compile(r"\s*\[+\s*([^\]]+?)\s*\]+")
_KEY = re.compile(r"""\s*("[^"]*"|'[^']*'|[A-Za-z0-9_.-]+)\s*=""")


def read_toml(text: str, document: str) -> dict[str, Any]:
    """Parse TOML. Raises ConfigError with the line that is not TOML."""
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


def finish_config(reader: Reader, sections: list[Reader], text: str) -> None:
    """Raise one ConfigError that lists everything wrong in a configuration file, with line numbers."""
    for part in (reader, *sections):
        part.refuse_unknown()
    if not reader.problems:
        return
    lines = _key_lines(text)
    found = [_describe(problem, lines, reader.document) for problem in reader.problems]
    count = f"{len(found)} problem{'s' if len(found) != 1 else ''}"
    raise ConfigError(
        f"{reader.document} has {count}:\n  " + "\n  ".join(found),
        hint="Correct the file; docs/formats.md lists every key with an example.",
    )


def _describe(problem: Problem, lines: dict[str, int], document: str) -> str:
    key = problem.path.removeprefix("$.").removeprefix("$")
    plain = re.sub(r"\[.*", "", key)
    line = next((lines[name] for name in (key, plain, plain.rpartition(".")[0]) if name in lines), None)
    where = f"{document}:{line}" if line else document
    return f"{where}: {key}: {problem.message}" if key else f"{where}: {problem.message}"


def _key_lines(text: str) -> dict[str, int]:
    """Where each dotted key first stands (best effort: values that span lines are not followed)."""
    found: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.split("\n"), start=1):
        if header := _HEADER.match(line):
            section = header[1].replace('"', "").replace("'", "")
            found.setdefault(section, number)
        elif key := _KEY.match(line):
            name = key[1].strip("\"'")
            found.setdefault(f"{section}.{name}" if section else name, number)
    return found
