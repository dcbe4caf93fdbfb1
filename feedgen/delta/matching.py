"""Telling two versions of a file apart, token by token: which runs of the old one the new one keeps."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from updater.delta.edits import Edit

__all__ = ["find_edits"]

_TRIED_BEFORE, _TRIED_AFTER = 2, 4
_NEAR = 8
_NEAR_BONUS = 16
_LOOKED_AT = 32


def find_edits(old: Sequence[bytes], new: Sequence[bytes], least: int) -> tuple[Edit, ...]:
    """Runs of ``old`` that make up most of ``new``, in order; what lies between them is new text.

    A run that does not continue the one before it has at least ``least`` bytes: an edit costs some itself.
    """
    return tuple(_Matching(old, new, least).edits())


class _Matching:
    def __init__(self, old: Sequence[bytes], new: Sequence[bytes], least: int) -> None:
        self._old = old
        self._new = new
        self._old_text, self._old_starts = b"".join(old), list(accumulate(map(len, old), initial=0))
        self._new_text, self._new_starts = b"".join(new), list(accumulate(map(len, new), initial=0))
        self._least = least
        self._known: frozenset[bytes] | None = None
        self._positions: dict[bytes, list[int]] | None = None

    def edits(self) -> Iterator[Edit]:
        old, new = self._old, self._new
        at = expected = literal = 0
        while at < len(new):
            if expected < len(old) and old[expected] == new[at]:
                start: int | None = expected
            else:
                start = self._find(at, expected)
            if start is None:
                literal += 1
                at += 1
                continue
            copied = self._length(start, at)
            yield Edit(literal, start, copied)
            at, expected, literal = at + copied, start + copied, 0

    def _find(self, at: int, expected: int) -> int | None:
        """The place in the old file from which most of what comes at ``at`` can be kept, if that is worth an edit."""
        token = self._new[at]
        if self._known is None:
            self._known = frozenset(self._old)
        if token not in self._known:
            return None
        best, most = None, self._least - 1
        text, here = self._new_text, self._new_starts[at]
        for start in self._places(token, expected):
            bonus = _NEAR_BONUS if 0 <= start - expected < _NEAR else 0
            lacking, there = most + 1 - bonus, self._old_starts[start]
            if self._old_text[there : there + lacking] != text[here : here + lacking]:
                continue  # mostly, and sooner than by tokens: the equal ones are not more than the equal bytes
            weight = self._weight(start, at) + bonus
            if weight > most:
                best, most = start, weight
        return best

    def _places(self, token: bytes, expected: int) -> Sequence[int]:
        """Where the old file holds ``token``, next to where it is expected."""
        if self._positions is None:
            self._positions = {}
            for position, known in enumerate(self._old):
                self._positions.setdefault(known, []).append(position)
        where = self._positions[token]
        near = bisect_left(where, expected)
        return where[max(near - _TRIED_BEFORE, 0) : near + _TRIED_AFTER]

    def _weight(self, start: int, at: int) -> int:
        """Bytes of the first tokens that are equal from both places on."""
        weight = 0
        for kept, wanted in zip(self._old[start : start + _LOOKED_AT], self._new[at : at + _LOOKED_AT], strict=False):
            if kept != wanted:
                break
            weight += len(kept)
        return weight

    def _length(self, start: int, at: int) -> int:
        """How many tokens are equal from both places on: long runs are compared as a whole."""
        old, new = self._old, self._new
        most = min(len(old) - start, len(new) - at)
        length, step = 0, 64
        while step:
            if (
                length + step <= most
                and old[start + length : start + length + step] == new[at + length : at + length + step]
            ):
                length += step
                step *= 2
            else:
                step = min(step // 2, most - length)
        return length
