"""The four compressed streams of a group of native code, read side by side (docs/formats.md section 12.7)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from updater.delta.cursor import Cursor, refuse

if TYPE_CHECKING:
    import lzma

__all__ = [
    "LARGEST_DICTIONARY",
    "SMALLEST_DICTIONARY",
    "STORED",
    "PackedStream",
    "Seekable",
    "lzma_filters",
    "open_streams",
]

STORED = 0
"""The method of a stream that is not compressed. Others are 1 + (pb * 5 + lp) * 9 + lc of LZMA2."""

SMALLEST_DICTIONARY, LARGEST_DICTIONARY = 12, 22
"""Binary logarithms of the size of a decoder's dictionary."""

_STREAMS = 4
_LONGEST_HEAD = 64
_INPUT = 1 << 14
_OUTPUT = 1 << 16
_FAR = 1 << 40


class Seekable(Protocol):
    """What the packed bytes are read from: an open file, or a part of one."""

    def seek(self, offset: int, whence: int = ..., /) -> int:
        """Go to a position; give it back."""
        ...

    def read(self, length: int, /) -> bytes:
        """At most ``length`` bytes from there on."""
        ...


def lzma_filters(method: int, dictionary: int) -> list[dict[str, int]]:
    """The filter chain of a method with a dictionary of 2**``dictionary`` bytes. Raises ValueError for a wrong one."""
    import lzma

    rest, lc = divmod(method - 1, 9)
    pb, lp = divmod(rest, 5)
    if method < 1 or pb > 4 or lc + lp > 4:
        raise ValueError(f"there is no method {method}")
    if not SMALLEST_DICTIONARY <= dictionary <= LARGEST_DICTIONARY:
        raise ValueError(f"a dictionary of 2**{dictionary} bytes")
    return [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << dictionary, "lc": lc, "lp": lp, "pb": pb}]


class PackedStream:
    """Reads one stream out of a range of bytes of ``file``. Every method raises UnsafeArchiveError for damage."""

    def __init__(
        self, file: Seekable, offset: int, length: int, filters: list[dict[str, int]] | None, name: str
    ) -> None:
        self._file = file
        self._offset = offset
        self._left = length
        self._decoder = _decoder(filters) if filters else None
        self._name = name
        self._ready = b""
        self._position = 0

    def some(self, most: int) -> bytes:
        """Between 1 and ``most`` bytes, or none at the end."""
        if self._position == len(self._ready):
            self._ready = self._more()
            self._position = 0
        data = self._ready[self._position : self._position + most]
        self._position += len(data)
        return data

    def exactly(self, length: int) -> bytes:
        """``length`` bytes."""
        data = self.some(length)
        if len(data) == length:
            return data
        parts = [data]
        length -= len(data)
        while length:
            data = self.some(length)
            if not data:
                raise refuse(self._name, "a stream ends too early")
            parts.append(data)
            length -= len(data)
        return b"".join(parts)

    def rest(self, most: int) -> bytes:
        """Everything, when that is not more than ``most`` bytes."""
        parts = []
        while data := self.some(_OUTPUT):
            parts.append(data)
            most -= len(data)
            if most < 0:
                raise refuse(self._name, "a stream is too long")
        return b"".join(parts)

    def finish(self) -> None:
        """Nothing may be left, neither of the stream nor behind it."""
        if self.some(1) or self._left or (self._decoder and self._decoder.unused_data):
            raise refuse(self._name, "something follows the end of a stream")

    def _more(self) -> bytes:
        """The next bytes, at most _OUTPUT; none at the end."""
        decoder = self._decoder
        if decoder is None:
            return self._input()
        import lzma

        while not decoder.eof:
            data = self._input() if decoder.needs_input else b""
            if decoder.needs_input and not data:
                raise refuse(self._name, "a stream is cut off")
            try:
                output = decoder.decompress(data, _OUTPUT)
            except lzma.LZMAError:
                raise refuse(self._name, "a stream is damaged") from None
            if output:
                return output
        return b""

    def _input(self) -> bytes:
        self._file.seek(self._offset)
        data = self._file.read(min(self._left, _INPUT))
        if len(data) < min(self._left, 1):
            raise refuse(self._name, "a stream is cut off")
        self._offset += len(data)
        self._left -= len(data)
        return data


def _decoder(filters: list[dict[str, int]]) -> lzma.LZMADecompressor:
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)


def open_streams(packed: Seekable, name: str) -> Sequence[PackedStream]:
    """The streams of a group that is all of ``packed``, a seekable file. ``name`` is for messages."""
    end = packed.seek(0, io.SEEK_END)
    packed.seek(0)
    cursor = Cursor(packed.read(min(end, _LONGEST_HEAD)), name)
    filters = [_read_filters(cursor) for _ in range(_STREAMS)]
    lengths = [cursor.unsigned(_FAR) for _ in range(_STREAMS - 1)]
    offset = cursor.position
    lengths.append(end - offset - sum(lengths))
    if lengths[-1] < 0:
        raise refuse(name, "its streams are cut off")
    streams = []
    for chain, length in zip(filters, lengths, strict=True):
        streams.append(PackedStream(packed, offset, length, chain, name))
        offset += length
    return streams


def _read_filters(cursor: Cursor) -> list[dict[str, int]] | None:
    method = cursor.bytes(1)[0]
    if method == STORED:
        return None
    try:
        return lzma_filters(method, cursor.bytes(1)[0])
    except ValueError as error:
        raise cursor.fail(f"a stream cannot be read: {error}") from None
