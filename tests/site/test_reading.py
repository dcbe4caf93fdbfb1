"""Our own JSON files, whatever somebody made of them."""

from __future__ import annotations

import json

import pytest

from updater.site.reading import load_json


@pytest.mark.parametrize(
    "data", [b'{"a": "\xed\xa0\x80"}', b'{"a": "\\ud800"}', b'{"\\uDBFF": 1}', b"\xff", b'{"a": NaN}', b'{"a": 1e999}']
)
def test_what_could_not_be_written_back_is_refused(data: bytes):
    with pytest.raises(ValueError):
        load_json(data)


@pytest.mark.parametrize("text", ["caf\u00e9", "\U0001f600", "\udcff"])
def test_text_and_names_that_are_not_utf_8_come_back(text: str):
    assert load_json(json.dumps({"a": text}).encode()) == {"a": text}
