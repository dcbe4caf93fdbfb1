"""Whatever the bytes are, a parser answers with a document or with its own error."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.schema.documents import JSON_DOCUMENTS, TOML_DOCUMENTS, golden
from updater.errors import ConfigError, SchemaError, UpdaterError
from updater.schema import SiteConfig, parse_json

HOSTILE = {
    "empty": b"",
    "white space": b" \n",
    "not JSON": b"<html>404</html>",
    "a list": b"[]",
    "a string": b'"x"',
    "null": b"null",
    "two documents": b"{}{}",
    "trailing comma": b'{"a": 1,}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"schema": "1.0"}'.encode("utf-16"),
    "Latin-1": '{"schema": "é"}'.encode("latin-1"),
    "overlong UTF-8": b'{"a": "\xc0\xaf"}',
    "NUL byte": b'{"a": "\0"}',
    "duplicate key": b'{"schema": "1.0", "schema": "1.0"}',
    "duplicate key inside": b'{"x": [{"a": 1, "a": 2}]}',
    "NaN": b'{"x": NaN}',
    "Infinity": b'{"x": -Infinity}',
    "float overflow": b'{"x": 1e999}',
    "long number": b'{"x": ' + b"9" * 10_000 + b"}",
    "lone surrogate": b'{"x": "\\ud800"}',
    "lone surrogate in a key": b'{"x": {"\\udfff": 1}}',
    "deep lists": b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"x":' * 100_000 + b"1" + b"}" * 100_000,
    "deeper than allowed": b'{"x": ' + b"[" * 70 + b"]" * 70 + b"}",
    "cut off": b'{"schema": "1.0", "app": "sh',
}


@pytest.mark.parametrize("kind", JSON_DOCUMENTS)
@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_json(kind, data):
    with pytest.raises(SchemaError) as caught:
        JSON_DOCUMENTS[kind].parse(data, "the file")
    str(caught.value).encode("utf-8")  # can be printed


@pytest.mark.parametrize("name", [name for name in HOSTILE if "surrogate" in name or "float" in name])
def test_what_could_not_be_written_back_is_refused_when_read(name):
    with pytest.raises(SchemaError):
        parse_json(HOSTILE[name], "the file")


@pytest.mark.parametrize("kind", TOML_DOCUMENTS)
@pytest.mark.parametrize(
    "text",
    [
        "\ufeffschema = '1.0'",
        "a = " + "[" * 100_000,
        "a = " + "{a=" * 100_000,
        "a = " + "9" * 10_000,
        "a = 1\na = 2",
        "a = '\ud800'",
        'a = "\\ud800"',
        "a = '\0'",
        "[a]\n[a]",
        "a.b = 1\na = 2",
        "= 1",
        "a = 9999-99-99",
        "schema = 1",
        "feed = []",
        "app = 1979-05-27T07:32:00Z",
    ],
)
def test_hostile_toml(kind, text):
    with pytest.raises(ConfigError) as caught:
        TOML_DOCUMENTS[kind].parse(text)
    str(caught.value).encode("utf-8")


def refuse_or_read(kind, data):
    """Parse; anything but our own errors escapes and fails the test."""
    try:
        if kind in JSON_DOCUMENTS:
            JSON_DOCUMENTS[kind].parse(data).to_bytes()
        else:
            TOML_DOCUMENTS[kind].parse(data.decode("utf-8", "replace"))
    except (SchemaError, ConfigError) as error:
        str(error).encode("utf-8")


KINDS = st.sampled_from([*JSON_DOCUMENTS, *TOML_DOCUMENTS])
GOLDEN = golden()


@settings(max_examples=300, deadline=None)
@given(kind=KINDS, data=st.binary(max_size=200))
@example(kind="feed", data=b'{"schema": "1.0", "releases": [1]}')
def test_any_bytes(kind, data):
    refuse_or_read(kind, data)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), document=st.sampled_from(GOLDEN))
def test_documents_with_damaged_bytes(data, document):
    raw = bytearray(document.data)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(raw)))
        stop = data.draw(st.integers(start, min(len(raw), start + 20)))
        raw[start:stop] = data.draw(
            st.binary(max_size=6) | st.sampled_from([b"null", b"1e999", b"{}", b"[", b"\\u0000"])
        )
    refuse_or_read(document.kind, bytes(raw))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), document=st.sampled_from([found for found in GOLDEN if found.kind in JSON_DOCUMENTS]))
def test_documents_with_any_value_anywhere(data, document):
    value = document.value
    parent, key = None, None
    node = value
    while isinstance(node, dict | list) and node and (parent is None or data.draw(st.booleans())):
        key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else list(range(len(node)))))
        parent, node = node, node[key]
    parent[key] = data.draw(JSON_VALUES)
    refuse_or_read(document.kind, json.dumps(value).encode())


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["url", "app", "kind", "path", "timeout", "env", "runner", "edited", "x"]),
        st.sampled_from(["''", "'x'", "1", "-1", "1e400", "nan", "true", "[]", "[1]", "{}", "{a=1}", "1979-05-27"]),
    ),
    st.sampled_from(["feed", "policy", "backup", "database", "commands", "restart", "health", "download", "y"]),
)
def test_any_setting(settings_, section):
    text = f"[{section}]\n" + "".join(f"{key} = {value}\n" for key, value in settings_.items())
    try:
        SiteConfig.parse(text)
    except UpdaterError as error:
        assert isinstance(error, ConfigError)
