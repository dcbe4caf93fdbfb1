"""From a stream of content to files: each target gets its bytes, catalogs are packed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from updater.delta.gettext import GettextError, pack, packed_overhead
from updater.delta.groups import Group
from updater.delta.varints import refuse
from updater.schema.manifest import ManifestFile

__all__ = ["Sink", "write_targets"]

_LONGEST_NUMBER = 5


class Sink(Protocol):
    """Where a target's bytes go, in order."""

    def write(self, data: bytes, /) -> object:
        """Take all of ``data``."""
        ...


class _Stream:
    """Takes exact lengths out of chunks."""

    def __init__(self, chunks: Iterator[bytes], name: str) -> None:
        self._chunks = chunks
        self._name = name
        self._rest = b""

    def take(self, length: int) -> Iterator[bytes]:
        """The next ``length`` bytes."""
        while length:
            if not self._rest:
                self._rest = next(self._chunks, b"")
                if not self._rest:
                    raise refuse(self._name, f"a group ends {length} bytes early")
            piece, self._rest = self._rest[:length], self._rest[length:]
            length -= len(piece)
            yield piece

    def number(self) -> int:
        """A varint of at most 35 bits."""
        value = 0
        for shift in range(0, 7 * _LONGEST_NUMBER, 7):
            (byte,) = b"".join(self.take(1))
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise refuse(self._name, "the number of strings in a catalog does not end")

    def finish(self) -> None:
        """Nothing may follow; reading to the end also checks the frame's checksum."""
        if self._rest or any(self._chunks):
            raise refuse(self._name, "a group holds more than its files")


def write_targets(
    group: Group,
    content: Iterator[bytes],
    create: Callable[[ManifestFile], AbstractContextManager[Sink]],
    name: str,
) -> None:
    """Write every target of ``group`` out of ``content``. Raises UnsafeArchiveError when that does not fit them."""
    stream = _Stream(content, name)
    for file in group.targets:
        with create(file) as sink:
            if file.path in group.catalogs:
                sink.write(_catalog(stream, file, name))
            else:
                for chunk in stream.take(file.size):
                    sink.write(chunk)
    stream.finish()


def _catalog(stream: _Stream, file: ManifestFile, name: str) -> bytes:
    number = stream.number()
    count, hashed = number >> 1, bool(number & 1)
    fits = 16 * count <= file.size
    length = file.size - packed_overhead(count, hashed=hashed) if fits else 0
    if length <= 0:
        raise refuse(name, f"{file.path!r} cannot hold {count} strings in {file.size} bytes")
    try:
        return pack(count, b"".join(stream.take(length)), hashed=hashed)
    except GettextError as error:
        raise refuse(name, f"{file.path!r} is no catalog: {error}") from error
