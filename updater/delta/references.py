"""The old contents that a group is built from, laid one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from updater.delta.gettext import GettextError, unpack
from updater.delta.groups import LARGEST_PIECE, LARGEST_PREFIX, Group, Piece
from updater.delta.varints import refuse
from updater.errors import TargetMismatchError
from updater.schema.manifest import ManifestFile

__all__ = ["References", "prefix_content"]


def prefix_content(file: ManifestFile, data: bytes, *, catalogs: bool) -> bytes:
    """What stands for the old ``file`` in a prefix: in a group with ``catalogs``, a ``.mo`` that can be is unpacked."""
    if catalogs and file.path.endswith(".mo"):
        try:
            return unpack(data)
        except GettextError:
            return data
    return data


class References:
    """Reads the references of one group through ``open_file``. ``limit``: bytes that its content may have."""

    def __init__(self, group: Group, open_file: Callable[[ManifestFile], BinaryIO], name: str) -> None:
        self._group = group
        self._open = open_file
        self._name = name
        self.limit = sum(file.size for file in group.targets)
        first = group.pieces[0]
        if first.size is None and (self.limit > LARGEST_PIECE or first.length > LARGEST_PREFIX):
            raise refuse(name, f"a group of {self.limit} bytes, or what it is built from, is too large to be whole")

    def read(self, piece: Piece) -> bytes:
        """The prefix of ``piece``."""
        return b"".join(self._parts(piece))

    def _parts(self, piece: Piece) -> Iterator[bytes]:
        position, end = 0, piece.start + piece.length
        for file in self._group.references:
            start, stop = max(position, piece.start), min(position + file.size, end)
            if start < stop:
                data = self._slice(file, start - position, stop - start)
                yield prefix_content(file, data, catalogs=bool(self._group.catalogs))
            position += file.size

    def _slice(self, file: ManifestFile, start: int, length: int) -> bytes:
        with self._open(file) as handle:
            if start:
                handle.seek(start)
            data = handle.read(length)
        if len(data) != length:
            raise TargetMismatchError(f"{file.path!r} of the old release is shorter than its {file.size} bytes")
        return data
