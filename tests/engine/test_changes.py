"""What an update changes: never more than the two manifests say, and never what belongs to the owner."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.engine.world import release
from updater.install.changes import Change, compute_changes
from updater.install.observe import Observed
from updater.schema.document import Reader, dump_json
from updater.schema.manifest import Manifest, ManifestFile

NAMES = ["a", "b", "d/x", "d/y", "d/e/z", "d", "media/m"]
CONTENTS = [b"1", b"2", b"3"]
Tree = dict[str, bytes]


def consistent(tree: Tree) -> bool:
    return not any(other.startswith(name + "/") for name in tree for other in tree)


trees = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(CONTENTS)).filter(consistent)


def manifest_of(tree: Tree, version: str, preserve: tuple[str, ...] = ()) -> Manifest:
    manifest, _ = release(version, dict(tree), preserve=preserve)
    return manifest


def seen(content: bytes, mode: int = 0o644) -> Observed:
    return Observed("file", hashlib.sha256(content).hexdigest(), len(content), mode, 1, 1)


def observe_model(live: Tree, paths: set[str]) -> dict[str, Observed]:
    found = {}
    for path in paths:
        parents = [path[:index] for index, char in enumerate(path) if char == "/"]
        if path in live:
            found[path] = seen(live[path])
        elif any(parent in live for parent in parents):
            found[path] = Observed("behind-file")
        elif any(name.startswith(path + "/") for name in live):
            found[path] = Observed("directory")
    return found


def apply_model(live: Tree, changes: tuple[Change, ...], new: Tree) -> Tree:
    """As a filesystem would: a file needs its folders, and a path that is free."""
    result = dict(live)
    for change in changes:
        if change.action == "delete":
            del result[change.path]
        else:
            assert not any(name.startswith(change.path + "/") for name in result), f"{change.path} is not free"
            parents = [change.path[:i] for i, char in enumerate(change.path) if char == "/"]
            assert not any(parent in result for parent in parents), f"{change.path} has no folder"
            assert (change.action == "replace") == (change.path in result)
            result[change.path] = new[change.path]
    return result


@given(old=trees, new=trees, own=trees, edits=st.dictionaries(st.sampled_from(NAMES), st.just(b"mine")), data=st.data())
def test_applying_the_changes_gives_the_new_release_and_leaves_the_rest(old, new, own, edits, data):
    policy = data.draw(st.sampled_from(["overwrite", "keep", "stop"]))
    version = {"version.json": b""}
    live = own | old | {path: content for path, content in edits.items() if path in old} | version
    if not consistent(live):
        return
    before, after = manifest_of(old, "1.0.0"), manifest_of(new, "2.0.0", ("/media/",))
    live["version.json"] = release("1.0.0", {})[1]._files["version.json"]  # type: ignore[assignment]
    new_tree = new | {"version.json": b"new"}
    found = compute_changes(before, after, observe_model(live, {*old, *new, "version.json"}), policy)
    touched = {change.path for change in found.changes}
    assert touched <= {*old, *new_tree}, "nothing outside the manifests"
    foreign = {path for path in live if path not in old and path != "version.json"}
    assert not touched & foreign, "nothing that the installed release does not list"
    edited = {path for path in edits if path in old and live[path] != old[path]}
    if policy != "overwrite":
        assert not touched & edited
    else:
        assert {change.path for change in found.changes if change.edited} == set(found.edited)
        assert set(found.edited) <= edited
    if found.conflicts:
        return
    if any(
        path.startswith(f"{change.path}/") for change in found.changes if change.action == "add" for path in foreign
    ):
        return  # refused later: a folder with own files is seen by looking into it (updater.install.room)
    result = apply_model(live, found.changes, new_tree)
    untouched = set(found.kept) | set(found.preserved)
    for path, content in new_tree.items():
        if path not in untouched:
            assert result[path] == content
    for path in old:
        if path not in new and path not in untouched:
            assert path not in result
    for path in foreign | untouched:
        assert result.get(path) == live.get(path)


def test_the_version_file_is_switched_after_everything_it_speaks_for():
    old, new = manifest_of({"zz": b"1", "gone": b"1"}, "1.0.0"), manifest_of({"zz": b"2", "zzz": b"1"}, "2.0.0")
    live = {path: Observed("file", file.sha256, file.size, file.mode) for path, file in old.files.items()}
    found = compute_changes(old, new, live, "overwrite")
    assert [change.path for change in found.changes] == ["zz", "zzz", "version.json", "gone"]


def one(path: str, content: bytes, **fields: int) -> ManifestFile:
    return ManifestFile(path, hashlib.sha256(content).hexdigest(), len(content), **fields)


def compare(old: bytes | None, new: bytes | None, live: Observed | None, policy: str = "overwrite", preserve=()):
    before = manifest_of({} if old is None else {"p/f": old}, "1.0.0")
    after = manifest_of({} if new is None else {"p/f": new}, "2.0.0", preserve)
    found = compute_changes(before, after, {} if live is None else {"p/f": live}, policy)  # type: ignore[arg-type]
    actions = [(change.action, change.edited) for change in found.changes if change.path == "p/f"]
    return actions, bool(found.edited), bool(found.kept), bool(found.preserved), bool(found.conflicts)


def test_every_case_of_one_file():
    nothing = (False, False, False, False)
    mine = seen(b"mine")
    assert compare(b"1", b"1", seen(b"1")) == ([], *nothing)
    assert compare(b"1", b"2", seen(b"1")) == ([("replace", False)], *nothing)
    assert compare(b"1", b"2", seen(b"2")) == ([], *nothing), "the owner had it already"
    assert compare(b"1", b"2", None) == ([("add", False)], *nothing)
    assert compare(b"1", None, None) == ([], *nothing)
    assert compare(b"1", None, seen(b"1")) == ([("delete", False)], *nothing)
    assert compare(None, b"2", None) == ([("add", False)], *nothing)
    assert compare(None, b"2", mine) == ([], False, False, False, True)
    assert compare(b"1", b"2", mine) == ([("replace", True)], True, False, False, False)
    assert compare(b"1", b"1", mine) == ([("replace", True)], True, False, False, False)
    assert compare(b"1", None, mine) == ([("delete", True)], True, False, False, False)
    for new in (b"2", None):
        assert compare(b"1", new, mine, "keep") == ([], False, True, False, False)
        assert compare(b"1", new, mine, "stop") == ([], False, False, False, True)
        assert compare(b"1", new, mine, preserve=("/p/",)) == ([], False, False, True, False)
    assert compare(b"1", b"2", seen(b"1", 0o755)) == ([("replace", True)], True, False, False, False), "made executable"
    assert compare(b"1", b"2", seen(b"1", 0o600)) == ([("replace", False)], *nothing), "other modes are the site's"
    for kind in ("directory", "other", "behind-symlink", "behind-file"):
        odd = Observed(kind)  # type: ignore[arg-type]
        assert compare(b"1", b"2", odd) == ([], False, False, False, True), kind
        expected = ([], *nothing) if kind == "behind-file" else ([], False, True, False, False)
        assert compare(b"1", None, odd) == expected, kind


def test_a_symlink_whose_target_text_is_the_files_content_is_still_an_edit():
    link = Observed("symlink", hashlib.sha256(b"2").hexdigest(), 1, 0o777, 1, 1, "2")
    assert compare(b"1", b"2", link) == ([("replace", True)], True, False, False, False)


def test_a_change_survives_the_plan_file():
    old = Observed("symlink", "ab" * 32, 2, 0o777, 2**64 - 1, -6, "to \udcff")
    for change in (
        Change("a", "replace", one("a", b"1", mode=0o755), old, edited=True),
        Change("b", "delete", None, replace(seen(b"x"), mtime_ns=2**63 + 5, listed=False)),
        Change("c", "add", ManifestFile("c", "ab" * 32, 1, 0, "target")),
    ):
        reader = Reader(json.loads(dump_json(change.to_json(), ascii=True)), "the plan")
        assert Change.read(reader) == change
        reader.finish()
