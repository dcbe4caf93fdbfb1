"""The golden documents, the examples of docs/formats.md, and what reads each: shared by the tests of this folder."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema

from updater.errors import ConfigError, SchemaError
from updater.schema import ArchivePage, Feed, Manifest, PublisherConfig, SiteConfig, VersionFile

REPOSITORY = Path(__file__).parents[2]
GOLDEN = REPOSITORY / "tests" / "golden" / "formats" / "1.0"
FORMATS = REPOSITORY / "docs" / "formats.md"

JSON_DOCUMENTS: dict[str, Any] = {
    "feed": Feed,
    "archive": ArchivePage,
    "manifest": Manifest,
    "version": VersionFile,
}
TOML_DOCUMENTS: dict[str, Any] = {"feedgen": PublisherConfig, "updater": SiteConfig}
GOLDEN_PREFIX = {"feed": "feed", "update_manifest": "manifest", "version": "version"}


@dataclass(frozen=True)
class Example:
    """One document: its kind (the name of its schema), where it comes from, and its bytes."""

    kind: str
    name: str
    data: bytes

    @property
    def value(self) -> Any:
        """The document as plain data."""
        return json.loads(self.data) if self.kind in JSON_DOCUMENTS else tomllib.loads(self.data.decode())

    def parse(self) -> Any:
        """The document as our dataclass."""
        if self.kind in JSON_DOCUMENTS:
            return JSON_DOCUMENTS[self.kind].parse(self.data)
        return TOML_DOCUMENTS[self.kind].parse(self.data.decode())


def golden() -> list[Example]:
    """Every file of the golden folder."""
    found = []
    for path in sorted(GOLDEN.iterdir()):
        stem = re.match(r"[a-z_]+", path.name)
        assert stem is not None
        kind = GOLDEN_PREFIX.get(stem[0], stem[0])
        found.append(Example(kind, path.name, path.read_bytes()))
    return found


def golden_json(kind: str) -> list[Any]:
    """The golden documents of one kind, as plain data."""
    return [example.value for example in golden() if example.kind == kind]


def documented() -> list[Example]:
    """The examples of docs/formats.md, whose elided digests are filled in."""
    text = FORMATS.read_text(encoding="utf-8").replace('"sha256": "…"', f'"sha256": "{"ab" * 32}"')
    text = text.replace('root_sha256 = "…"', f'root_sha256 = "{"ab" * 32}"')
    json_blocks = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    toml_blocks = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert (len(json_blocks), len(toml_blocks)) == (4, 3), "an example was added: say here what it is"
    toml_blocks.pop()  # the decisions of section 8.1 are the publisher's alone: tests/feedgen_operations
    kinds = [*JSON_DOCUMENTS, *TOML_DOCUMENTS]
    return [
        Example(kind, f"formats.md {kind}", block.encode())
        for kind, block in zip(kinds, [*json_blocks, *toml_blocks], strict=True)
    ]


def schema(kind: str) -> dict[str, Any]:
    """The JSON Schema that is shipped for a kind of document."""
    found: dict[str, Any] = json.loads(files("updater.schema").joinpath("json", f"{kind}.schema.json").read_bytes())
    return found


def _ecma_pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Any:
    """JSON Schema means ECMAScript's ``$``: the very end. Python's also matches before a last newline."""
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


def _strict_integer(checker: Any, instance: Any) -> bool:
    """``1.0`` is an integer to JSON Schema but not to us: sizes and counts are written without a fraction."""
    return isinstance(instance, int) and not isinstance(instance, bool)


_Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    {"pattern": _ecma_pattern},
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _strict_integer),
)
VALIDATORS = {kind: _Validator(schema(kind)) for kind in (*JSON_DOCUMENTS, *TOML_DOCUMENTS)}


def schema_accepts(kind: str, value: Any) -> bool:
    """Whether the JSON Schema accepts a document."""
    accepted: bool = VALIDATORS[kind].is_valid(value)
    return accepted


def parser_accepts(kind: str, value: Any) -> bool:
    """Whether our parser does."""
    parse: Callable[[Any], Any]
    if kind in JSON_DOCUMENTS:
        parse, source = JSON_DOCUMENTS[kind].parse, json.dumps(value).encode()
    else:
        parse, source = TOML_DOCUMENTS[kind].parse, to_toml(value)
    try:
        parse(source)
    except (SchemaError, ConfigError):
        return False
    return True


def to_toml(value: dict[str, Any]) -> str:
    """TOML of plain data, everything below the top as inline tables."""
    return "".join(f"{_toml(key)} = {_toml(item)}\n" for key, item in value.items())


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
