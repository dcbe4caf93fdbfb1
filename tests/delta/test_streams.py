"""Native code as streams: what is made of two files leads from the one to the other, and nothing else gets through."""

from __future__ import annotations

import hashlib
import io
import random
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedgen.delta.native import Streams, make_streams, pack
from feedgen.errors import PublishError
from tests.support.native import library
from updater.delta import streams as reader
from updater.delta.streams import apply_streams
from updater.errors import UnsafeArchiveError

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden/delta"


def apply(packed: bytes, old: bytes, size: int) -> bytes:
    parts: list[bytes] = []
    apply_streams(packed, io.BytesIO(old), size, parts.append)
    assert all(parts)
    return b"".join(parts)


def round_trip(old: bytes, new: bytes) -> bytes:
    packed = pack(make_streams(old, new))
    assert apply(packed, old, len(new)) == new
    return packed


@st.composite
def edited(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A file, and the same after some edits: bytes changed, put in, taken out, moved about."""
    numbers = random.Random(draw(st.integers(0, 1 << 32)))
    alphabet = draw(st.sampled_from([2, 16, 256]))
    old = bytes(numbers.randrange(alphabet) for _ in range(draw(st.integers(0, 3000))))
    new = bytearray(old)
    for kind in draw(st.lists(st.sampled_from(["change", "insert", "delete", "move", "swap", "zeros"]), max_size=8)):
        at = numbers.randrange(len(new) + 1)
        length = numbers.randrange(1, 300)
        if kind == "change":
            for index in range(at, min(at + length, len(new)), 7):
                new[index] = new[index] + 3 & 255
        elif kind == "insert":
            new[at:at] = numbers.randbytes(length)
        elif kind == "delete":
            del new[at : at + length]
        elif kind == "move":
            piece = new[at : at + length]
            del new[at : at + length]
            to = numbers.randrange(len(new) + 1)
            new[to:to] = piece
        elif kind == "swap":
            new[:] = new[at:] + new[:at]
        else:
            new[at:at] = bytes(length)
    return old, bytes(new)


@settings(max_examples=200, deadline=None)
@given(edited())
def test_any_edits(pair: tuple[bytes, bytes]) -> None:
    round_trip(*pair)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_two_files(old: bytes, new: bytes) -> None:
    round_trip(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"", b""),
        (b"", b"new"),
        (b"old", b""),
        (b"x" * 100_000, b"x" * 99_999),
        (bytes(70_000), bytes(200_000)),
        (bytes(range(256)) * 999, bytes(range(255, -1, -1)) * 999),
    ],
)
def test_edges(old: bytes, new: bytes) -> None:
    round_trip(old, new)


def test_the_same_file_costs_next_to_nothing():
    code = library(2000, 0)
    assert len(round_trip(code, code)) < 50


def test_code_that_moved_costs_little():
    old, new = library(4000, 0), library(4000, 1024)
    assert len(round_trip(old, new)) < len(new) // 10


def test_functions_in_another_order_are_found():
    numbers = random.Random(3)
    pieces = [numbers.randbytes(400) for _ in range(200)]
    old = b"".join(pieces)
    numbers.shuffle(pieces)
    assert len(round_trip(old, b"".join(pieces))) < 2000


def test_views_of_memory_are_taken():
    old, new = library(100, 0), library(100, 8)
    assert make_streams(memoryview(old), memoryview(new)) == make_streams(old, new)


def test_files_that_are_too_large_are_left_to_another_codec(monkeypatch):
    monkeypatch.setattr("feedgen.delta.native.LARGEST", 100)
    with pytest.raises(PublishError, match="too large for streams"):
        make_streams(bytes(101), b"")
    with pytest.raises(PublishError, match="too large for streams"):
        make_streams(b"", bytes(101))


def test_files_that_are_too_different_are_told_as_new_bytes(monkeypatch):
    monkeypatch.setattr("feedgen.delta.native.MOST_CONTROL", 3)
    old, new = library(100, 0), library(100, 8)
    assert make_streams(old, new).extra == new
    round_trip(old, new)


# What does not depend on a version of liblzma: the streams. What every later reader must read: the packed bytes.
STREAMS_DIGEST = "05cd48bd9708fd9334e7e03280cf44bc93160853bc86c33e12f25d9ce73f92a0"


def test_the_same_streams_everywhere():
    made = make_streams(library(300, 0), library(300, 256))
    digest = hashlib.sha256()
    for stream in (made.control, made.gaps, made.values, made.extra):
        digest.update(len(stream).to_bytes(8, "little") + stream)
    assert digest.hexdigest() == STREAMS_DIGEST


def test_what_was_packed_once_is_read_for_ever():
    new = library(300, 256)
    assert apply((GOLDEN / "native.streams").read_bytes(), library(300, 0), len(new)) == new


# Hostile input


def hand_made(
    segments: list[tuple[int, int, int]], gaps: bytes = b"", values: bytes = b"", extra: bytes = b""
) -> bytes:
    from updater.schema.varints import signed, unsigned

    columns = [
        b"".join(unsigned(row[0]) for row in segments),
        b"".join(unsigned(row[1]) for row in segments),
        b"".join(signed(row[2]) for row in segments),
    ]
    control = b"".join((unsigned(len(columns[0])), unsigned(len(columns[1])), *columns))
    return pack(Streams(control, gaps, values, extra))


def test_the_hand_made_one_is_good():
    packed = hand_made([(2, 3, 1), (0, 2, -3)], b"\1", b"\xff", b"xyz")
    assert apply(packed, b"abcdefgh", 8) == b"xyddfdez"


@pytest.mark.parametrize(
    ("packed", "size", "message"),
    [
        (hand_made([(0, 9, 0)]), 9, "bytes 0 to 9 of an old file with 8"),
        (hand_made([(0, 1, 8)]), 1, "bytes 8 to 9"),
        (hand_made([(0, 1, -1)]), 1, "bytes -1 to 0"),
        (hand_made([(0, 1, 1 << 33)]), 1, "are asked for"),
        (hand_made([(0, 5, 0)]), 4, "longer than the 4 bytes"),
        (hand_made([(1 << 34, 5, 0)]), 4, "longer than the 4 bytes"),
        (hand_made([(0, 0, 0)]), 4, "not whole"),
        (hand_made([(0, 4, 0)]), 8, "ends too early"),
        (hand_made([], extra=b"abc"), 2, "something follows"),
        (hand_made([(0, 4, 0)], b"\4", b"\1"), 4, "more differences than bytes"),
        (hand_made([(0, 4, 0)], b"\1", b"\0"), 4, "a difference of nothing"),
        (hand_made([(0, 4, 0)], b"\1\1", b"\1"), 4, "ends too early"),
        (hand_made([(0, 4, 0)], b"\1", b"\1\1"), 4, "something follows"),
        (pack(Streams(b"\1\1\0\4", b"", b"", b"")), 4, "not whole"),
        (pack(Streams(b"\1\1\0\4\0\0", b"", b"", b"")), 4, "not whole"),
        (pack(Streams(b"\1\2\0\4\4\0", b"", b"", b"")), 4, "not whole"),
        (pack(Streams(b"\2\1\x80\0\4\0", b"", b"", b"")), 4, "shortest form"),
        (pack(Streams(b"\1\1\x80\4\0", b"", b"", b"")), 4, "does not end"),
        (pack(Streams(b"\6\1" + b"\xff" * 5 + b"\1\4\0", b"", b"", b"")), 4, "too long"),
        (pack(Streams(b"\x09\1\0\4\0", b"", b"", b"")), 4, "should follow"),
        (b"", 0, "should follow"),
        (b"\0\0\0\0\5\0\0", 0, "cut off"),
        (b"\xe2\x14\0\0\0\0\0\0", 0, "there is no method"),
        (b"\1\x17\0\0\0\0\0\0", 0, "a dictionary"),
        (b"\1\x0b\0\0\0\0\0\0", 0, "a dictionary"),
    ],
)
def test_hostile_streams_are_refused(packed: bytes, size: int, message: str) -> None:
    with pytest.raises(UnsafeArchiveError, match=message) as caught:
        apply(packed, b"abcdefgh", size)
    assert caught.value.hint


def test_files_beyond_the_limit_are_refused():
    with pytest.raises(UnsafeArchiveError, match="more than"):
        apply(hand_made([]), b"", reader.LARGEST + 1)


def test_a_bomb_in_the_control_stream_is_refused(monkeypatch):
    bomb = pack(Streams(bytes(1 << 20), b"", b"", b""))
    monkeypatch.setattr(reader, "MOST_CONTROL", 1 << 18)
    with pytest.raises(UnsafeArchiveError, match="too long"):
        apply(bomb, b"", 0)


def test_a_bomb_in_another_stream_is_not_unpacked():
    """8 MiB of new bytes for a file of ten: refused after the first chunk."""
    packed = pack(Streams(b"\0\0", b"", b"", bytes(1 << 23)))
    written: list[bytes] = []
    with pytest.raises(UnsafeArchiveError, match="something follows"):
        apply_streams(packed, io.BytesIO(), 10, written.append)
    assert sum(map(len, written)) <= 10


@pytest.mark.parametrize("repeated", [False, True])
def test_damage_anywhere(repeated):
    """Each byte changed, and each end cut off: refused, or another file of that size, which its digest tells."""
    old = library(40, 0)
    new = library(40, 64) + (old * 3 if repeated else b"")
    packed = pack(make_streams(old, new))
    refused = 0
    for at in range(len(packed)):
        for damaged in (packed[:at] + bytes((packed[at] ^ 1 << at % 8,)) + packed[at + 1 :], packed[:at]):
            try:
                assert len(apply(damaged, old, len(new))) == len(new)
            except UnsafeArchiveError:
                refused += 1
    assert refused > len(packed)
    with pytest.raises(UnsafeArchiveError, match=r"something follows|ends too early|damaged"):
        apply(packed + b"\0", old, len(new))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 300))
def test_any_bytes(packed: bytes, size: int) -> None:
    try:
        assert len(apply(packed, b"abcdefgh" * 20, size)) == size
    except UnsafeArchiveError:
        pass


def test_an_old_file_that_becomes_shorter_is_noticed():
    class Shrinking(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(size)[:-1]

    with pytest.raises(UnsafeArchiveError, match="became shorter"):
        apply_streams(hand_made([(0, 4, 0)]), Shrinking(b"abcd"), 4, lambda data: None)


APPLY = """
import resource, sys
from updater.delta.streams import apply_streams
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
size = int(sys.argv[3])
done = 0
def write(data):
    global done
    assert len(data) <= 1 << 18
    done += len(data)
with open(sys.argv[1], "rb") as packed, open(sys.argv[2], "rb") as old:
    apply_streams(packed, old, size, write)
assert done == size
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_does_not_grow_with_the_file(tmp_path):
    """100 MB of an old file, with a difference each 200 bytes, and 1 MB of new bytes."""
    old = tmp_path / "old"
    with old.open("wb") as file:
        file.truncate(100_000_000)
    pairs = 500_000
    extra = random.Random(5).randbytes(1 << 16) * 16
    packed = tmp_path / "packed"
    packed.write_bytes(hand_made([(0, 100_000_000, 0)], b"\xc7" * pairs, b"\1" * pairs, extra))
    size = 100_000_000 + len(extra)
    command = [sys.executable, "-c", textwrap.dedent(APPLY), str(packed), str(old), str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert int(done.stdout) < 16 << 10  # KiB


def test_the_reader_needs_no_package():
    code = "import updater.delta.streams, lzma"
    # `updater.delta` itself brings zstd; the modules of the streams must not.
    source = (ROOT / "updater/delta/streams.py").read_text() + (ROOT / "updater/delta/packed.py").read_text()
    assert "zstd" not in source and "numpy" not in source
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
