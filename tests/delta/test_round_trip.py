"""Whatever two releases hold, the delta between them leads from the one to the other."""

from __future__ import annotations

import io
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feedgen.errors import NoDeltaError
from tests.support.catalogs import make_catalog, make_record
from tests.support.deltas import apply, make_delta, tree_of
from tests.support.native import library
from tests.support.packages import Built, Symlink, make_package
from updater.delta import DeltaReader
from updater.delta.groups import EDITS, STREAMS, ZSTD

LINES = [
    f"line {number} of the old text, which is long enough to be told from others\n".encode() for number in range(40)
]


def check(old: Built, new: Built) -> bytes:
    """Make the delta, apply it, compare the manifests, which say everything. Returns the delta."""
    with tempfile.TemporaryDirectory() as folder:
        delta = make_delta(Path(folder), old, new).path.read_bytes()
    manifest, built = apply(delta, old.manifest, tree_of(old))
    assert manifest.to_bytes() == new.manifest_bytes
    assert built.items() <= tree_of(new).items()
    return delta


NAMES = st.sampled_from(
    [
        "a",
        "b",
        "app.py",
        "static/main-1.0.0.js",
        "static/main-1.1.0.js",
        "é/ß.txt",
        "lib-1.0.0/x",
        "lib-1.1.0/x",
        "c.mo",
    ]
)
CONTENT = st.one_of(
    st.binary(max_size=60),
    st.lists(st.sampled_from(LINES), max_size=60).map(b"".join),
    st.dictionaries(st.binary(max_size=9), st.binary(max_size=20), min_size=1).map(make_catalog),
    st.sampled_from(["a", "app.py"]).map(Symlink),
)
TREES = st.dictionaries(NAMES, CONTENT, max_size=8)
EXECUTABLE = st.sets(NAMES)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(old=TREES, new=TREES, old_modes=EXECUTABLE, new_modes=EXECUTABLE, deleted=st.booleans(), same=st.booleans())
def test_any_two_trees(
    old: dict[str, bytes], new: dict[str, bytes], old_modes: set[str], new_modes: set[str], deleted: bool, same: bool
) -> None:
    tree = {**old, **new} if same else new
    gone = tuple(sorted(set(old) - set(tree), key=str.encode)) if deleted else ()
    more = {"deleted": gone, "notes": "news", "preserve": ["/media/"], "commands": ["migrate"]}
    check(make_package(old, executable=old_modes), make_package(tree, executable=new_modes, version="1.1.0", **more))


def test_an_edited_file_costs_little_and_an_unchanged_one_nothing() -> None:
    text = b"".join(LINES * 20)
    old = {"a.txt": text, "b.bin": bytes(range(256)) * 100}
    new = {"a.txt": text.replace(b"line 7", b"LINE seven"), "b.bin": old["b.bin"]}
    assert len(check(make_package(old), make_package(new, version="1.0.1"))) < 400


def test_a_moved_file_and_one_in_a_folder_named_after_the_version_cost_their_names() -> None:
    noise = random.Random(1).randbytes
    old = {"lib-1.0.0/a": noise(5000), "lib-1.0.0/b": noise(5000), "x": noise(5000)}
    new = {path.replace("1.0.0", "1.1.0"): data for path, data in old.items()}
    new["moved/x"] = new.pop("x")
    delta = check(make_package(old), make_package(new, version="1.1.0"))
    assert len(delta) < 300


def test_the_most_similar_old_file_is_found_when_the_name_has_changed() -> None:
    rng = random.Random(2)
    bundles = [b";".join(rng.randbytes(20).hex().encode() for _ in range(2000)) for _ in range(3)]
    old = {f"static/{rng.randbytes(4).hex()}.js": data for data in bundles}
    new = {f"static/{rng.randbytes(4).hex()}.js": data + b";more()" for data in bundles}
    assert len(check(make_package(old), make_package(new, version="1.1.0"))) < 1000


def test_catalogs_are_told_by_their_strings() -> None:
    texts = {f"Message number {number}".encode(): f"Nachricht {number}".encode() for number in range(500)}
    texts[b"%d file\0%d files"] = b"%d Datei\0%d Dateien"
    old = {"de/app.mo": make_catalog(texts), "fr/app.mo": make_catalog(texts, hashed=False)}
    texts[b"A new one"] = b"Eine neue"
    new = {"de/app.mo": make_catalog(texts), "fr/app.mo": make_catalog(texts, hashed=False)}
    assert len(check(make_package(old), make_package(new, version="1.1.0"))) < 450


def test_lists_of_digests_cost_no_digests() -> None:
    rng = random.Random(3)
    old = {f"lib/m{number}.py": b"A = %d\n" % number for number in range(300)}
    new = old | {path: old[path] + b"B = 1\n" for path in list(old)[:150]}
    trees = []
    for tree, version in ((old, "1.0.0"), (new, "1.1.0")):
        folder = f"lib-{version}.dist-info"
        trees.append({f"site/{path}": data for path, data in tree.items()})
        trees[-1][f"site/{folder}/RECORD"] = make_record(tree, folder)
    delta = check(make_package(trees[0]), make_package(trees[1], version="1.1.0"))
    assert len(delta) < 1500  # 150 digests are 4,800 bytes
    assert rng


def test_more_than_a_group_and_a_list_that_depends_on_the_others(tmp_path: Path) -> None:
    rng = random.Random(4)
    old = {f"lib/m{number}.txt": rng.randbytes(400_000).hex().encode() for number in range(8)}
    new = {path: data[:9000] + b"\n" + data[9000:] for path, data in old.items()}
    trees = [
        tree | {f"lib-{version}.dist-info/RECORD": make_record(tree, f"lib-{version}.dist-info")}
        for tree, version in ((old, "1.0.0"), (new, "1.1.0"))
    ]
    before, after = make_package(trees[0]), make_package(trees[1], version="1.1.0")
    with (created := make_delta(tmp_path, before, after)).path.open("rb") as file:
        groups = DeltaReader.open(file, before.manifest).groups
    assert [group.dependent for group in groups] == [False, False, True]
    assert {group.codec for group in groups} == {EDITS}
    manifest, _ = apply(created.path.read_bytes(), before.manifest, tree_of(before))
    assert manifest.to_bytes() == after.manifest_bytes


def test_the_same_bytes_whatever_the_number_of_workers(tmp_path: Path) -> None:
    rng = random.Random(5)
    old = {f"{number}.txt": rng.randbytes(150_000).hex().encode() for number in range(20)}
    new = {path: data[:50_000] + b"x" + data[50_000:] for path, data in old.items()}
    before, after = make_package(old), make_package(new, version="1.1.0")
    digests = {make_delta(tmp_path, before, after, workers=workers).sha256 for workers in (1, 2, 5)}
    assert len(digests) == 1


def test_a_file_of_many_lines_is_not_cut_into_tokens(tmp_path: Path) -> None:
    old = {"a.csv": b"".join(b"%d\n" % number for number in range(400_000))}
    new = {"a.csv": old["a.csv"].replace(b"\n77777\n", b"\nseven\n")}
    before, after = make_package(old), make_package(new, version="1.1.0")
    with (created := make_delta(tmp_path, before, after)).path.open("rb") as file:
        assert [group.codec for group in DeltaReader.open(file, before.manifest).groups] == [ZSTD, EDITS]
    assert created.size < 4000


def test_native_code_is_told_as_streams(tmp_path: Path) -> None:
    code, moved = library(1500, 0), library(1500, 8)
    program, rebuilt = b"\x7fELF" + code, b"\x7fELF" + moved
    old = {"lib/_rust.abi3.so": code, "bin/tool": program, "a.py": b"A = 1\n", "bin/text": code}
    new = {"lib/_rust.abi3.so": moved, "bin/tool": rebuilt, "a.py": b"A = 2\n", "bin/text": b"x" + code}
    before, after = make_package(old), make_package(new, version="1.1.0")
    delta = check(before, after)
    groups = DeltaReader.open(io.BytesIO(delta), before.manifest).groups
    assert {file.path: group.codec for group in groups for file in group.targets} == {
        "a.py": EDITS,
        "bin/text": EDITS,
        "bin/tool": STREAMS,
        "lib/_rust.abi3.so": STREAMS,
        "version.json": EDITS,
    }
    assert len(delta) < 2 * len(moved) // 8
    assert len({make_delta(tmp_path, before, after, workers=workers).sha256 for workers in (1, 3)}) == 1


def test_no_delta_says_so(tmp_path: Path) -> None:
    before, after = make_package({"a": b"x"}), make_package({"a": b"y"}, version="1.1.0")
    other = make_package({"a": b"y"}, app="other", version="1.1.0")
    with pytest.raises(NoDeltaError, match="cannot lead from shop"):
        make_delta(tmp_path, before, other)
    with pytest.raises(NoDeltaError, match="time budget"):
        make_delta(tmp_path, before, after, budget_seconds=-1)
    assert not (tmp_path / "a.delta").exists()
