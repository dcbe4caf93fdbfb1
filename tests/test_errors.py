"""What an error says can be shown on a terminal as it is, however hostile what it quotes."""

from __future__ import annotations

import tracemalloc

import pytest

from updater.errors import ConfigError, DownloadError, Problem, SchemaError, printable, problem_list, shortened
from updater.schema.document import parse_json
from updater.schema.feed import Feed


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x9b31m\x7f\0", "\\x9b31m\\x7f\\x00"),
        ("fdp.\u202eexe", "fdp.\\u202eexe"),
        ("half \ud800 a character, \udcff", "half \\ud800 a character, \\udcff"),
        ("two\r\nlines\nand\ta tab, größer, 語, 😀", "two\nlines\nand\ta tab, größer, 語, 😀"),
    ],
)
def test_messages_and_hints_cannot_drive_a_terminal(text: str, shown: str):
    assert printable(text) == shown
    error = ConfigError(text, hint=text)
    assert (str(error), error.hint) == (shown, shown)
    assert str(DownloadError(text, url="x")) == shown
    assert shown in str(SchemaError("the feed", [Problem("$", text)]))


def test_messages_end_somewhere():
    assert shortened("abc", 3) == "abc"
    assert shortened("abcd", 3) == "ab…"
    assert len(str(ConfigError("x" * 1_000_000))) < 20_000
    assert str(ConfigError("x" * 1_000_000 + "the end")).endswith("the end")
    assert len(str(SchemaError("x", [Problem("$" * 5000, "y" * 5000)] * 5000))) < 20_000


def test_every_problem_counts_and_the_first_hundred_are_listed():
    told = problem_list("the feed", [f"$.x[{number}]: is wrong" for number in range(250)])
    assert told.startswith("the feed has 250 problems:\n  $.x[0]: is wrong\n")
    assert told.endswith("\n  $.x[99]: is wrong\n  … and 150 more")
    assert problem_list("it", ["one"]) == "it has 1 problem:\n  one"


def test_a_document_of_mistakes_does_not_fill_the_memory():
    """Each entry is wrong, and each has a path of its own."""
    data = b'{"schema": "1.0", "releases": [' + b"1," * 300_000 + b"1]}"
    tracemalloc.start()
    try:
        with pytest.raises(SchemaError) as caught:
            Feed.parse(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 * len(data)
    assert len(caught.value.problems) <= 1000


def test_looking_through_a_document_takes_no_memory():
    data = b'{"x": [' + b"[]," * 200_000 + b'["\\ud800"]]}'
    tracemalloc.start()
    try:
        with pytest.raises(SchemaError, match=r"\$\.x\[200000\]\[0\]: holds a lone surrogate"):
            parse_json(data, "it")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 25 * len(data)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (r'{"a": "\ud800"}', "$.a"),
        (r'{"a": {"b": [1, {"c": "\udfff"}]}}', "$.a.b[1].c"),
        (r'{"a": {"\ud800": 1}}', "$.a"),
        (r'{"\ud800": 1}', "$"),
        (r'{"a": [[], [], ["x", "\ud800"]], "b": 1}', "$.a[2][1]"),
    ],
)
def test_where_half_a_character_is(text: str, where: str):
    with pytest.raises(SchemaError) as caught:
        parse_json(text.encode(), "it")
    assert [problem.path for problem in caught.value.problems] == [where]


def test_how_deep_a_document_may_be():
    for depth, fine in ((63, True), (64, False)):  # the object itself is the first level
        data = b'{"x": ' + b"[" * depth + b"]" * depth + b"}"
        if fine:
            parse_json(data, "it")
        else:
            with pytest.raises(SchemaError, match="64 levels"):
                parse_json(data, "it")
