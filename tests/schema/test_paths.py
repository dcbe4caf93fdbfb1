"""Which paths, symlinks and globs are accepted (docs/formats.md 1.2 and 1.3)."""

from __future__ import annotations

import ntpath
import os.path
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from updater.schema import check_path, check_symlink, collision_key, find_collisions, matches_any

GOOD = [
    *(
        "a",
        "a/b/c.txt",
        ".env",
        ".github/workflows/ci.yml",
        "..a",
        "a..b",
        "...a",
        "größe.css",
        "日本/語.txt",
        "a b",
        " a",
    ),
    *(
        "-rf",
        "~",
        "$HOME",
        "%2e%2e",
        "a;b",
        "con1",
        "console",
        "com",
        "com10",
        "nulx",
        "lpt",
        "aux-file",
        "docs/updater.toml",
    ),
    *("x/.updater", "updater.tom", "🎉", "a" * 255, "/".join(["a" * 255] * 4), "é" * 127),
]
BAD = [
    *("", "/", "/a", "//a", "a/", "a//b", ".", "..", "./a", "a/.", "a/..", "a/../b", "../a", "a/./b"),
    *("\\a", "a\\b", "C:", "C:/a", "c:a", "a:b", "file::$DATA", "\\\\server\\share"),
    *("a\0b", "a\nb", "a\rb", "\x1b[2J", "a\x7f", "a\x85"),
    *("a.", "a ", "a./b", "a /b", "...", ".. /a", "a/. "),
    *(
        "CON",
        "con",
        "Con.txt",
        "aux.tar.gz",
        "dir/NUL",
        "nul /x",
        "COM0",
        "com1",
        "lpt9.txt",
        "COM¹",
        "prn.",
        "AUX .txt",
    ),
    *(
        ".updater",
        ".updater/journal",
        ".Updater/x",
        "UPDATER.TOML",
        "updater.toml",
        "update_manifest.json",
        "updater.toml/x",
    ),
    *("e\u0301", "a" * 256, "é" * 128, "/".join(["a" * 250] * 5), "\ud800", "\u212b"),
]


@pytest.mark.parametrize("path", GOOD)
def test_accepted(path):
    check_path(path)


@pytest.mark.parametrize("path", BAD)
def test_refused(path):
    with pytest.raises(ValueError, match=r".") as caught:
        check_path(path)
    str(caught.value).encode("utf-8")  # the reason can be printed, whatever the path


SEGMENTS = st.sampled_from(["a", "..", ".", "", "b.txt", "con", ".updater", "C:", "x ", "é", "\0", "\\", "a" * 256])


@settings(max_examples=300, deadline=None)
@given(st.lists(SEGMENTS, max_size=5).map("/".join) | st.text(max_size=30))
def test_what_is_accepted_stays_inside_on_every_platform(path):
    try:
        check_path(path)
    except ValueError:
        return
    assert os.path.normpath(path) == path
    assert ntpath.normpath(path) == path.replace("/", "\\")
    assert not ntpath.splitdrive(path)[0]
    assert not path.startswith(("/", ".."))
    assert unicodedata.normalize("NFC", path) == path


@pytest.mark.parametrize(
    ("path", "target"),
    [
        *(
            ("a", "b"),
            ("a", "b/c"),
            ("a", "./b"),
            ("a", "b//c"),
            ("a/b", "../c"),
            ("a/b", ".."),
            ("a/b/c", "../../d/e"),
        ),
        *(("a", "..."), ("a", "..b"), ("a/b", "./../c"), ("a", ".")),
    ],
)
def test_symlinks_that_stay(path, target):
    check_symlink(path, target)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        *(
            ("a", ""),
            ("a", ".."),
            ("a", "../b"),
            ("a", "/etc/passwd"),
            ("a/b", "../.."),
            ("a/b", "../../c"),
            ("a", "./.."),
        ),
        *(
            ("a", "b\\c"),
            ("a", "C:/x"),
            ("a", "b\0c"),
            ("a", "b\nc"),
            ("a", "b/../../c"),
            ("a", "b/../c"),
            ("a/b", "../c/.."),
        ),
    ],
)
def test_symlinks_that_do_not(path, target):
    with pytest.raises(ValueError, match="links to"):
        check_symlink(path, target)


NAMES = st.sampled_from(["a", "b", "c"])
LINK_PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
TARGETS = st.lists(st.sampled_from(["..", "a", "b", "c", "."]), min_size=1, max_size=6).map("/".join)


@settings(max_examples=200, deadline=None)
@given(links=st.dictionaries(LINK_PATHS, TARGETS, max_size=6))
def test_no_chain_of_symlinks_leaves_the_tree(links, tmp_path_factory):
    """The rule judges each link by its text; a real file system, following all of them, must agree."""
    root = os.path.realpath(tmp_path_factory.mktemp("tree"))
    made = []
    for path, target in links.items():
        try:
            check_symlink(path, target)
        except ValueError:
            continue
        if find_collisions([*made, path]):
            continue
        made.append(path)
        os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
        os.symlink(target, os.path.join(root, path))
    for path in made:
        real = os.path.realpath(os.path.join(root, path))
        assert real == root or real.startswith(root + os.sep)


@given(st.text(max_size=10))
def test_collision_keys_do_not_depend_on_case_or_normal_form(text):
    key = collision_key(text)
    assert collision_key(key) == key
    for form in ("NFC", "NFD"):
        assert collision_key(unicodedata.normalize(form, text)) == key
    assert collision_key(text.casefold()) == key


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("**", ["a", "a/b", ".env"], []),
        ("*.py", ["a.py", "x/y/a.py", ".py"], ["a.pyc", "a.py/x"]),
        ("/*.py", ["a.py"], ["x/a.py"]),
        ("docs/", ["docs/a", "x/docs/a/b"], ["docs", "docsx/a", "xdocs/a"]),
        ("/docs/", ["docs/a", "docs/a/b"], ["x/docs/a", "docs"]),
        ("docs/**", ["docs/a", "docs/a/b"], ["docs", "x/docs/a"]),
        ("a/**/z", ["a/z", "a/b/z", "a/b/c/z"], ["a", "z", "x/a/z", "a/bz"]),
        ("**/z", ["z", "a/z", "a/b/z"], ["az", "z/a"]),
        ("**/b/**", ["b/x", "a/b/x", "a/b/c/d"], ["b", "a/b"]),
        ("a/*/c", ["a/b/c"], ["a/c", "a/b/b/c"]),
        ("a?c", ["abc", "x/a.c"], ["ac", "a/c", "abbc"]),
        ("/media/", ["media/x"], ["static/media/x"]),
        ("/db.sqlite3*", ["db.sqlite3", "db.sqlite3-wal"], ["x/db.sqlite3", "db.sqlite"]),
        ("*a*b*", ["ab", "xaybz", "aab"], ["ba", "a/b"]),
        ("a*?b", ["axb", "axxb"], ["ab"]),
        ("[ab]", ["[ab]"], ["a"]),
        ("a.b", ["a.b"], ["axb"]),
        ("a\nb", ["a\nb"], ["a"]),
        ("", [], ["a"]),
        ("/", [], ["a"]),
    ],
)
def test_globs(pattern, matching, others):
    assert [path for path in matching if not matches_any(path, [pattern])] == []
    assert [path for path in others if matches_any(path, [pattern])] == []


def _slowly(segments, parts):
    """The meaning of a glob, without any cleverness. ``parts`` has ``**`` at the front when the glob is not tied."""
    if not parts:
        return not segments
    if parts[0] == "**":
        least = 1 if len(parts) == 1 else 0
        return any(_slowly(segments[skip:], parts[1:]) for skip in range(least, len(segments) + 1))
    return bool(segments) and _segment(segments[0], parts[0]) and _slowly(segments[1:], parts[1:])


def _segment(text, glob):
    if not glob:
        return not text
    if glob[0] == "*":
        return any(_segment(text[skip:], glob[1:]) for skip in range(len(text) + 1))
    return bool(text) and glob[0] in (text[0], "?") and _segment(text[1:], glob[1:])


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=5),
    st.lists(st.sampled_from(["**", "*", "a", "b", "?", "a*", "*a*b", "*?b", "a*b*a"]), min_size=1, max_size=5),
)
def test_globs_mean_what_a_simple_matcher_says(segments, parts):
    tied = matches_any("/".join(segments), ["/" + "/".join(parts)])
    assert tied is _slowly(segments, parts)
    if len(parts) == 1:
        assert matches_any("/".join(segments), parts) is _slowly(segments, ["**", *parts])


@pytest.mark.parametrize("pattern", ["*a" * 60 + "c", "**/" * 60 + "c", "**/a/" * 60 + "c", "**/*a*a*a/" * 20 + "c"])
def test_no_glob_takes_long(pattern):
    assert not matches_any("/".join(["a" * 100] * 10), [pattern])
    assert not matches_any("/".join(["a"] * 500), [pattern])


def test_a_path_without_end_does_not_take_time_without_end():
    """It is refused by itself; looking for folders above it would take the square of its length."""
    began = time.process_time()
    assert find_collisions(["a/" * 200_000 + "a", "b" + "\u0301\u0327" * 100_000, "c", "c/d"]) == [
        "'c' is a file, but 'c/d' needs it to be a directory"
    ]
    assert time.process_time() - began < 1.0


def test_a_long_path_is_not_repeated_in_full() -> None:
    with pytest.raises(ValueError, match="not valid Unicode") as caught:
        check_path("[" * 60_000 + "\ud800")
    assert len(str(caught.value)) < 200
