"""The package index: what is written is read back, for every installed release; hostile bytes are refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.packages import Built, Symlink, make_package
from updater.errors import FeedError, SchemaError, TargetMismatchError
from updater.package import read_tail
from updater.package.index import BlockContent, IndexHead, NewBlock, PackedMember, Rebuilt, rebuild, write_index
from updater.package.index.columns import Columns, write_paths
from updater.schema.manifest import Manifest
from updater.schema.varints import unsigned
from updater.zstd import decode_frame, encode_frame

Tree = dict[str, bytes | Symlink]

contents = st.binary(max_size=300) | st.sampled_from([b"", b"x" * 5000]) | st.sampled_from(["a", "b/c"]).map(Symlink)
trees = st.dictionaries(st.from_regex(r"[a-d]{1,2}(\.py)?|[e-h]/[a-c]{1,2}|ü/é", fullmatch=True), contents, max_size=8)


def releases(history: Sequence[Mapping[str, bytes | Symlink]], *, cut: bool = False) -> list[Built]:
    """Releases 1.0, 1.1, …, oldest first; each knows those before it."""
    found: list[Built] = []
    for number, tree in enumerate(history):
        before = found[::-1]
        found.append(make_package(tree, version=f"1.{number}", before=before, history_cut=cut))
    return found


def head_of(built: Built) -> IndexHead:
    assert built.index is not None
    return IndexHead.parse(built.index.data[: built.index.head_size], len(built.index.data))


def read(built: Built, installed: Manifest | None) -> tuple[Rebuilt, int]:
    """What a site with ``installed`` rebuilds, and from how many blocks."""
    head = head_of(built)
    assert built.index is not None
    needed = head.needed(None if installed is None else installed.version)
    blocks = [head.read_block(n, built.index.data[b.offset : b.end]) for n, b in enumerate(needed)]
    return rebuild(head, blocks, installed), len(needed)


def complete(outline: Manifest, truth: Manifest) -> bytes:
    """The outline with the full digests of what is fetched; only those of which it has the beginning."""
    files = dict(outline.files)
    for path, file in outline.files.items():
        if len(file.sha256) < 64:
            real = truth.files[path]
            assert (real.size, real.sha256[:8], real.mode) == (file.size, file.sha256, file.mode)
            files[path] = replace(file, sha256=real.sha256, symlink=real.symlink)
    return replace(outline, files=files).to_bytes()


@settings(max_examples=60, deadline=None)
@given(st.lists(trees, min_size=2, max_size=5), st.booleans())
def test_every_release_leads_to_the_newest(history: list[Tree], cut: bool) -> None:
    made = releases(history, cut=cut)
    newest = made[-1]
    tail = read_tail(
        newest.tail,
        newest.tail_offset,
        manifest_sha256=newest.manifest_sha256,
        manifest_size=len(newest.manifest_bytes),
    )
    places = {member.path: member for member in tail.members}
    for installed in (None, *(built.manifest for built in made[:-1])):
        rebuilt, _ = read(newest, installed)
        assert complete(rebuilt.outline, newest.manifest) == newest.manifest_bytes
        for path, (offset, member) in rebuilt.members.items():
            assert (offset, member.packed_size) == (places[path].offset, places[path].packed_size)
            assert member.stored == (places[path].method == 0)
        known = {} if installed is None else installed.files
        lacking = [p for p, f in newest.manifest.files.items() if p not in known or not known[p].same_content(f)]
        assert set(lacking) <= set(rebuilt.members)
        if rebuilt.whole:
            assert rebuilt.end == newest.tail_offset


def test_a_site_reads_the_blocks_since_its_release_alone() -> None:
    a, b, c = releases([{"a": b"1", "b": b"1", "c": b"1"}, {"a": b"2", "b": b"1"}, {"a": b"2", "b": b"2"}])
    rebuilt, count = read(c, b.manifest)
    assert (count, list(rebuilt.members)) == (1, ["b", "version.json"])
    rebuilt, count = read(c, a.manifest)
    assert (count, list(rebuilt.members)) == (2, ["b", "version.json", "a"])
    assert "c" not in rebuilt.outline.files
    assert read(c, None)[1] == 3


def test_where_the_history_was_cut_all_blocks_are_read() -> None:
    _, b, c = releases([{"a": b"1"}, {"a": b"2"}, {"b": b"3"}], cut=True)
    assert [block.since for block in head_of(c).blocks] == ["1.2", "1.1", None]
    assert [read(c, replace(b.manifest, version=version))[1] for version in ("1.1", "1.0", "0.9")] == [1, 3, 3]


def test_what_did_not_change_in_bytes_keeps_its_digest() -> None:
    """A file that got another mode is listed, and need not be fetched."""
    old = make_package({"run": b"#!"}, version="1.0")
    new = make_package({"run": b"#!"}, version="1.1", executable=["run"], before=[old])
    rebuilt, _ = read(new, old.manifest)
    assert rebuilt.outline.files["run"] == new.manifest.files["run"]


def test_what_no_index_can_hold_is_not_written() -> None:
    manifest = make_package({"a": b"1"}).manifest
    packed = {path: PackedMember(file.size, stored=True) for path, file in manifest.files.items()}
    paths = list(manifest.files)
    write_index(manifest, packed, [NewBlock("1.0.0", paths)])
    extra = replace(manifest, files={p: replace(f, extra={"x": 1}) for p, f in manifest.files.items()})
    for wrong, blocks in (
        (extra, [NewBlock("1.0.0", paths)]),
        (manifest, [NewBlock("1.0.0", paths[1:])]),
        (manifest, [NewBlock("1.0.0", [*paths, paths[0]])]),
        (manifest, [NewBlock("1.0.0", paths), NewBlock("1.1.0", [])]),
        (manifest, [NewBlock(None, []), NewBlock("1.0.0", paths)]),
        (manifest, []),
    ):
        with pytest.raises(ValueError, match=r"rebuilt|refused"):
            write_index(wrong, packed, blocks)


# hostile bytes

OLD, NEW = releases([{"a": b"1" * 100, "b": b"2", "gone": b"3"}, {"a": b"1" * 100, "b": b"3", "c": b"4"}])
assert NEW.index is not None
HEAD = json.loads(NEW.index.data[: NEW.index.head_size])
SIZE = len(NEW.index.data)


def parse(**changes: object) -> IndexHead:
    data = json.dumps({**HEAD, **changes}).encode()
    return IndexHead.parse(data, SIZE - NEW.index.head_size + len(data))  # type: ignore[union-attr]


def blocks(**changes: object) -> list[dict[str, object]]:
    return [{**HEAD["blocks"][0], **changes}, HEAD["blocks"][1]]


@pytest.mark.parametrize(
    ("changes", "said"),
    {
        "newer major": ({"schema": "2.0"}, "this version reads"),
        "no blocks": ({"blocks": []}, "is empty"),
        "blocks missing": ({"blocks": None}, "blocks"),
        "too short": ({"blocks": HEAD["blocks"][:1]}, "end at byte"),
        "too long": ({"blocks": blocks(size=2**20)}, "end at byte"),
        "oldest first": ({"blocks": HEAD["blocks"][::-1]}, "from the newest"),
        "since in the middle missing": ({"blocks": blocks(since=None)}, "from the newest"),
        "not a version": ({"blocks": blocks(since="new")}, "not a version"),
        "a number too large": ({"blocks": blocks(files=2**40)}, "from 0 to"),
        "more files than a zip": ({"blocks": [{**b, "files": 40_000} for b in HEAD["blocks"]]}, "more than 65534"),
        "no manifest": ({"manifest": []}, "must be an object"),
        "files in the manifest": ({"manifest": json.loads(NEW.manifest_bytes)}, "lists files"),
    }.values(),
)
def test_heads_that_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        parse(**changes)


def test_a_head_is_bounded() -> None:
    with pytest.raises(SchemaError, match="at most"):
        IndexHead.parse(b" " * (2**24 + 1), 2**25)


def block(raw: bytes, files: int = 1, *, frame: bytes | None = None) -> BlockContent:
    data = encode_frame(raw) if frame is None else frame
    described = [{"since": "1.1", "files": files, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}]
    head = json.dumps({**HEAD, "blocks": described}).encode()
    return IndexHead.parse(head, len(head) + len(data)).read_block(0, data)


def columns(path: bytes = b"a", size: int = 3, packed: int = 3, flag: int = 4, gone: bytes = b"") -> bytes:
    head = b"\1\0" if not gone else b"\1\1"
    return head + bytes([0, len(path)]) + path + unsigned(size) + unsigned(packed) + bytes([flag]) + b"abcd" + gone


def test_the_block_that_the_hostile_ones_are_made_from_is_good() -> None:
    assert [m.path for m in block(columns()).members] == ["a"]
    assert block(columns(gone=b"\0\1b")).gone == ("b",)


@pytest.mark.parametrize(
    ("raw", "said"),
    {
        "empty": (b"", "ends early"),
        "another count": (b"\2\0", "its head says 1"),
        "cut short": (columns()[:-1], "ends early"),
        "more after it": (columns() + b"x", "after its end"),
        "absolute": (columns(b"/a"), "absolute"),
        "upwards": (columns(b"../a"), "segment"),
        "the site's own": (columns(b"updater.toml"), "belongs to the site"),
        "not UTF-8": (columns(b"\xff"), "not UTF-8"),
        "gone upwards": (columns(gone=b"\0\2.."), "segment"),
        "shares with nothing": (b"\1\0\1\1a", "at most 0"),
        "a path too long": (b"\1\0\0\x81\x08", "at most 1024"),
        "not the shortest": (b"\x81\x00\0", "shortest"),
        "over 64 bits": (b"\xff" * 11, "64 bits"),
        "unknown flag": (columns(flag=8), "unknown kind"),
        "executable symlink": (columns(flag=3), "unknown kind"),
        "stored and smaller": (columns(packed=2), "takes 2"),
        "deflated and not smaller": (columns(flag=0), "takes 3"),
        "too large a file": (columns(size=2**32), "at most"),
    }.values(),
)
def test_blocks_that_are_refused(raw: bytes, said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        block(raw)


def test_frames_that_are_refused() -> None:
    good = encode_frame(columns())
    for frame in (b"x", good[:-1], good + b"x", good + good, good[:-2] + b"xx", good[:10]):
        with pytest.raises(SchemaError, match="zstd"):
            block(b"", frame=frame)
    with pytest.raises(SchemaError, match="not at most"):
        block(b"", frame=encode_frame(bytes(2**25 + 1)))


def test_a_block_is_what_its_head_signed() -> None:
    head = head_of(NEW)
    with pytest.raises(TargetMismatchError):
        head.read_block(0, b"x" * head.blocks[0].size)


def test_the_same_path_twice_and_collisions_are_refused() -> None:
    head = head_of(NEW)
    twice = [block(columns(b"a")), block(columns(b"a"))]
    for wrong, said in ((twice, "twice"), ([block(columns(b"A")), block(columns(b"a"))], "collide")):
        with pytest.raises(SchemaError, match=said):
            rebuild(head, wrong, None)
    with pytest.raises(ValueError, match="all blocks"):
        rebuild(head, [], None)


def test_many_paths_out_of_few_bytes_are_bounded() -> None:
    """Each path shares a kilobyte with the one before: 130 kB of index would become 65 MB of text."""
    long = b"/".join([b"a" * 200] * 5)
    raw = unsigned(60_000) + b"\0\0" + unsigned(len(long)) + long + unsigned(len(long)) + b"\0" * 1
    raw += (unsigned(len(long)) + b"\0") * 59_998
    with pytest.raises(SchemaError, match="bytes of paths"):
        block(raw, files=60_000)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_damage_is_refused_or_harmless(data: st.DataObject) -> None:
    raw = bytearray(columns(gone=b"\0\1b"))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        block(bytes(raw), files=raw[0])
    except FeedError:
        pass


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_numbers_come_back(numbers: list[int]) -> None:
    columns = Columns(b"".join(map(unsigned, numbers)))
    assert columns.numbers(len(numbers), 2**64 - 1) == numbers
    columns.finish()


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40)))
def test_paths_come_back(paths: list[str]) -> None:
    columns = Columns(write_paths(paths))
    assert list(columns.paths(len(paths), 1024)) == paths
    columns.finish()


@settings(deadline=None)
@given(st.binary(max_size=2000))
def test_frames_come_back(data: bytes) -> None:
    assert decode_frame(encode_frame(data), 2000) == data
