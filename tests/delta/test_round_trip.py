"""Whatever two releases hold, the delta between them leads from the one to the other."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.deltas import Tree, apply, make_delta
from tests.support.packages import Built, Symlink, make_package

LINES = [
    f"line {number} of the old text, which is long enough to be told from others\n".encode() for number in range(40)
]


def check(old: Built, old_tree: Tree, new: Built, new_tree: Tree) -> bytes:
    """Make the delta, apply it, compare. Returns the delta."""
    with tempfile.TemporaryDirectory() as folder:
        delta = make_delta(Path(folder), old, new)
    manifest, built = apply(delta, old.manifest, {**old_tree, "version.json": old_version(old)})
    assert manifest.to_bytes() == new.manifest_bytes
    assert {path: data for path, data in built.items() if path in new_tree} == {
        path: data for path, data in new_tree.items() if path in built
    }
    return delta


def old_version(built: Built) -> bytes:
    """``version.json`` as the helper that makes packages writes it."""
    import io
    import zipfile

    return zipfile.ZipFile(io.BytesIO(built.package)).read("version.json")


NAMES = st.sampled_from(
    ["a", "b", "app.py", "static/main-1.0.0.js", "static/main-1.1.0.js", "é/ß.txt", "lib-1.0.0/x", "lib-1.1.0/x"]
)
CONTENT = st.one_of(
    st.binary(max_size=60),
    st.lists(st.sampled_from(LINES), max_size=60).map(b"".join),
    st.sampled_from(["a", "app.py"]).map(Symlink),
)
TREES = st.dictionaries(NAMES, CONTENT, max_size=8)
EXECUTABLE = st.sets(NAMES)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(old=TREES, new=TREES, old_modes=EXECUTABLE, new_modes=EXECUTABLE, deleted=st.booleans(), same=st.booleans())
def test_any_two_trees(
    old: dict[str, bytes], new: dict[str, bytes], old_modes: set[str], new_modes: set[str], deleted: bool, same: bool
) -> None:
    tree = {**old, **new} if same else new
    before = make_package(old, executable=old_modes)
    gone = tuple(sorted(set(old) - set(tree), key=str.encode)) if deleted else ()
    after = make_package(
        tree,
        executable=new_modes,
        version="1.1.0",
        deleted=gone,
        notes="news",
        preserve=["/media/"],
        commands=["migrate"],
    )
    check(before, old, after, tree)


def test_an_edited_file_costs_little_and_an_unchanged_one_nothing() -> None:
    text = b"".join(LINES * 20)
    old = {"a.txt": text, "b.bin": bytes(range(256)) * 100}
    new = {"a.txt": text.replace(b"line 7", b"LINE seven"), "b.bin": old["b.bin"]}
    delta = check(make_package(old), old, make_package(new, version="1.0.1"), new)
    assert len(delta) < 400
