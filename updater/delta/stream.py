"""A stream of bytes out of which exact lengths are taken, and where they go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from updater.delta.cursor import refuse
from updater.schema.manifest import ManifestFile

__all__ = ["Create", "Sink", "Stream"]


class Sink(Protocol):
    """Where a target's bytes go, in order."""

    def write(self, data: bytes, /) -> object:
        """Take all of ``data``."""
        ...


Create = Callable[[ManifestFile], AbstractContextManager[Sink]]
"""Opens the place for a target."""


class Stream:
    """Takes exact lengths out of chunks. ``name``: what the stream belongs to, for errors (UnsafeArchiveError)."""

    def __init__(self, chunks: Iterator[bytes], name: str) -> None:
        self._chunks = chunks
        self._name = name
        self._chunk = memoryview(b"")

    def take(self, length: int) -> Iterator[bytes]:
        """The next ``length`` bytes, in pieces."""
        while length:
            if not self._chunk:
                self._chunk = memoryview(next(self._chunks, b""))
                if not self._chunk:
                    raise refuse(self._name, f"a group ends {length} bytes early")
            piece = bytes(self._chunk[:length])
            self._chunk = self._chunk[length:]
            length -= len(piece)
            yield piece

    def finish(self) -> None:
        """Nothing may follow; reading to the end also checks a frame's checksum."""
        if self._chunk or any(self._chunks):
            raise refuse(self._name, "a group holds more than its files")
