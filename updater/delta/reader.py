"""Reading a delta: its head against the old manifest, then each group by itself (docs/formats.md section 12)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO, Self

from updater.delta.content import Sink, write_targets
from updater.delta.groups import STORED, ZSTD, Group, Piece, read_groups
from updater.delta.outline import head_prefix, read_outline
from updater.delta.references import References
from updater.delta.varints import Cursor, refuse
from updater.errors import Problem, StateError, UnsupportedSchemaError
from updater.schema.manifest import Manifest, ManifestFile

__all__ = ["LARGEST_HEAD", "MAGIC", "DeltaReader", "Sink"]

MAGIC = b"TGD\x01"
"""A delta's first bytes; the last is the format's major version."""

LARGEST_HEAD = 1 << 23
"""Bytes of a head, unpacked."""

_LONGEST_NUMBER = 4
_CHUNK = 1 << 18
_WINDOW_LOG = 23


Open = Callable[[ManifestFile], BinaryIO]
Create = Callable[[ManifestFile], AbstractContextManager[Sink]]


class DeltaReader:
    """A delta, from one open handle that nobody else uses meanwhile and that stays the caller's.

    ``outline`` is the new manifest; files that groups build have no ``sha256`` in it, all others have content that the
    old release holds. Nothing in a delta says what is right: rebuild the manifest with `complete` and compare its
    digest with the signed one.
    """

    outline: Manifest
    groups: tuple[Group, ...]

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self._lock = threading.Lock()
        try:
            self._size = file.seek(0, 2)
        except OSError as error:
            raise StateError(f"cannot read {name}: {error}") from error

    @classmethod
    def open(cls, file: BinaryIO, old: Manifest, *, name: str = "the delta") -> Self:
        """Read the head of a delta that leads away from ``old``. ``name`` stands in errors.

        Raises UnsafeArchiveError for what no correct publisher makes, UnsupportedSchemaError for a newer major version
        of the format, StateError when the handle cannot be read.
        """
        delta = cls(file, name)
        head, end = delta._read_head(head_prefix(old))
        cursor = Cursor(head, name)
        outline = read_outline(cursor, old)
        delta.outline = outline.manifest
        delta.groups = read_groups(cursor, outline, old, range(end, delta._size))
        cursor.finish()
        return delta

    def decode(self, group: Group, references: Open, create: Create) -> None:
        """Build the targets of ``group``, in their order, each written to what ``create`` gives for it.

        ``references`` opens an old file whose digest the caller has checked. What was written is only good when this
        returns and the digests of all targets are right. Different groups may be decoded at the same time. Memory: the
        group's references and as much as its targets, at most 20 MiB together.

        Raises UnsafeArchiveError as `open` does, UnsupportedSchemaError for a codec that this reader does not know,
        TargetMismatchError when a reference has not its size; what the callables raise passes through.
        """
        if group.codec not in (STORED, ZSTD):
            problem = Problem("$", f"a group is packed in the way {group.codec}, which this version cannot read")
            raise UnsupportedSchemaError(self._name, [problem], hint="Take its files from the package.")
        write_targets(group, self._content(group, References(group, references, self._name)), create, self._name)

    def _content(self, group: Group, references: References) -> Iterator[bytes]:
        """The content of all targets, one after the other."""
        for piece in group.pieces:
            packed = self._read(piece)
            size = 0
            for chunk in packed if group.codec == STORED else self._unpack(packed, piece, references):
                size += len(chunk)
                yield chunk
            if piece.size is not None and size != piece.size:
                raise refuse(self._name, f"a piece of {piece.size} bytes has {size}")

    def _unpack(self, packed: Iterator[bytes], piece: Piece, references: References) -> Iterator[bytes]:
        from updater.delta.zstd import ZstdError, decompress

        limit = references.limit if piece.size is None else piece.size
        try:
            yield from decompress(packed, references.read(piece), window_log=_WINDOW_LOG, limit=limit)
        except ZstdError as error:
            raise refuse(self._name, f"the bytes from {piece.offset} on cannot be unpacked: {error}") from error

    def _read_head(self, prefix: bytes) -> tuple[bytes, int]:
        """The head, and where it ends."""
        start = self._at(0, min(self._size, len(MAGIC) + 2 * _LONGEST_NUMBER))
        if start[: len(MAGIC)] != MAGIC:
            self._refuse_magic(start)
        cursor = Cursor(start[len(MAGIC) :], self._name)
        size = cursor.unsigned(LARGEST_HEAD)
        packed = cursor.unsigned(min(LARGEST_HEAD, self._size))
        begin = len(MAGIC) + cursor.position
        end = begin + (packed or size)
        if end > self._size:
            raise refuse(self._name, "it ends within its head")
        if not packed:
            return self._at(begin, size), end
        piece = Piece(begin, packed, 0, len(prefix), size)
        from updater.delta.zstd import ZstdError, decompress

        try:
            head = b"".join(decompress(self._read(piece), prefix, window_log=_WINDOW_LOG, limit=size))
        except ZstdError as error:
            raise refuse(self._name, f"its head cannot be unpacked: {error}") from error
        if len(head) != size:
            raise refuse(self._name, f"its head has {len(head)} bytes and not {size}")
        return head, end

    def _refuse_magic(self, start: bytes) -> None:
        if start[: len(MAGIC) - 1] == MAGIC[:-1] and len(start) >= len(MAGIC):
            raise UnsupportedSchemaError(
                self._name,
                [Problem("$", f"is of format {start[len(MAGIC) - 1]}; this version reads format {MAGIC[-1]}")],
                hint="Update the updater.",
            )
        raise refuse(self._name, "it is not a delta")

    def _read(self, piece: Piece) -> Iterator[bytes]:
        end = piece.offset + piece.packed
        for position in range(piece.offset, end, _CHUNK):
            yield self._at(position, min(_CHUNK, end - position))

    def _at(self, offset: int, length: int) -> bytes:
        try:
            with self._lock:
                self._file.seek(offset)
                data = self._file.read(length)
        except OSError as error:
            raise StateError(f"cannot read {self._name}: {error}") from error
        if len(data) != length:
            raise refuse(self._name, f"{length} bytes should follow byte {offset}, there are {len(data)}")
        return data
