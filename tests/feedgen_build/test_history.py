"""The order of a package: what changed last comes first, told from tags and object ids alone."""

from __future__ import annotations

import zipfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from feedgen.build import BuiltRelease
from feedgen.build.history import MOST_EARLIER, Earlier, Layer, in_layers
from tests.feedgen_build.repo import Repo, config, config_text
from updater.package.index import IndexHead

V = "version.json"


def order(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def layers(built: BuiltRelease) -> tuple[Layer, ...]:
    """What the index beside the package says."""
    assert built.index is not None
    data = built.index.path.read_bytes()
    head = IndexHead.parse(data[: built.index.head_size], len(data))
    found = []
    for number, block in enumerate(head.blocks):
        content = head.read_block(number, data[block.offset : block.end])
        found.append(Layer(block.since, tuple(member.path for member in content.members), content.gone))
    assert order(built.package_path)[:-1] == [path for layer in found for path in layer.paths]
    return tuple(found)


def test_what_changed_last_comes_first(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    repo.release("v1.0.0", {"a": "1", "b": "1", "c": "1", "gone": "1", "tool": "1"})
    repo.release("v1.1.0", {"b": "2", "gone": None, "new": "1"})
    repo.release("v1.2.0", {"c": "2", "tool": "1"}, executable=("tool",))

    built = repo.build("v1.2.0", tmp_path)

    assert layers(built) == (
        Layer("1.2.0", ("c", "tool", V)),
        Layer("1.1.0", ("b", "new"), ("gone",)),
        Layer("1.0.0", ("a",)),
    )
    assert order(built.package_path) == ["c", "tool", V, "b", "new", "a", "update_manifest.json"]
    assert list(built.manifest.files) == sorted(built.manifest.files)


def test_a_first_release_is_in_order_of_path(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    repo.release("v1.0.0", {"b": "1", "a": "1", "C": "1", "\u00e9": "1"})
    assert layers(repo.build("v1.0.0", tmp_path)) == (Layer("1.0.0", ("C", "a", "b", V, "\u00e9")),)


def test_each_release_counts_with_its_own_settings(tmp_path: Path) -> None:
    """What a release left out is new later, and what it had is gone later, though git had both all the time."""
    repo = Repo(tmp_path / "repo")
    settings = config_text(build='exclude = ["feedgen.toml", "late"]')
    repo.release("v1.0.0", {"a": "1", "late": "1", "early": "1", "feedgen.toml": settings})
    repo.release("v1.1.0", {"feedgen.toml": config_text(build='exclude = ["feedgen.toml", "early"]')})

    built = repo.build("v1.1.0", tmp_path, config(build='exclude = ["feedgen.toml", "early"]'))

    assert layers(built) == (Layer("1.1.0", ("late", V), ("early",)), Layer("1.0.0", ("a",)))


def test_only_ancestors_below_the_version_count(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    first = repo.release("v1.0.0", {"a": "1", "b": "1"})
    repo.release("v2.0.0", {"a": "2"})
    repo.git("tag", "nightly", first)
    repo.git("checkout", "--quiet", "--detach", first)
    repo.release("v1.0.1", {"b": "2"})
    repo.git("tag", "v3.0.0", "v1.0.1")
    assert [layer.since for layer in layers(repo.build("v1.0.1", tmp_path))] == ["1.0.1", "1.0.0"]


def test_outputs_of_the_build_command_count_as_changed(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    repo.release("v1.0.0", {"a": "1", "made": "from git"})
    repo.release("v1.1.0", {})
    built = repo.build("v1.1.0", tmp_path, config(build='command = ["true"]\noutputs = ["made"]'))
    assert layers(built) == (Layer("1.1.0", ("made", V)), Layer("1.0.0", ("a",)))


def test_a_long_history_is_cut(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo")
    repo.release("v0.1.0", {"old": "1", "a": "1"})
    for number in range(MOST_EARLIER + 1):
        repo.release(f"v1.{number}.0", {"a": str(number)})
    repo.release("v2.0.0", {})
    found = layers(repo.build("v2.0.0", tmp_path))
    assert found == (Layer("2.0.0", (V,)), Layer("1.32.0", ("a",)), Layer(None, ("old",)))


Trees = st.lists(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("12")), min_size=1, max_size=6)


@given(Trees)
def test_a_site_of_any_recorded_release_learns_what_it_lacks(trees: list[dict[str, str]]) -> None:
    """Layers newer than the site's release hold every file that differs there, and name every one that is gone."""
    versions = [f"1.{place}" for place in range(len(trees))]
    *earlier, new = trees
    told = [Earlier(version, tree) for version, tree in zip(versions, earlier, strict=False)][::-1]
    layers = in_layers(versions[-1], new, new, told)

    assert sorted(path for layer in layers for path in layer.paths) == sorted(new)
    for version, tree in zip(versions, earlier, strict=False):
        fetched = [layer for layer in layers if layer.since and float(layer.since) > float(version)]
        listed = {path for layer in fetched for path in layer.paths}
        gone = {path for layer in fetched for path in layer.gone}
        rebuilt = {path: found for path, found in tree.items() if path not in gone | listed}
        assert rebuilt | {path: new[path] for path in listed} == new
        assert not gone & new.keys()
