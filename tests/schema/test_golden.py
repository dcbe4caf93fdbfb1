"""Golden documents and the examples of docs/formats.md: read, written back, and accepted by the shipped schemas."""

from __future__ import annotations

import jsonschema
import pytest

from tests.schema.documents import JSON_DOCUMENTS, TOML_DOCUMENTS, documented, golden, schema, schema_accepts

GOLDEN = golden()
ALL = [*GOLDEN, *documented()]


def test_every_kind_has_golden_documents():
    assert {example.kind for example in GOLDEN} == {*JSON_DOCUMENTS, *TOML_DOCUMENTS}


@pytest.mark.parametrize("kind", [*JSON_DOCUMENTS, *TOML_DOCUMENTS])
def test_the_schema_is_itself_valid(kind):
    found = schema(kind)
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(found)


@pytest.mark.parametrize("example", ALL, ids=lambda example: example.name)
def test_parser_and_schema_accept(example):
    example.parse()
    jsonschema.Draft202012Validator(schema(example.kind)).validate(example.value)
    assert schema_accepts(example.kind, example.value)


@pytest.mark.parametrize(
    "example", [example for example in GOLDEN if example.kind in JSON_DOCUMENTS], ids=lambda example: example.name
)
def test_written_back_byte_for_byte(example):
    assert example.parse().to_bytes() == example.data


@pytest.mark.parametrize(
    "example", [example for example in documented() if example.kind in JSON_DOCUMENTS], ids=lambda example: example.name
)
def test_documented_examples_keep_their_meaning(example):
    again = type(example.parse()).parse(example.parse().to_bytes())
    assert again == example.parse()
