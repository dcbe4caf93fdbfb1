"""Packing native code as streams: segments of the old file, their differences, and new bytes (docs/formats.md 12.7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feedgen.delta.segments import Bytes, Segment, find_segments
from feedgen.errors import PublishError
from updater.delta.packed import LARGEST_DICTIONARY, SMALLEST_DICTIONARY, STORED, lzma_filters
from updater.delta.streams import LARGEST, MOST_CONTROL
from updater.schema.varints import signed, unsigned

__all__ = ["Streams", "make_streams", "pack"]

_BATCH = 1 << 20
_DICTIONARY = 20
_METHODS = {"control": ((0, 3, 0),), "gaps": ((0, 3, 0),), "values": ((0, 3, 0),), "extra": ((0, 3, 0), (2, 2, 2))}
"""Per stream (pb, lc, lp) to try, found on real libraries. A larger dictionary than 1 MiB won less than 0.1 %."""


@dataclass(frozen=True)
class Streams:
    """What a client needs beside the old file: segments; differences as gaps and values; bytes that are new."""

    control: bytes
    gaps: bytes
    values: bytes
    extra: bytes


def make_streams(old: bytes | memoryview, new: bytes | memoryview) -> Streams:
    """The streams that make ``new`` out of ``old``; the same on every machine.

    Takes about 1/4 of ``old`` and 30 MB beside both and the result. Files that have too little in common for the
    control stream that a client accepts are told as new bytes. Raises PublishError for files that are larger than a
    client accepts.
    """
    if max(len(old), len(new)) > LARGEST:
        raise PublishError(
            f"native code of {len(old)} and {len(new)} bytes is too large for streams, which take {LARGEST}",
            hint="Use another codec.",
        )
    before, after = np.frombuffer(old, np.uint8), np.frombuffer(new, np.uint8)
    segments = find_segments(before, after)
    control = _control(segments)
    if len(control) > MOST_CONTROL:
        segments, control = [], _control([])
    gaps, values = _differences(_batches(before, after, segments))
    stops = [0, *(segment.stop for segment in segments)]
    starts = [*(segment.start for segment in segments), len(new)]
    extra = b"".join(new[stop:start] for stop, start in zip(stops, starts, strict=True))
    return Streams(control, gaps, values, extra)


def _control(segments: Sequence[Segment]) -> bytes:
    """Three columns, of which the first two say their length: literal bytes before, bytes copied, change of shift."""
    literals, copies, shifts = bytearray(), bytearray(), bytearray()
    position = shift = 0
    for segment in segments:
        literals += unsigned(segment.start - position)
        copies += unsigned(segment.stop - segment.start)
        shifts += signed(segment.shift - shift)
        position, shift = segment.stop, segment.shift
    return b"".join((unsigned(len(literals)), unsigned(len(copies)), literals, copies, shifts))


def _batches(old: Bytes, new: Bytes, segments: Iterable[Segment]) -> Iterator[Bytes]:
    """The differences of all segments one after the other, about a megabyte at a time."""
    parts: list[Bytes] = []
    size = 0
    for segment in segments:
        for start in range(segment.start, segment.stop, _BATCH):
            stop = min(start + _BATCH, segment.stop)
            parts.append(new[start:stop] - old[start + segment.shift : stop + segment.shift])
            size += stop - start
            if size >= _BATCH:
                yield np.concatenate(parts)
                parts, size = [], 0
    if parts:
        yield np.concatenate(parts)


def _differences(batches: Iterable[Bytes]) -> tuple[bytes, bytes]:
    """Differences as pairs: so many zeros, then a value. 256 zeros are the pair 255, 0."""
    gaps, values = [], []
    zeros = 0
    for batch in batches:
        places = np.flatnonzero(batch)
        if not len(places):
            zeros += len(batch)
            continue
        lengths: NDArray[np.int64] = np.diff(places, prepend=-1) - 1
        lengths[0] += zeros
        zeros = len(batch) - 1 - int(places[-1])
        last = np.cumsum((lengths >> 8) + 1)
        pairs = np.full(int(last[-1]), 255, np.uint8)
        filled = np.zeros(len(pairs), np.uint8)
        pairs[last - 1] = lengths & 255
        filled[last - 1] = batch[places]
        gaps.append(pairs.tobytes())
        values.append(filled.tobytes())
    return b"".join(gaps), b"".join(values)


def pack(streams: Streams) -> bytes:
    """The streams as a client reads them: a head, then each stream, compressed where that makes it smaller."""
    packed = [_compress(getattr(streams, name), methods) for name, methods in _METHODS.items()]
    head = b"".join(method for method, _ in packed)
    lengths = b"".join(unsigned(len(data)) for _, data in packed[:-1])
    return b"".join((head, lengths, *(data for _, data in packed)))


def _compress(data: bytes, methods: Sequence[tuple[int, int, int]]) -> tuple[bytes, bytes]:
    """The method as the head names it, and the bytes: the smallest of what was tried."""
    import lzma

    tried = [(bytes((STORED,)), data)]
    dictionary = min(max((len(data) - 1).bit_length(), SMALLEST_DICTIONARY), _DICTIONARY, LARGEST_DICTIONARY)
    for pb, lc, lp in methods if data else ():
        method = 1 + (pb * 5 + lp) * 9 + lc
        (filters,) = lzma_filters(method, dictionary)
        options = {"mode": lzma.MODE_NORMAL, "mf": lzma.MF_BT4, "nice_len": 273, "depth": 0}
        filtered = lzma.compress(data, lzma.FORMAT_RAW, filters=[{**filters, **options}])
        tried.append((bytes((method, dictionary)), filtered))
    return min(tried, key=lambda choice: len(choice[0]) + len(choice[1]))
