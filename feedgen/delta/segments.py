"""Where the bytes of a new file come from in an old one, when nearly everything has moved and changed a little.

That is native code: addresses change all over, so that no long run stays as it was, but the runs line up. The way is
that of bsdiff (Colin Percival, "Naive differences of executable code", 2003), without its suffix array: windows that
are equal in both files are found through a table of hashes, and one shift between the files is followed until another
fits better.

Everything is whole numbers, and no step depends on the order in which numpy works: the same files give the same
segments everywhere (docs/adr/0009).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Segment", "find_segments"]

_SECOND = 16
_WINDOW = _SECOND + 8
"""A window is two words of eight bytes; what lies between them may differ: often it is an address."""

_CHUNK = 1 << 17
_JOINED = 16
_BETTER = 8  # bytes more that another shift must match, as in bsdiff
_FIRST_BLOCK, _BLOCK = 1 << 7, 1 << 11
_FIRST, _LARGEST = 1 << 10, 1 << 15
_GIVE_UP = 32
_FARTHEST = 1 << 16  # bounds memory where two segments overlap

_FACTORS = tuple(np.uint64(f) for f in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F))
_MIX = np.uint64(29)
_ONE = np.uint64(1)

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]
Run = tuple[int, int, int]


@dataclass
class Segment:
    """The bytes ``start`` to ``stop`` of the new file are like those that lie ``shift`` farther on in the old one."""

    start: int
    stop: int
    shift: int


def find_segments(old: Bytes, new: Bytes) -> list[Segment]:
    """Segments in order, none empty, none overlapping. Positions must fit into 31 bits."""
    segments = _Scan(old, new).segments(_runs(old, new))
    extent = _Extent(old, new)
    kept = [segment for segment in segments if extent.trim(segment)]
    extent.fill(kept)
    return kept


def _words(data: Bytes) -> Words:
    """The eight bytes at every position, as a number. A view: it takes no memory."""
    return np.ndarray((max(0, len(data) - 7),), np.dtype("<u8"), data, strides=(1,))


def _hashes(words: Words, start: int, stop: int) -> Words:
    """A number for each window that begins in the range."""
    mixed = words[start:stop] * _FACTORS[0]
    mixed += words[start + _SECOND : stop + _SECOND] * _FACTORS[1]
    mixed ^= mixed >> _MIX
    mixed *= _FACTORS[0]
    return mixed


def _sampled(words: Words, bits: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """About every other window, chosen by content: positions, and places in a table of 2**``bits``."""
    count = len(words) - (_WINDOW - 8)
    for start in range(0, count, _CHUNK):
        hashes = _hashes(words, start, min(start + _CHUNK, count))
        chosen = np.flatnonzero((hashes & _ONE) == 0)
        yield chosen + start, (hashes[chosen] >> np.uint64(64 - bits)).astype(np.int64)


def _runs(old: Bytes, new: Bytes) -> Iterator[Run]:
    """Places that are equal in both files, in the order of the new one: start, stop, shift."""
    bits = min(max(len(old).bit_length() - 2, 8), 24)
    table = np.full(1 << bits, -1, np.int32)
    old_words, new_words = _words(old), _words(new)
    for positions, places in _sampled(old_words, bits):
        np.maximum.at(table, places, positions.astype(np.int32))  # the last of several, whatever the order
    for positions, places in _sampled(new_words, bits):
        found = table[places].astype(np.int64)
        known = found >= 0
        here, there = positions[known], found[known]
        equal = (old_words[there] == new_words[here]) & (old_words[there + _SECOND] == new_words[here + _SECOND])
        here, there = here[equal], there[equal]
        if len(here):
            yield from _joined(here, there - here)


def _joined(positions: NDArray[np.int64], shifts: NDArray[np.int64]) -> Iterable[Run]:
    """Windows that overlap or nearly do, with the same shift, as one run."""
    ends = np.flatnonzero((np.diff(shifts) != 0) | (np.diff(positions) > _JOINED))
    first = np.concatenate(([0], ends + 1))
    last = np.concatenate((ends, [len(positions) - 1]))
    return zip(positions[first].tolist(), (positions[last] + _WINDOW).tolist(), shifts[first].tolist(), strict=True)


class _Scan:
    """Follows one shift until a run with another one matches clearly more."""

    def __init__(self, old: Bytes, new: Bytes) -> None:
        self._old = old
        self._new = new
        self._start = self._stop = 0
        self._block = _FIRST_BLOCK
        self._matches: list[int] = [0]

    def segments(self, runs: Iterable[Run]) -> list[Segment]:
        current = Segment(0, 0, 0)
        segments = [current]
        position = 0
        for start, stop, shift in runs:
            if shift == current.shift or stop <= position:
                continue
            start = max(start, position)  # noqa: PLW2901 (what the last run took is taken)
            if stop - start > self._count(start, stop, current.shift) + _BETTER:
                current.stop = start
                current = Segment(start, start, shift)
                segments.append(current)
                position = stop
                self._stop, self._block = 0, _FIRST_BLOCK
        current.stop = len(self._new)
        return segments

    def _count(self, start: int, stop: int, shift: int) -> int:
        """How many bytes of the range are equal under the current shift: looked up in a running sum of a block, which
        is larger the longer that shift lasts."""
        if start < self._start or stop > self._stop:
            self._start, self._stop = start, min(max(start + self._block, stop), len(self._new))
            self._block = min(2 * self._block, _BLOCK)
            low = min(max(start, -shift), self._stop)
            high = max(min(self._stop, len(self._old) - shift), low)
            equal = self._old[low + shift : high + shift] == self._new[low:high]
            before, after = [0] * (low - start + 1), self._stop - high
            sums = np.cumsum(equal, dtype=np.int32).tolist()
            self._matches = before + sums
            self._matches += [self._matches[-1]] * after
        return self._matches[stop - self._start] - self._matches[start - self._start]


class _Extent:
    """Moves the ends of segments to where most is gained: a byte that is equal counts 1, one that is not -1."""

    def __init__(self, old: Bytes, new: Bytes) -> None:
        self._old = old
        self._new = new

    def trim(self, segment: Segment) -> bool:
        """Let a segment end where it should. False when nothing is left."""
        start = max(segment.start, -segment.shift)
        segment.stop = start + self._forward(start, segment.shift, segment.stop - start, give_up=False)
        segment.start = start
        return segment.stop > start

    def fill(self, segments: list[Segment]) -> None:
        """Let segments grow into what lies between them; where both could, divide it between them."""
        for before, after in zip([None, *segments], [*segments, None], strict=True):
            low = before.stop if before else 0
            high = after.start if after else len(self._new)
            forward = self._forward(low, before.shift, high - low) if before else 0
            backward = self._backward(high, after.shift, high - low) if after else 0
            if before and after and forward + backward > high - low:
                forward = self._divide(high - backward, low + forward, before.shift, after.shift) - low
                backward = high - low - forward
            if before:
                before.stop += forward
            if after:
                after.start -= backward

    def _forward(self, position: int, shift: int, limit: int, *, give_up: bool = True) -> int:
        limit = min(limit, len(self._old) - position - shift)
        best = score = done = top = 0
        block = _FIRST
        while done < limit and not (give_up and score < top - _GIVE_UP):
            start, stop = position + done, position + min(done + block, limit)
            scores = _scores(self._old[start + shift : stop + shift] == self._new[start:stop])
            at = int(scores.argmax())
            if score + int(scores[at]) > top:
                top, best = score + int(scores[at]), done + at + 1
            score += int(scores[-1])
            done, block = stop - position, min(block * 2, _LARGEST)
        return best

    def _backward(self, position: int, shift: int, limit: int) -> int:
        limit = min(limit, position + shift, _FARTHEST)
        best = score = done = top = 0
        block = _FIRST
        while done < limit and score >= top - _GIVE_UP:
            start, stop = position - min(done + block, limit), position - done
            scores = _scores((self._old[start + shift : stop + shift] == self._new[start:stop])[::-1])
            at = int(scores.argmax())
            if score + int(scores[at]) > top:
                top, best = score + int(scores[at]), done + at + 1
            score += int(scores[-1])
            done, block = position - start, min(block * 2, _LARGEST)
        return best

    def _divide(self, start: int, stop: int, before: int, after: int) -> int:
        """Where, between two positions, one shift should give way to another."""
        new = self._new[start:stop]
        gain = (self._old[start + before : stop + before] == new).astype(np.int32)
        gain -= self._old[start + after : stop + after] == new
        sums = np.cumsum(gain)
        at = int(sums.argmax())
        return start + at + 1 if sums[at] > 0 else start


def _scores(equal: NDArray[np.bool_]) -> NDArray[np.int32]:
    return np.cumsum(equal.astype(np.int8) * np.int8(2) - np.int8(1), dtype=np.int32)
