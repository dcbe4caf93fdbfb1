"""What a document holds survives reading and writing, known to this version or not."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.schema.documents import JSON_DOCUMENTS, golden_json
from updater.schema import Manifest

SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
) | st.text(st.characters(codec="utf-8"), max_size=20)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=8,
)


def objects(value: Any, *, free: bool = False) -> list[dict[str, Any]]:
    """Every object of a document, outermost first, except maps whose keys are free."""
    found = [value] if isinstance(value, dict) and not free else []
    children = value.items() if isinstance(value, dict) else ((None, child) for child in value)
    for key, child in children:
        if isinstance(child, dict | list):
            found += objects(child, free=key == "translations")
    return found


def written_back(kind: str, document: Any) -> Any:
    return json.loads(JSON_DOCUMENTS[kind].parse(json.dumps(document).encode()).to_bytes())


@pytest.mark.parametrize("kind", JSON_DOCUMENTS)
@pytest.mark.parametrize("minor", ["1.0", "1.1", "1.999999"])
def test_unknown_fields_survive_at_every_level(kind, minor):
    for document in golden_json(kind):
        document["schema"] = minor
        for number, found in enumerate(objects(document)):
            found["x_new"] = {"number": number, "deep": [None, True, {"ü": "\u2028"}]}
        assert written_back(kind, document) == document


@settings(max_examples=60, deadline=None)
@given(data=st.data(), kind=st.sampled_from(list(JSON_DOCUMENTS)))
def test_any_unknown_value_survives(data, kind):
    document = copy.deepcopy(data.draw(st.sampled_from(golden_json(kind))))
    target = data.draw(st.sampled_from(objects(document)))
    name = data.draw(st.text(st.characters(codec="utf-8")).map(lambda text: f"x_{text}"))
    target[name] = data.draw(ANYTHING)
    assert written_back(kind, document) == document


@pytest.mark.parametrize("kind", JSON_DOCUMENTS)
def test_reading_does_not_change_its_input_and_writing_is_stable(kind):
    for document in golden_json(kind):
        data = json.dumps(document).encode()
        once = JSON_DOCUMENTS[kind].parse(data).to_bytes()
        assert JSON_DOCUMENTS[kind].parse(once).to_bytes() == once
        assert JSON_DOCUMENTS[kind].parse(once) == JSON_DOCUMENTS[kind].parse(data)


def test_what_is_deleted_is_read_in_the_order_in_which_it_is_written():
    document = golden_json("manifest")[0]
    document["files"] = [{"path": path, "action": "delete"} for path in ("b", "a", "ü", "c")]
    manifest = Manifest.parse(json.dumps(document).encode())
    assert manifest.deleted == ("a", "b", "c", "ü")
    assert Manifest.parse(manifest.to_bytes()) == manifest
