"""Deltas that no publisher makes: refused, in bounded memory, and nothing is written but what `create` is asked for."""

from __future__ import annotations

import io
import random
import sys
import tracemalloc
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.catalogs import make_catalog, make_record
from tests.support.deltas import apply, make_delta, tree_of
from tests.support.packages import Built, Symlink, make_package
from updater.delta import DeltaReader
from updater.delta.cursor import Cursor
from updater.delta.reader import MAGIC
from updater.delta.zstd import MAGIC as FRAME
from updater.delta.zstd import zstd
from updater.errors import FeedError, TargetMismatchError, UnsafeArchiveError, UnsupportedSchemaError
from updater.schema.varints import signed, unsigned


def _trees() -> tuple[Built, Built]:
    texts = {b"one": b"eins", b"two": b"zwei"}
    lines = [b"line %d is here for everyone to read\n" % number for number in range(30)]
    old = {"a.txt": b"".join(lines), "b.mo": make_catalog(texts), "gone": b"x" * 50, "m/x.py": b"A = 1\n"}
    new = {"a.txt": b"".join([*lines[:9], b"new\n", *lines[10:]]), "b.mo": make_catalog({**texts, b"three": b"drei"})}
    new |= {"m/x.py": b"A = 2\n", "added": b"fresh"}
    listed = [{path: data for path, data in tree.items() if path != "b.mo"} for tree in (old, new)]
    before = old | {"m-1.0.0.dist-info/RECORD": make_record(listed[0], "m-1.0.0.dist-info")}
    after = new | {"m-1.1.0.dist-info/RECORD": make_record(listed[1], "m-1.1.0.dist-info"), "link": Symlink("a.txt")}
    return make_package(before), make_package(after, version="1.1.0", deleted=["gone"], executable=["added"])


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Built, Built]:
    old, new = _trees()
    return make_delta(tmp_path_factory.mktemp("delta"), old, new).path.read_bytes(), old, new


def test_every_bit_flip_is_refused_or_found_by_the_manifest(small: tuple[bytes, Built, Built]) -> None:
    delta, old, new = small
    tree = tree_of(old)
    for position in range(len(delta)):
        for bit in (1, 32):
            damaged = bytearray(delta)
            damaged[position] ^= bit
            try:
                manifest, built = apply(bytes(damaged), old.manifest, tree)
            except FeedError:
                continue
            assert built.keys() <= manifest.files.keys()
            if manifest.to_bytes() == new.manifest_bytes:
                assert built.items() <= tree_of(new).items()


def test_every_truncation_is_refused(small: tuple[bytes, Built, Built]) -> None:
    delta, old, _ = small
    for length in range(len(delta)):
        with pytest.raises(FeedError):
            apply(delta[:length], old.manifest, tree_of(old))
    with pytest.raises(FeedError):
        apply(delta + b"\0", old.manifest, tree_of(old))


def test_another_old_release_is_refused_or_found(small: tuple[bytes, Built, Built]) -> None:
    delta, _, new = small
    other = make_package({"a.txt": b"quite another tree\n"})
    try:
        manifest, _ = apply(delta, other.manifest, tree_of(other))
    except FeedError:
        return
    assert manifest.to_bytes() != new.manifest_bytes


def test_an_edited_old_file_is_found_by_its_digest_beforehand_or_by_the_manifest(
    small: tuple[bytes, Built, Built],
) -> None:
    delta, old, new = small
    tree = tree_of(old) | {"a.txt": tree_of(old)["a.txt"].replace(b"line 20", b"LINE 20")}
    assert apply(delta, old.manifest, tree)[0].to_bytes() != new.manifest_bytes
    with pytest.raises(TargetMismatchError, match="shorter"):
        apply(delta, old.manifest, tree | {"a.txt": b"short"})


def test_a_newer_major_version_asks_for_a_newer_updater(small: tuple[bytes, Built, Built]) -> None:
    delta, old, _ = small
    with pytest.raises(UnsupportedSchemaError, match="format 2") as caught:
        DeltaReader.open(io.BytesIO(delta[:3] + b"\2" + delta[4:]), old.manifest)
    assert caught.value.hint


def crafted(outline: bytes, table: bytes, body: bytes = b"") -> bytes:
    """A delta with a head that is not packed."""
    head = outline + table
    return MAGIC + unsigned(len(head)) + unsigned(0) + head + body


def outline(new: Built, rest: bytes, flags: int = 0) -> bytes:
    """An outline with the real fields of a manifest."""
    import dataclasses

    header = dataclasses.replace(new.manifest, files={}).to_bytes()
    return unsigned(flags) + unsigned(len(header)) + header + rest


NOTHING = unsigned(0)
ONE_OLD = make_package({"a": b"old\n", "l": Symlink("a")}, version="1.0.0")
ONE_NEW = make_package({"a": b"new\n", "l": Symlink("a")}, version="1.1.0")
A_CHANGES = NOTHING + unsigned(1) + unsigned(0) + NOTHING + b"\1"  # none gone; the first changes; none added; new


def added(path: bytes, flag: bytes = b"\1\4") -> bytes:
    return NOTHING + NOTHING + unsigned(1) + unsigned(0) + unsigned(0) + unsigned(len(path)) + path + flag


HEADS = {
    "a path that leaves the tree": outline(ONE_NEW, added(b"../x")),
    "an absolute path": outline(ONE_NEW, added(b"/x")),
    "a path of the site": outline(ONE_NEW, added(b".updater/journal")),
    "a path that is not UTF-8": outline(ONE_NEW, added(b"\xff")),
    "a path out of order": outline(ONE_NEW, NOTHING + NOTHING + unsigned(1) + unsigned(2) + NOTHING + b"\1A\1\4"),
    "a path that is there": outline(ONE_NEW, added(b"a")),
    "two names for one file": outline(ONE_NEW, added(b"A")),
    "a file that is a folder": outline(ONE_NEW, NOTHING * 2 + unsigned(1) + unsigned(1) + NOTHING + b"\3a/b\1\4"),
    "a symlink that leaves the tree": outline(ONE_NEW, added(b"Z", b"\3\4../x")),
    "a copy of a symlink": outline(ONE_NEW, added(b"Z", b"\2\1")),
    "content that was never there": outline(ONE_NEW, added(b"Z", b"\0")),
    "unknown flags": outline(ONE_NEW, added(b"Z", b"\x10\4")),
    "a negative size": outline(ONE_NEW, A_CHANGES + signed(-5)),
    "a huge size": outline(ONE_NEW, A_CHANGES + signed(2**41)),
    "more positions than files": outline(ONE_NEW, unsigned(9) + b"\0" * 20),
    "a position beyond the end": outline(ONE_NEW, unsigned(1) + unsigned(70)),
    "unknown flags of the outline": outline(ONE_NEW, b"", flags=4),
    "fields that are no manifest": unsigned(0) + unsigned(2) + b"{}",
    "a number that does not end": outline(ONE_NEW, b"\xff" * 12),
    "a number in a longer form": outline(ONE_NEW, b"\x80\x00"),
}


@pytest.mark.parametrize("what", HEADS)
def test_a_head_that_breaks_a_rule_is_refused(what: str) -> None:
    with pytest.raises(UnsafeArchiveError):
        DeltaReader.open(io.BytesIO(crafted(HEADS[what], NOTHING * 3)), ONE_OLD.manifest)


CHANGED = outline(ONE_NEW, A_CHANGES + signed(0))
TABLES = {
    "no group": NOTHING,
    "a group of nothing": unsigned(2) + b"\0\0" + NOTHING + b"\0\0",
    "unknown flags": unsigned(1) + b"\0\x04" + b"\4\0\0\4",
    "a symlink as reference": unsigned(1) + b"\1\1" + b"\2\1" + b"\4\0\0\4",
    "an old file beyond the end": unsigned(1) + b"\1\1" + b"\2\x40" + b"\4\0\0\4",
    "an empty piece": unsigned(1) + b"\0\0" + b"\0\0\0\0",
    "a piece larger than its targets": unsigned(1) + b"\0\0" + b"\5\0\0\4",
    "a prefix beyond the old files": unsigned(1) + b"\1\0" + b"\4\2\3\4",
    "more bytes than there are": unsigned(1) + b"\0\0" + b"\4\0\0\x7f",
    "fewer bytes than there are": unsigned(1) + b"\0\0" + b"\4\0\0\3",
    "bytes after the table": unsigned(1) + b"\0\0" + b"\4\0\0\4" + b"\0",
}


@pytest.mark.parametrize("what", TABLES)
def test_a_table_that_breaks_a_rule_is_refused(what: str) -> None:
    with pytest.raises(UnsafeArchiveError):
        DeltaReader.open(io.BytesIO(crafted(CHANGED, TABLES[what], b"new\n")), ONE_OLD.manifest)


def test_the_table_that_breaks_none_is_read() -> None:
    delta = crafted(CHANGED, unsigned(1) + b"\0\0" + b"\4\0\0\4", b"new\n")
    assert apply(delta, ONE_OLD.manifest, tree_of(ONE_OLD))[1] == {"a": b"new\n"}


def test_an_unknown_codec_costs_its_own_group_only() -> None:
    two_old, two_new = (
        make_package({"a": b"1\n", "b": b"1\n"}),
        make_package({"a": b"2\n", "b": b"2\n"}, version="1.1.0"),
    )
    head = outline(two_new, NOTHING + b"\2\0\0" + NOTHING + b"\1\1" + b"\0\0")
    table = unsigned(2) + b"\x63\0" + b"\1\0" + b"\5" + b"\0\0" + b"\2\0\0\2"
    reader = DeltaReader.open(io.BytesIO(crafted(head, table, b"?????2\n")), two_old.manifest)
    unknown, known = reader.groups
    with pytest.raises(UnsupportedSchemaError, match="in the way 99"):
        reader.decode(unknown, lambda file: io.BytesIO(), lambda file: nullcontext(io.BytesIO()))
    sink = io.BytesIO()
    reader.decode(known, lambda file: io.BytesIO(), lambda file: nullcontext(sink))
    assert ([file.path for file in known.targets], sink.getvalue()) == (["b"], b"2\n")


def native(chosen: bytes, body: bytes = b"\0\0\0\0\2\0\0\0\0new\n") -> bytes:
    """A delta whose one group tells ``a`` as native code: without segments, all of it new."""
    return crafted(CHANGED, unsigned(1) + b"\2" + chosen, body)


def test_native_code_by_hand_is_good() -> None:
    assert apply(native(b"\0"), ONE_OLD.manifest, tree_of(ONE_OLD))[1] == {"a": b"new\n"}


@pytest.mark.parametrize(
    "delta",
    [
        pytest.param(native(b"\1\1"), id="no old file"),
        pytest.param(native(b"\0", b"\0\0\0\0\2\0\0\0\0new"), id="cut off"),
        pytest.param(native(b"\0", b"\0\0\0\0\2\0\0\0\0new\nmore"), id="more than the file"),
        pytest.param(native(b"\0", b""), id="nothing"),
    ],
)
def test_native_code_that_does_not_fit_is_refused(delta: bytes) -> None:
    with pytest.raises(UnsafeArchiveError):
        apply(delta, ONE_OLD.manifest, tree_of(ONE_OLD))


def test_native_code_of_several_files_is_refused() -> None:
    old, new = (make_package({"a": data, "b": data}, version=f"1.{data.decode()}.0") for data in (b"1", b"2"))
    head = outline(new, NOTHING + b"\2\0\0" + NOTHING + b"\1\1" + b"\0\0")
    delta = crafted(head, unsigned(1) + b"\2\0", b"\0\0\0\0\2\0\0\0\0" + b"22")
    with pytest.raises(UnsafeArchiveError, match="more or less than one file"):
        apply(delta, old.manifest, tree_of(old))


def test_a_python_without_lzma_takes_native_code_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lzma", None)
    with pytest.raises(UnsupportedSchemaError, match="without lzma"):
        apply(native(b"\0"), ONE_OLD.manifest, tree_of(ONE_OLD))


def edits(control: bytes, text: bytes = b"new\n") -> bytes:
    """A delta whose one group tells ``a`` as edits."""
    from feedgen.delta.pack import compress

    body = unsigned(len(control)) + unsigned(0) + control + compress(text, b"old\n")
    return crafted(CHANGED, unsigned(1) + b"\3\0", body)


CONTROLS = {
    "an unknown form": b"\0\4\0",
    "a catalog that cannot be": b"\0\2\x02\0",
    "a catalog of too many strings": b"\0\2\xff\xff\xff\x7f\0",
    "more kept than there was": b"\0\0\1\1\0\2",
    "kept from before the beginning": b"\0\0\1\0\1\1",
    "nothing kept": b"\0\0\1\1\0\0",
    "a huge run": b"\0\0\1\1\0" + unsigned(2**30),
    "a size of its own": b"\0\3\x64\0",
    "more edits than bytes": b"\0\0\x7f\1\1\1",
    "too much context": unsigned(2**11) + b"\0\0",
    "more after its end": b"\0\0\0\0",
}


@pytest.mark.parametrize("what", CONTROLS)
def test_edits_that_do_not_fit_are_refused(what: str) -> None:
    with pytest.raises(UnsafeArchiveError):
        apply(edits(CONTROLS[what]), ONE_OLD.manifest, tree_of(ONE_OLD))
    assert apply(edits(b"\0\0\0"), ONE_OLD.manifest, tree_of(ONE_OLD))[1] == {"a": b"new\n"}


def test_a_bomb_stops_at_the_size_that_was_said() -> None:
    bomb = zstd.compress(bytes(40 << 20), 1).removeprefix(FRAME)
    deltas = [
        MAGIC + unsigned(1 << 20) + unsigned(len(bomb)) + bomb,
        crafted(CHANGED, unsigned(1) + b"\1\0" + b"\4\0\0" + unsigned(len(bomb)), bomb),
        crafted(CHANGED, unsigned(1) + b"\3\0", b"\3\0\0\0\0" + bomb),
    ]
    tracemalloc.start()
    try:
        for delta in deltas:
            with pytest.raises(UnsafeArchiveError):
                apply(delta, ONE_OLD.manifest, tree_of(ONE_OLD))
        assert tracemalloc.get_traced_memory()[1] < 24 << 20
    finally:
        tracemalloc.stop()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    for start in (b"", MAGIC, MAGIC + b"\x40\x00"):
        with pytest.raises(FeedError):
            apply(start + data, ONE_OLD.manifest, tree_of(ONE_OLD))


@given(st.integers(0, 2**62), st.integers(-(2**61), 2**61))
def test_numbers_come_back(number: int, either: int) -> None:
    cursor = Cursor(unsigned(number) + signed(either), "x")
    assert (cursor.unsigned(2**62), cursor.signed(2**61)) == (number, either)
    cursor.finish()


def test_a_large_file_is_built_in_bounded_memory(tmp_path: Path) -> None:
    rng = random.Random(6)
    old_data = rng.randbytes(20 << 20)
    new_data = b"in front" + old_data[: 9 << 20] + rng.randbytes(1000) + old_data[9 << 20 :]
    old, new = make_package({"big": old_data}), make_package({"big": new_data}, version="1.1.0")
    created = make_delta(tmp_path, old, new)
    assert created.size < 20_000
    (tmp_path / "old").write_bytes(old_data)
    with created.path.open("rb") as file, (tmp_path / "new").open("wb") as out:
        reader = DeltaReader.open(file, old.manifest)
        groups = {group.targets[0].path: group for group in reader.groups}
        tracemalloc.start()
        try:
            reader.decode(groups["big"], lambda file: (tmp_path / "old").open("rb"), lambda file: nullcontext(out))
            assert tracemalloc.get_traced_memory()[1] < 30 << 20
        finally:
            tracemalloc.stop()
    assert (tmp_path / "new").read_bytes() == new_data
