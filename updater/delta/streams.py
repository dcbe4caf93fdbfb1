"""Applying the streams of a native library: long runs of the old file, plus differences, plus new bytes.

The format is docs/formats.md section 12.7. Memory is that of four decoders, the control stream (at most MOST_CONTROL
bytes) and about a mebibyte of differences, whatever the size of the files.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from itertools import chain
from typing import BinaryIO

from updater.delta.cursor import Cursor, refuse
from updater.delta.packed import PackedStream, Seekable, open_streams

__all__ = ["LARGEST", "MOST_CONTROL", "apply_streams"]

LARGEST = 1 << 28
"""Bytes of the old and of the new file, at most."""

MOST_CONTROL = 1 << 23
"""Bytes of the control stream, unpacked, at most."""

_CHUNK = 1 << 16
_PAIRS = 1 << 12
_NAME = "a group of native code"
_ZEROS = bytes(_CHUNK)
_HIGH = int.from_bytes(b"\x80" * _CHUNK, "little")
_LOW = int.from_bytes(b"\x7f" * _CHUNK, "little")
_RUN = [bytes(length) for length in range(256)]
_BYTE = [bytes((value,)) for value in range(256)]


def apply_streams(packed: Seekable | bytes, old: BinaryIO, size: int, write: Callable[[bytes], object]) -> None:
    """Build a file of ``size`` bytes out of ``old`` and ``packed``, both seekable, and give it to ``write`` in order,
    in pieces of 64 to 128 KiB.

    Raises UnsafeArchiveError for what no publisher makes. What was written before is only good when this returns; the
    caller compares its digest. Raises ImportError where Python was built without `lzma`.
    """
    end = old.seek(0, io.SEEK_END)
    if max(size, end) > LARGEST:
        raise refuse(_NAME, f"its files have {end} and {size} bytes, more than {LARGEST}")
    control, gaps, values, extra = open_streams(io.BytesIO(packed) if isinstance(packed, bytes) else packed, _NAME)
    differences = _Differences(gaps, values)
    output = _Output(write)
    done = 0
    for literal, copied, start in _segments(control, size, end):
        output.literals(extra, literal)
        old.seek(start)
        for length in _chunks(copied):
            output.add(_sum(_exactly(old, length), differences.read(length)))
        done += literal + copied
    output.literals(extra, size - done)
    differences.finish()
    for stream in (gaps, values, extra):
        stream.finish()
    output.flush()


def _segments(control: PackedStream, size: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(new bytes, bytes built from the old file, where those begin there), checked against the sizes of both files."""
    data = control.rest(MOST_CONTROL)
    control.finish()
    literals, copies, shifts = (_numbers(column) for column in _columns(data))
    position = shift = 0
    for literal in literals:
        copied = next(copies, 0)
        turn = next(shifts, None)
        if turn is None or not copied:
            raise refuse(_NAME, "a segment is not whole")
        shift += turn >> 1 if turn & 1 == 0 else ~(turn >> 1)
        start = position + literal + shift
        position += literal + copied
        if position > size:
            raise refuse(_NAME, f"segments are longer than the {size} bytes of the file")
        if start < 0 or start + copied > end:
            raise refuse(_NAME, f"bytes {start} to {start + copied} of an old file with {end} are asked for")
        yield literal, copied, start
    if next(copies, None) is not None or next(shifts, None) is not None:
        raise refuse(_NAME, "a segment is not whole")


def _columns(data: bytes) -> tuple[bytes, bytes, bytes]:
    """The three columns of the control stream, whose head says how long the first two are."""
    cursor = Cursor(data, _NAME)
    first, second = cursor.unsigned(MOST_CONTROL), cursor.unsigned(MOST_CONTROL)
    return cursor.bytes(first), cursor.bytes(second), cursor.bytes(cursor.left)


def _numbers(data: bytes) -> Iterator[int]:
    """Varints one after the other, each below 2**35."""
    number = shift = 0
    for byte in data:
        if byte > 0x7F:
            number |= (byte & 0x7F) << shift
            shift += 7
            if shift > 28:
                raise refuse(_NAME, "a number is too long")
        else:
            if not byte and shift:
                raise refuse(_NAME, "a number is not in its shortest form")
            yield number | byte << shift
            number = shift = 0
    if shift:
        raise refuse(_NAME, "a number does not end")


class _Differences:
    """What to add to old bytes: each pair of a gap and a value stands for so many zeros, then the value; then zeros
    without end."""

    def __init__(self, gaps: PackedStream, values: PackedStream) -> None:
        self._gaps = gaps
        self._values = values
        self._ready = b""
        self._position = 0

    def read(self, length: int) -> bytes:
        """The next ``length`` differences; at most a chunk."""
        parts = []
        while length:
            if self._position == len(self._ready) and not self._fill():
                parts.append(_ZEROS[:length])
                break
            part = self._ready[self._position : self._position + length]
            self._position += len(part)
            length -= len(part)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def finish(self) -> None:
        """All pairs must have been used."""
        if self._position < len(self._ready) or self._fill():
            raise refuse(_NAME, "there are more differences than bytes")

    def _fill(self) -> bool:
        gaps = self._gaps.some(_PAIRS)
        values = self._values.exactly(len(gaps))
        at = values.find(0)
        while at >= 0:
            if gaps[at] != 255:
                raise refuse(_NAME, "a difference of nothing")
            at = values.find(0, at + 1)
        # Bytes out of tables, joined: many times faster than a loop.
        self._ready = b"".join(
            chain.from_iterable(zip(map(_RUN.__getitem__, gaps), map(_BYTE.__getitem__, values), strict=True))
        )
        self._position = 0
        return bool(gaps)


class _Output:
    """Gathers small pieces, so that ``write`` is called rarely."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        if self._size >= _CHUNK:
            self.flush()

    def literals(self, extra: PackedStream, count: int) -> None:
        for length in _chunks(count):
            self.add(extra.exactly(length))

    def flush(self) -> None:
        if self._size:
            self._write(b"".join(self._parts))
            self._parts.clear()
            self._size = 0


def _chunks(count: int) -> Iterator[int]:
    while count > _CHUNK:
        yield _CHUNK
        count -= _CHUNK
    if count:
        yield count


def _exactly(file: BinaryIO, length: int) -> bytes:
    data = file.read(length)
    if len(data) != length:
        raise refuse(_NAME, "an old file became shorter while it was read")
    return data


def _sum(old: bytes, differences: bytes) -> bytes:
    """Each byte of one plus that of the other, modulo 256: as two large numbers whose bytes do not carry."""
    length = len(old)
    if differences == _ZEROS[:length]:
        return old
    left, right = int.from_bytes(old, "little"), int.from_bytes(differences, "little")
    return (((left & _LOW) + (right & _LOW)) ^ ((left ^ right) & _HIGH)).to_bytes(length, "little")
