"""How a file is looked at when it is told apart from an old one: as lines, as statements, or in a form that says less.

A form turns a file into a *view* and back; a view is cut into tokens (docs/formats.md section 12.5).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from enum import IntEnum
from itertools import accumulate, pairwise

from updater.delta.gettext import GettextError, unpack
from updater.delta.record import Lookup, RecordError, shrink

__all__ = ["MOST_TOKENS", "Form", "Tokens", "too_many_tokens", "view_of_old"]

MOST_TOKENS = 1 << 18
"""Tokens that one view may have: each takes memory."""


class Form(IntEnum):
    """The forms, as they are written in a delta."""

    LINES = 0
    STATEMENTS = 1
    CATALOG = 2
    RECORD = 3


_CHUNK = 1 << 16
_ENDS = {Form.LINES: b"\n", Form.STATEMENTS: b"\n;,{}()", Form.CATALOG: b"\0", Form.RECORD: b"\n"}
_AS_LINES = {
    form: bytes(ord("\n") if byte in ends else ord("x") for byte in range(256)) for form, ends in _ENDS.items()
}
"""By form: what ends a token becomes the end of a line, and all else not, so that `bytes.splitlines` finds tokens."""


def too_many_tokens(view: bytes, form: Form) -> bool:
    """Whether a view would be cut into more tokens than anyone may."""
    if len(view) < MOST_TOKENS:
        return False  # mostly
    return len(view) - len(view.translate(None, _ENDS[form])) >= MOST_TOKENS


class Tokens:
    """The view in pieces, each with the byte that ends it; joined they are the view. Only where they begin is kept:
    four bytes for each, where a ``bytes`` of its own would take fifty."""

    def __init__(self, view: bytes, form: Form) -> None:
        self._view = view
        self._starts = _starts(view, form)

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __iter__(self) -> Iterator[bytes]:
        return (self._view[start:stop] for start, stop in pairwise(self._starts))

    def span(self, start: int, stop: int | None = None) -> tuple[int, int]:
        """Where in the view the tokens from ``start`` to before ``stop`` (default: all that follow) begin and end, as
        far as there are any."""
        last = len(self._starts) - 1
        end = last if stop is None else min(stop, last)
        return self._starts[min(start, last)], self._starts[end]

    def cut(self, start: int, stop: int | None = None) -> memoryview:
        """The bytes of these tokens."""
        first, end = self.span(start, stop)
        return memoryview(self._view)[first:end]

    def marked(self, wanted: bytearray) -> bytes:
        """The bytes of those for which ``wanted`` has a one."""
        return b"".join(self._marked(wanted))

    def _marked(self, wanted: bytearray) -> Iterator[memoryview]:
        start = wanted.find(1)
        while start >= 0:
            stop = wanted.find(0, start)
            stop = len(wanted) if stop < 0 else stop
            yield self.cut(start, stop)
            start = wanted.find(1, stop)


def _starts(view: bytes, form: Form) -> array[int]:
    """Where the tokens begin, and where the last one ends. A part at a time: memory stays small."""
    found, table, size = array("I", [0]), _AS_LINES[form], _CHUNK
    while (start := found[-1]) < len(view):
        parts = view[start : start + size].translate(table).splitlines(keepends=True)
        if start + size < len(view) and not parts[-1].endswith(b"\n"):
            parts.pop()  # it goes on in the next part
        if parts:
            found.pop()
            found.extend(accumulate(map(len, parts), initial=start))
        size = _CHUNK if parts else 2 * size
    return found


def view_of_old(data: bytes, path: str, form: Form, lookup: Lookup) -> bytes:
    """The view of an old file, for a target in ``form``: as it is when it cannot have that form."""
    try:
        if form is Form.CATALOG:
            return unpack(data)[1]
        if form is Form.RECORD:
            return shrink(data, path, lookup)
    except (GettextError, RecordError):
        pass
    return data
