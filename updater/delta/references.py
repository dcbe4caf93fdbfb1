"""Reading old files, whole or in part."""

from __future__ import annotations

from collections.abc import Callable
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
    length = file.size if length is None else length
    with open_reference(file) as handle:
        if start:
            handle.seek(start)
        data = handle.read(length)
    if len(data) != length:
        raise TargetMismatchError(f"{file.path!r} of the old release is shorter than its {file.size} bytes")
    return data


def read_prefix(open_reference: OpenReference, group: Group, piece: Piece) -> bytearray:
    """The part of the group's references, laid one after the other, that is the prefix of ``piece``."""
    prefix = bytearray()
    position, end = 0, piece.start + piece.length
    for file in group.references:
        start, stop = max(position, piece.start), min(position + file.size, end)
        if start < stop:
            prefix += read_reference(open_reference, file, start - position, stop - start)
        position += file.size
    return prefix
