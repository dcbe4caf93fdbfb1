"""The manifest of a whole site: put together and taken apart again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.packages import make_package
from updater.errors import SchemaError
from updater.schema.assembly import Part, assemble, glob_below, take_apart
from updater.schema.globs import matches_any
from updater.schema.manifest import Manifest

CORE = {"a.txt": b"a", "app/b.py": b"b", "plugins/readme": b"c"}


def part(name: str, directory: str, files: dict[str, bytes], **more: object) -> Part:
    built = make_package(files, component=name, **more)  # type: ignore[arg-type]
    return Part(name, directory, built.manifest, {"core": ">=1"})


def test_the_core_alone_is_its_own_manifest():
    core = make_package(CORE).manifest
    assert assemble(core, []) is core
    assert take_apart(core).core is core


@given(
    st.dictionaries(st.sampled_from(["x", "y/z", "media/k", "deep/er/q"]), st.binary(max_size=4), max_size=4),
    st.lists(st.sampled_from(["*.jpg", "media/", "/media/**", "a/b"]), max_size=3),
)
def test_what_is_put_together_comes_apart(files: dict[str, bytes], preserve: list[str]):
    core = make_package(CORE, preserve=["media/"], commands=["migrate"]).manifest
    parts = [
        part("one", "plugins/one", files, preserve=preserve, deleted=["old"], commands=["migrate", "tidy"]),
        part("two", "plugins/one-more", files),
    ]
    whole = assemble(core, parts)
    found = take_apart(Manifest.parse(whole.to_bytes()))
    assert found.core == core
    assert list(found.components.values()) == parts
    assert found.versions() == {"core": "1.0.0", "one": "1.0.0", "two": "1.0.0"}
    assert whole.post_update_commands == ("migrate", "tidy")
    assert "plugins/one/old" in whole.deleted
    assert len(whole.files) == sum(len(one.files) for one in (core, *(each.manifest for each in parts)))


@pytest.mark.parametrize(
    ("directory", "files", "said"),
    [
        ("app", {"c": b""}, "lies in the folder of one"),
        ("a.txt", {"c": b""}, "lies in the folder of one"),
        ("APP", {"b.py": b""}, "collide"),
        ("plugins/readme/x", {"c": b""}, "directory"),
        ("/".join(["x" * 200] * 4), {"/".join(["y" * 200] * 2): b""}, "longer than"),
    ],
)
def test_two_in_one_place_are_refused(directory: str, files: dict[str, bytes], said: str):
    with pytest.raises(SchemaError, match=said):
        assemble(make_package(CORE).manifest, [part("one", directory, files)])


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("*.jpg", "plugins/one/deep/a.jpg", True),
        ("*.jpg", "plugins/one/a.jpg", True),
        ("*.jpg", "a.jpg", False),
        ("/media/**", "plugins/one/media/a", True),
        ("/media/**", "media/a", False),
        ("media/", "plugins/one/x/media/a", True),
        ("media/", "media/a", False),
    ],
)
def test_a_component_speaks_of_its_own_folder_alone(glob: str, path: str, matches: bool):
    assert matches_any(path, [glob_below("plugins/one", glob)]) is matches
    assert matches_any(path.replace("one", "*"), [glob_below("plugins/*", glob)]) is matches


@pytest.mark.parametrize(
    "record",
    [
        [],
        [{"name": "core"}],
        [{"name": "dark", "directory": "themes/dark", "manifest": {}}],
        [{"name": "core", "manifest": {"app": "shop"}}],
        [{"name": "core", "manifest": {}}, {"name": "dark", "directory": "../x", "manifest": {}}],
        "all of them",
    ],
)
def test_a_damaged_record_is_refused(record: object):
    core = make_package(CORE).manifest
    damaged = Manifest.parse(core.to_bytes())
    object.__setattr__(damaged, "extra", {"installed_components": record})
    with pytest.raises(SchemaError):
        take_apart(damaged)
