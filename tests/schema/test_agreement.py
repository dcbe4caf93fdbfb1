"""The shipped JSON Schemas and our parsers refuse the same documents, as far as JSON Schema can say it."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.schema.documents import (
    JSON_DOCUMENTS,
    TOML_DOCUMENTS,
    golden,
    parser_accepts,
    schema_accepts,
    to_toml,
)
from updater.errors import ConfigError, SchemaError

KINDS = [*JSON_DOCUMENTS, *TOML_DOCUMENTS]
EXAMPLES = golden()
VALUES: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        101,
        10_000,
        2**63,
        1.5,
        1e12,
        "",
        "x",
        "X",
        "a\nb",
        "x\n",
        "\0",
        "é",
        "/",
        "..",
        "a:b",
    ),
    *("CON", "nul.txt", "a.", ".updater", "1.0", "01.0", "2.0", "1.0+local", "1.0.dev1", "2026-01-20T10:00:00Z"),
    *("2026-01-20", "https://acme.example/", "http://acme.example/", "../x", "stable", "update", "delete", "HUP"),
    *("0644", "0755", "0777", "ab" * 32, "AB" * 32, "a" * 65, [], [None], [""], ["x"], [1], [[1, 2]], [[0]], [{}]),
    *({}, {"a": 1}, {"a": "x"}, {"": ""}, {"A=B": ""}),
]
BEYOND_JSON_SCHEMA = re.compile(
    "|".join(
        (
            "stands twice|collide|needs it to be a directory|is both updated and deleted|is deleted twice",
            "leaves the tree|'..' may only stand at the beginning|is not in Unicode normal form|longer than",
            "at most 1000 are read",
            "listed twice|must add up to|must fit into|times must rise|must be \\[first, last\\]|is not a time",
            "must be an https URL|must stay below|characters that a URL cannot have|has a port|must be an absolute URL",
        )
    )
)
"""What the parsers check beyond the schemas: relations between values, calendars, Unicode, the inside of URLs."""

Path = tuple[Any, ...]


def places(value: Any, path: Path = ()) -> list[Path]:
    """The path of everything inside a document."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, child in children for found in ((*path, key), *places(child, (*path, key)))]


def changed(document: Any, path: Path, value: Any) -> Any:
    """A copy of the document with another value at ``path``; Ellipsis removes it."""
    document = copy.deepcopy(document)
    parent = document
    for key in path[:-1]:
        parent = parent[key]
    if value is ...:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return document


def with_unknown(document: Any, path: Path) -> Any:
    """A copy with one key that no version knows, inside the object at ``path``."""
    document = copy.deepcopy(document)
    parent = document
    for key in path:
        parent = parent[key]
    parent["x_unknown"] = {"deep": [1, None, "x"]} if path else "x"
    return document


def holds_null(value: Any) -> bool:
    return any(child is None for child in _walk(value))


def _walk(value: Any) -> list[Any]:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(found for child in children for found in _walk(child))]


def complaints(kind: str, value: Any) -> list[str]:
    """What the parser says, one line per problem."""
    try:
        if kind in JSON_DOCUMENTS:
            JSON_DOCUMENTS[kind].parse(json.dumps(value).encode())
        else:
            TOML_DOCUMENTS[kind].parse(to_toml(value))
    except (SchemaError, ConfigError) as error:
        return str(error).splitlines()[1:]
    return []


def assert_agreement(kind: str, value: Any) -> None:
    if kind in TOML_DOCUMENTS and holds_null(value):
        return  # TOML has no null
    found = complaints(kind, value)
    expressible = [line for line in found if not BEYOND_JSON_SCHEMA.search(line)]
    accepted = schema_accepts(kind, value)
    if accepted:
        assert not expressible, f"the {kind} schema accepts what the parser refuses: {expressible}"
    else:
        assert not parser_accepts(kind, value), f"the {kind} parser accepts what the schema refuses: {value}"


def different_places(document: Any) -> list[Path]:
    """Like `places`, but of places that differ in list indices alone only the last."""
    shapes = {tuple("*" if isinstance(key, int) else key for key in path): path for path in places(document)}
    return list(shapes.values())


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_every_single_change(example):
    """Each value of each document replaced by each of VALUES, and removed."""
    document = example.value
    for path in different_places(document):
        for value in (..., *VALUES):
            assert_agreement(example.kind, changed(document, path, value))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_unknown_fields_are_welcome_in_json_and_refused_in_toml(example):
    document = example.value
    for path in [(), *places(document)]:
        target = document
        for key in path:
            target = target[key]
        if not isinstance(target, dict) or path[-1:] in {("env",), ("translations",)}:
            continue
        changed_document = with_unknown(document, path)
        if example.kind in TOML_DOCUMENTS and holds_null(changed_document):
            changed_document = changed(document, (*path, "x_unknown"), "x")
        expected = example.kind in JSON_DOCUMENTS
        assert parser_accepts(example.kind, changed_document) is expected
        assert schema_accepts(example.kind, changed_document) is expected


@settings(max_examples=150, deadline=None)
@given(data=st.data(), kind=st.sampled_from(KINDS))
def test_several_changes_at_once(data, kind):
    document = data.draw(st.sampled_from([example.value for example in EXAMPLES if example.kind == kind]))
    for _ in range(data.draw(st.integers(1, 4))):
        there = places(document)
        if not there:
            break
        value = data.draw(st.one_of(st.sampled_from([..., *VALUES]), st.text(st.characters(codec="utf-8"), max_size=8)))
        document = changed(document, data.draw(st.sampled_from(there)), value)
    assert_agreement(kind, document)
