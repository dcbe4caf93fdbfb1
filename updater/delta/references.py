"""Reading old files, whole or in part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from updater.delta.groups import Group, Piece
from updater.errors import TargetMismatchError
from updater.schema.manifest import ManifestFile

__all__ = ["OpenReference", "read_prefix", "read_reference"]

OpenReference = Callable[[ManifestFile], BinaryIO]
"""Opens an old file whose digest was checked."""


def read_reference(
    open_reference: OpenReference, file: ManifestFile, start: int = 0, length: int | None = None
) -> bytes:
    """The bytes of ``file`` from ``start`` on, all or ``length`` of them. TargetMismatchError if there are less."""
    return b"".join(_read(open_reference, file, start, file.size if length is None else length, file.size))


def _read(
    open_reference: OpenReference, file: ManifestFile, start: int, length: int, at_once: int = 1 << 18
) -> Iterator[bytes]:
    with open_reference(file) as handle:
        if start:
            handle.seek(start)
        while length:
            data = handle.read(min(length, at_once))
            if not data:
                raise TargetMismatchError(f"{file.path!r} of the old release is shorter than its {file.size} bytes")
            length -= len(data)
            yield data


def read_prefix(open_reference: OpenReference, group: Group, piece: Piece) -> bytearray:
    """The part of the group's references, laid one after the other, that is the prefix of ``piece``: megabytes, which
    are never here twice."""
    prefix = bytearray()
    position, end = 0, piece.start + piece.length
    for file in group.references:
        start, stop = max(position, piece.start), min(position + file.size, end)
        if start < stop:
            for data in _read(open_reference, file, start - position, stop - start):
                prefix += data
        position += file.size
    return prefix
