"""Reading documents at the boundary: every problem at once, each with its JSON path; unknown fields kept.

A `Reader` walks one object. Its methods return a usable value even when they note a problem, so that one pass finds
them all; `Reader.finish` then raises. Source of the rules: docs/formats.md section 1.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

from updater.errors import Problem, SchemaError, UnsupportedSchemaError, shortened

__all__ = ["EnvironmentText", "Extra", "Reader", "dump_json", "format_time", "parse_json", "parse_time"]

Extra = Mapping[str, Any]
"""Fields of a document that this version does not know, kept for writing it back."""

SUPPORTED_MAJOR = 1
_SCHEMA = re.compile(r"(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_DEPTH = 64
_SHOWN = 300
"""Characters of a path, or of a sentence about a value, that people read."""

_MOST_PROBLEMS = 1000
"""Problems that are collected: a document of millions of mistakes must not fill the memory with their descriptions."""

_LONGEST = 1e9
"""The largest number of seconds, or bytes per second, that a setting may hold: no clock or timer overflows on it."""


def parse_time(text: str) -> datetime:
    """RFC 3339 in UTC with whole seconds (``2026-01-20T10:00:00Z``) as an aware datetime. Raises ValueError."""
    if not _TIME.fullmatch(text):
        raise ValueError("must be a UTC time such as 2026-01-20T10:00:00Z")
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise ValueError(f"is not a time: {error}") from None


def format_time(moment: datetime) -> str:
    """The one way a time is written: RFC 3339, UTC, whole seconds."""
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def parse_json(data: bytes, document: str) -> dict[str, Any]:
    """Decode one JSON object, strictly: UTF-8, no duplicate keys, finite numbers, whole characters, bounded depth.

    ``document`` names it in errors. Raises SchemaError.
    """

    def refuse(message: str) -> NoReturn:
        raise SchemaError(document, [Problem("$", message)])

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
            refuse(f"the key {twice!r} stands twice in one object")
        return found

    def no_constant(name: str) -> NoReturn:
        refuse(f"{name} is not JSON")

    def finite(digits: str) -> float:
        number = float(digits)
        if not math.isfinite(number):
            refuse(f"the number {digits[:40]} is too large")
        return number

    try:
        text = data.decode("utf-8")
        value = json.loads(text, object_pairs_hook=unique, parse_constant=no_constant, parse_float=finite)
    except UnicodeDecodeError as error:
        raise SchemaError(document, [Problem("$", f"is not UTF-8 (byte {error.start})")]) from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise SchemaError(document, [Problem("$", f"is not JSON: {error.msg} ({where})")]) from error
    except (RecursionError, ValueError) as error:  # nested too deep, or a number of thousands of digits
        raise SchemaError(document, [Problem("$", f"is not acceptable JSON: {error}")]) from error
    if not isinstance(value, dict):
        refuse(f"must be an object, is {_kind(value)}")
    problems = _judge(value)
    if problems:
        raise SchemaError(document, problems)
    return value


def dump_json(value: Mapping[str, Any], *, indent: int | None = 2, ascii: bool = False) -> bytes:  # noqa: A002
    """The bytes of a document: UTF-8, keys in the given order, a final newline. Same value, same bytes.

    ``ascii``: for our own records, which must also hold names of files that are not UTF-8 (as escapes).
    """
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, ensure_ascii=ascii, indent=indent, separators=separators, allow_nan=False)
    return text.encode("utf-8", "strict") + b"\n"


def _judge(value: Any) -> list[Problem]:
    """What no field of any document may hold, known or not: it could not be written back.

    One iterator for each level, and paths made for problems alone: memory does not grow with the document.
    """
    problems: list[Problem] = []
    levels: list[Iterator[tuple[Any, Any]]] = [iter([("$", value)])]
    names: list[str] = []
    while levels and len(problems) < _MOST_PROBLEMS:
        for key, child in levels[-1]:
            if isinstance(key, str) and _has_surrogate(key):
                problems.append(Problem("".join(names), f"the key {key!r} holds a lone surrogate, which is not text"))
            elif isinstance(child, str) and _has_surrogate(child):
                problems.append(Problem("".join(names) + _step(key), "holds a lone surrogate, which is not text"))
            elif isinstance(child, dict | list):
                if len(levels) > _MAX_DEPTH:
                    return [Problem("$", f"is nested more than {_MAX_DEPTH} levels deep")]
                names.append(_step(key) if names else "$")
                levels.append(iter(child.items()) if isinstance(child, dict) else enumerate(child))
                break
        else:
            levels.pop()
            del names[len(levels) - 1 :]
    return problems


def _step(key: str | int) -> str:
    return f".{key}" if isinstance(key, str) else f"[{key}]"


def _has_surrogate(text: str) -> bool:
    return not text.isascii() and _SURROGATE.search(text) is not None


def _kind(value: Any) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "true or false",
        int: "a number",
        float: "a number",
        type(None): "null",
    }
    return names.get(type(value), "a date or time")


class EnvironmentText(str):
    """A setting from the environment: text, which reads as whatever its key needs (docs/policy.md)."""

    __slots__ = ()

    def read_as(self, kind: type) -> Any:
        """The value in TOML's notation when that is of this kind; otherwise the text."""
        if kind is str:
            return str(self)
        import tomllib  # of no use to documents that are not settings

        try:
            value = tomllib.loads(f"x = {self}")["x"]
        except (ValueError, RecursionError):
            return str(self)
        return value if isinstance(value, kind) else str(self)


class Reader:
    """One object of a document, and the list of problems it shares with the readers of its children."""

    def __init__(
        self,
        value: Mapping[str, Any],
        document: str,
        *,
        path: str = "$",
        problems: list[Problem] | None = None,
    ) -> None:
        self.document = document
        self.path = path
        self.problems: list[Problem] = [] if problems is None else problems
        self._value = value
        self._known: list[str] = []

    # reporting

    def problem(self, key: str, message: str) -> None:
        """Note that ``key`` of this object is wrong. Values that it quotes are shortened."""
        if len(self.problems) < _MOST_PROBLEMS:
            path = f"{self.path}.{key}" if key else self.path
            self.problems.append(Problem(shortened(path, _SHOWN), shortened(message, _SHOWN)))

    def finish(self, *, hint: str = "") -> None:
        """Raise SchemaError when anything was wrong, here or in a child."""
        if self.problems:
            raise SchemaError(self.document, self.problems, hint=hint)

    def extra(self) -> Extra:
        """The fields nobody asked for, to be written back as they are."""
        return {key: value for key, value in self._value.items() if key not in self._known}

    def refuse_unknown(self) -> None:
        """For files that people type: an unknown key is a typo; name the nearest valid one."""
        for key in self.extra():
            if len(self.problems) >= _MOST_PROBLEMS:
                return
            near = difflib.get_close_matches(key, self._known, n=1, cutoff=0.5) if len(key) < _SHOWN else []
            advice = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(sorted(self._known))}"
            self.problem(key, f"unknown key; {advice}")

    # reading

    def schema(self, *, default: str | None = None) -> str:
        """Read ``schema`` and refuse a newer major at once: nothing else in the document can be judged then."""
        text = self.text("schema", default=default)
        match = _SCHEMA.fullmatch(text)
        if not match:
            if text:
                self.problem("schema", 'must be "MAJOR.MINOR", such as "1.0"')
            return "1.0"
        if int(match[1]) < SUPPORTED_MAJOR:
            self.problem("schema", f"is {text}, which was never published; this version reads {SUPPORTED_MAJOR}.x")
        if int(match[1]) > SUPPORTED_MAJOR:
            raise UnsupportedSchemaError(
                self.document,
                [Problem("$.schema", f"is {text}; this version reads {SUPPORTED_MAJOR}.x")],
                hint="Update Tagship itself first (pip install --upgrade tagship), then try again.",
            )
        return text

    def _get(self, key: str, *, required: bool) -> Any:
        self._known.append(key)
        value = self._value.get(key)
        if value is None and required:
            self.problem(key, "is null" if key in self._value else "is missing")
        return value

    def _typed(self, key: str, kind: type, name: str, *, required: bool) -> Any:
        value = self._get(key, required=required)
        if value is None:
            return None
        if isinstance(value, EnvironmentText):
            value = value.read_as(kind)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.problem(key, f"must be {name}, is {_kind(value)}")
            return None
        return value

    def text(
        self,
        key: str,
        *,
        default: str | None = None,
        check: Callable[[str], None] | None = None,
        empty: bool = False,
    ) -> str:
        """A string, required unless a default is given. ``check`` raises ValueError to refuse it."""
        value = self._typed(key, str, "a string", required=default is None)
        if value is None:
            return default or ""
        return self._checked(key, value, check, empty=empty)

    def optional_text(self, key: str, *, check: Callable[[str], None] | None = None) -> str | None:
        """A string, or None when absent or null."""
        value = self._typed(key, str, "a string", required=False)
        return None if value is None else self._checked(key, value, check, empty=False)

    def _checked(self, key: str, value: str, check: Callable[[str], None] | None, *, empty: bool) -> str:
        if not value and not empty:
            self.problem(key, "is empty")
            return value
        if "\0" in value:
            self.problem(key, "holds a NUL character")
            return ""
        try:
            if check is not None and value:
                check(value)
        except ValueError as error:
            self.problem(key, str(error))
        return value

    def choice(self, key: str, choices: Iterable[str], *, default: str | None = None) -> str:
        """One of a few strings."""
        allowed = list(choices)

        def check(value: str) -> None:
            if value not in allowed:
                near = difflib.get_close_matches(value, allowed, n=1) if len(value) < _SHOWN else []
                advice = f"; did you mean {near[0]!r}?" if near else ""
                raise ValueError(f"must be one of {', '.join(allowed)}, is {value!r}{advice}")

        return self.text(key, default=default, check=check)

    def integer(self, key: str, *, default: int | None = None, minimum: int = 0, maximum: int = 2**63 - 1) -> int:
        """A whole number within bounds, required unless a default is given."""
        value = self._typed(key, int, "a whole number", required=default is None)
        if value is None:
            return minimum if default is None else default
        if not minimum <= value <= maximum:
            limits = f"at least {minimum}" if maximum == 2**63 - 1 else f"from {minimum} to {maximum}"
            self.problem(key, f"must be {limits}, is {value if value.bit_length() < _SHOWN else 'far from that'}")
            return minimum
        return int(value)

    def number(self, key: str, *, default: float, minimum: float = 0.0) -> float:
        """A number up to 10**9, such as a duration in seconds."""
        value = self._get(key, required=False)
        if value is None:
            return default
        if isinstance(value, EnvironmentText):
            value = value.read_as(int | float)  # type: ignore[arg-type]
        if isinstance(value, bool) or not isinstance(value, int | float) or not minimum <= value <= _LONGEST:
            self.problem(key, f"must be a number from {minimum:g} to {_LONGEST:.0f}")
            return default
        return float(value)

    def has(self, key: str) -> bool:
        """Whether ``key`` is there and not null."""
        return self._value.get(key) is not None

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false."""
        value = self._typed(key, bool, "true or false", required=False)
        return default if value is None else bool(value)

    def optional_flag(self, key: str) -> bool | None:
        """True, false, or None for "not known"."""
        value = self._typed(key, bool, "true, false or null", required=False)
        return None if value is None else bool(value)

    def time(self, key: str) -> datetime:
        """A required time."""
        moment = self.optional_time(key, required=True)
        return moment or datetime(1970, 1, 1, tzinfo=UTC)

    def optional_time(self, key: str, *, required: bool = False) -> datetime | None:
        """A time, or None when absent."""
        value = self._typed(key, str, "a string", required=required)
        if value is None:
            return None
        try:
            return parse_time(value)
        except ValueError as error:
            self.problem(key, str(error))
            return None

    def texts(
        self, key: str, *, check: Callable[[str], None] | None = None, minimum: int = 0, empty: bool = False
    ) -> tuple[str, ...]:
        """A list of strings (``empty``: of which some may be); empty when absent and nothing is required."""
        found = []
        for index, value in self._items(key, minimum=minimum):
            if isinstance(value, str):
                found.append(self._checked(f"{key}[{index}]", value, check, empty=empty))
            else:
                self.problem(f"{key}[{index}]", f"must be a string, is {_kind(value)}")
        return tuple(found)

    def text_map(self, key: str) -> dict[str, str]:
        """An object whose values are strings; empty when absent."""
        value = self._typed(key, dict, "an object", required=False) or {}
        for name, text in value.items():
            if not isinstance(text, str):
                self.problem(f"{key}.{name}", f"must be a string, is {_kind(text)}")
            elif "\0" in text:
                self.problem(f"{key}.{name}", "holds a NUL character")
        return {name: text for name, text in value.items() if isinstance(text, str)}

    def keys(self, *, check: Callable[[str], None]) -> tuple[str, ...]:
        """The names in an object that maps names to values. ``check`` raises ValueError to refuse one."""
        for key in self._value:
            self._checked(key, key, check, empty=True)
        return tuple(self._value)

    def child(self, key: str, *, required: bool = True) -> Reader | None:
        """A reader for a nested object, or None when it is absent or not an object (which is then noted)."""
        value = self._typed(key, dict, "an object", required=required)
        return None if value is None else self._reader(value, f"{self.path}.{key}")

    def section(self, key: str) -> Reader:
        """A reader for a nested object that reads as empty when absent: tables of a TOML file."""
        return self.child(key, required=False) or self._reader({}, f"{self.path}.{key}")

    def children(self, key: str, *, required: bool = False) -> Iterator[Reader]:
        """Readers for a list of objects."""
        for index, value in self._items(key, minimum=0, required=required):
            if isinstance(value, dict):
                yield self._reader(value, f"{self.path}.{key}[{index}]")
            else:
                self.problem(f"{key}[{index}]", f"must be an object, is {_kind(value)}")

    def pairs(self, key: str, *, maximum: int) -> tuple[tuple[int, int], ...] | None:
        """A list of ``[first, last]`` with 0 <= first <= last <= maximum, or None when absent."""
        if self._value.get(key) is None:
            self._known.append(key)
            return None
        found = []
        for index, value in self._items(key, minimum=0):
            match value:
                case [int(first), int(last)] if 0 <= first <= last <= maximum and bool not in map(type, value):
                    found.append((first, last))
                case _:
                    self.problem(f"{key}[{index}]", f"must be [first, last] with 0 <= first <= last <= {maximum}")
        return tuple(found)

    def _items(self, key: str, *, minimum: int, required: bool = False) -> Iterable[tuple[int, Any]]:
        value = self._typed(key, list, "a list", required=required or minimum > 0)
        if value is None:
            return []
        if len(value) < minimum:
            self.problem(key, f"needs at least {minimum} entr{'y' if minimum == 1 else 'ies'}")
        return enumerate(value)

    def _reader(self, value: Mapping[str, Any], path: str) -> Reader:
        return Reader(value, self.document, path=path, problems=self.problems)
