"""Reading a delta: its head against the old manifest, then each group by itself (docs/formats.md section 12)."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO, Self

from updater.delta.cursor import Cursor, refuse
from updater.delta.digests import Digests
from updater.delta.edits import Control, read_control
from updater.delta.groups import EDITS, LARGEST_PIECE, STORED, STREAMS, ZSTD, Group, Piece, read_groups
from updater.delta.outline import head_prefix, read_outline
from updater.delta.rebuild import Rebuild
from updater.delta.references import OpenReference, read_prefix
from updater.delta.stream import Create, Stream
from updater.errors import Problem, StateError, TargetMismatchError, UnsupportedSchemaError
from updater.schema.manifest import Manifest

__all__ = ["LARGEST_CONTROL", "LARGEST_HEAD", "MAGIC", "DeltaReader"]

MAGIC = b"TGD\x01"
"""A delta's first bytes; the last is the format's major version."""

LARGEST_HEAD = 1 << 23
"""Bytes of a head, unpacked."""

LARGEST_CONTROL = 1 << 21
"""Bytes of a group's edits, unpacked, without their text."""

_LONGEST_NUMBER = 4
_CHUNK = 1 << 18
_WINDOW_LOG = 23


class DeltaReader:
    """A delta, from one open handle that nobody else uses meanwhile and that stays the caller's.

    ``outline`` is the new manifest; files that groups build have no ``sha256`` in it, all others have content that the
    old release holds. Nothing in a delta says what is right: rebuild the manifest with `complete` and compare its
    digest with the signed one.
    """

    outline: Manifest
    groups: tuple[Group, ...]

    def __init__(self, file: BinaryIO, old: Manifest, name: str) -> None:
        self._file = file
        self._old = old
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
        delta = cls(file, old, name)
        head, end = delta._read_head(head_prefix(old))
        cursor = Cursor(head, name)
        outline = read_outline(cursor, old)
        delta.outline = outline.manifest
        delta.groups = read_groups(cursor, outline, old, range(end, delta._size))
        cursor.finish()
        return delta

    def decode(
        self, group: Group, references: OpenReference, create: Create, digests: Mapping[str, str] | None = None
    ) -> None:
        """Build the targets of ``group``, each written to what ``create`` gives for it.

        ``references`` opens an old file whose digest the caller has checked; a file may be opened more than once. A
        ``dependent`` group needs ``digests`` of all that other groups build (64 hex digits, by path). What was written
        is only good when this returns and the digests of all targets are right. Different groups may be decoded at the
        same time. Memory: at most about 30 MiB.

        Raises UnsafeArchiveError as `open` does, UnsupportedSchemaError for a codec that this reader does not know,
        TargetMismatchError when a reference has not its size; what the callables raise passes through.
        """
        if group.codec == EDITS:
            known = Digests(self._old, self.outline, digests or {})
            control, packed = self._read_control(group)
            rebuild = Rebuild(group, control, references, known, self._name)
            text = self._unpack(packed, rebuild.prefix(), LARGEST_PIECE)
            rebuild.write(Stream(text, self._name), create)
        elif group.codec in (STORED, ZSTD):
            content = Stream(self._content(group, references), self._name)
            for file in group.targets:
                with create(file) as sink:
                    for chunk in content.take(file.size):
                        sink.write(chunk)
            content.finish()
        elif group.codec == STREAMS:
            self._decode_streams(group, references, create)
        else:
            problem = Problem("$", f"a group is packed in the way {group.codec}, which this version cannot read")
            raise UnsupportedSchemaError(self._name, [problem], hint="Take its files from the package.")

    def _decode_streams(self, group: Group, references: OpenReference, create: Create) -> None:
        """Native code, out of the one old file that it is built from."""
        try:
            import lzma  # noqa: F401 - some systems build Python without it
        except ImportError as error:
            problem = Problem("$", "holds native code, and this Python was built without lzma")
            raise UnsupportedSchemaError(self._name, [problem], hint="Take its files from the package.") from error
        from updater.delta.streams import apply_streams

        if len(group.targets) != 1 or len(group.references) != 1:
            raise refuse(self._name, "a group of native code has more or less than one file, built from one")
        ((file,), (old,), (piece,)) = group.targets, group.references, group.pieces
        with references(old) as reference, create(file) as sink:
            if reference.seek(0, io.SEEK_END) != old.size:
                raise TargetMismatchError(f"{old.path!r} of the old release has not its {old.size} bytes")
            apply_streams(_Section(piece, self._at), reference, file.size, sink.write)

    def _content(self, group: Group, references: OpenReference) -> Iterator[bytes]:
        """The content of all targets, one after the other."""
        for piece in group.pieces:
            packed = self._read(piece)
            size = 0
            if group.codec == ZSTD:
                packed = self._unpack(packed, read_prefix(references, group, piece), piece.size)
            for chunk in packed:
                size += len(chunk)
                yield chunk
            if size != piece.size:
                raise refuse(self._name, f"a piece of {piece.size} bytes has {size}")

    def _read_control(self, group: Group) -> tuple[Control, Iterator[bytes]]:
        """The edits of a group, and the frame of its text."""
        (piece,) = group.pieces
        control, length = self._read_packed(piece.offset, piece.offset + piece.packed, b"", LARGEST_CONTROL)
        rest = Piece(piece.offset + length, piece.packed - length)
        return read_control(Cursor(control, self._name), len(group.targets)), self._read(rest)

    def _unpack(self, packed: Iterator[bytes], prefix: bytes | bytearray, limit: int) -> Iterator[bytes]:
        from updater.delta.zstd import ZstdError, decompress

        content = decompress(packed, prefix, window_log=_WINDOW_LOG, limit=limit)
        del prefix  # megabytes, which are not needed any more when the first byte comes out
        try:
            yield from content
        except ZstdError as error:
            raise refuse(self._name, f"a part of it cannot be unpacked: {error}") from error

    def _read_packed(self, offset: int, end: int, prefix: bytes, limit: int) -> tuple[bytes, int]:
        """What is packed at ``offset``, its size before it; and how many bytes that took."""
        cursor = Cursor(self._at(offset, min(end - offset, 2 * _LONGEST_NUMBER)), self._name)
        size = cursor.unsigned(limit)
        packed = cursor.unsigned(limit)
        begin = offset + cursor.position
        if begin + (packed or size) > end:
            raise refuse(self._name, "it ends within what its beginning describes")
        if not packed:
            return self._at(begin, size), cursor.position + size
        data = b"".join(self._unpack(self._read(Piece(begin, packed)), prefix, size))
        if len(data) != size:
            raise refuse(self._name, f"{len(data)} bytes came out where {size} should")
        return data, cursor.position + packed

    def _read_head(self, prefix: bytes) -> tuple[bytes, int]:
        """The head, and where it ends."""
        start = self._at(0, min(self._size, len(MAGIC)))
        if start != MAGIC:
            self._refuse_magic(start)
        head, length = self._read_packed(len(MAGIC), self._size, prefix, LARGEST_HEAD)
        return head, len(MAGIC) + length

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


class _Section:
    """A group's bytes as a file of their own."""

    def __init__(self, piece: Piece, at: Callable[[int, int], bytes]) -> None:
        self._piece = piece
        self._at = at
        self._position = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._position = offset + (self._piece.packed if whence == io.SEEK_END else 0)
        return self._position

    def read(self, length: int, /) -> bytes:
        data = self._at(self._piece.offset + self._position, min(length, self._piece.packed - self._position))
        self._position += len(data)
        return data
