"""How an index writes numbers and paths (docs/formats.md section 11)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from updater.schema.varints import unsigned

__all__ = ["MOST_PATH_BYTES", "Columns", "shared_length", "write_paths"]

MOST_PATH_BYTES = 1 << 24
"""Bytes of all paths of one block, written out: what a reader holds at most."""

_LONGEST_VARINT = 10


def write_paths(paths: Iterable[str]) -> bytes:
    """For each path: how many bytes it shares with the one before, how many follow, and these."""
    out, before, total = bytearray(), b"", 0
    for path in paths:
        name = path.encode()
        shared = shared_length(before, name)
        out += unsigned(shared) + unsigned(len(name) - shared) + name[shared:]
        before, total = name, total + len(name)
    if total > MOST_PATH_BYTES:
        raise ValueError(f"the paths of one block have {total} bytes; at most {MOST_PATH_BYTES} are read")
    return bytes(out)


def shared_length(one: bytes, other: bytes) -> int:
    """How many bytes both begin with."""
    most = min(len(one), len(other))
    return next((index for index in range(most) if one[index] != other[index]), most)


class Columns:
    """Reads what `unsigned` and `write_paths` wrote. Every method raises ValueError, with the reason as a clause."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def number(self, most: int) -> int:
        """One varint of at most ``most``."""
        value = shift = 0
        for _ in range(_LONGEST_VARINT):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                if byte == 0 and shift > 7:
                    raise ValueError("holds a number that is not in its shortest form")
                if value > most:
                    raise ValueError(f"holds the number {value} where at most {most} can stand")
                return value
        raise ValueError("holds a number of more than 64 bits")

    def numbers(self, count: int, most: int) -> list[int]:
        """``count`` varints."""
        return [self.number(most) for _ in range(count)]

    def paths(self, count: int, most: int) -> Iterator[str]:
        """``count`` paths of at most ``most`` bytes each. They are text, and otherwise not judged."""
        before, total = b"", 0
        for _ in range(count):
            shared = self.number(len(before))
            before = before[:shared] + self.take(self.number(most - shared))
            total += len(before)
            if total > MOST_PATH_BYTES:
                raise ValueError(f"holds more than {MOST_PATH_BYTES} bytes of paths")
            try:
                yield before.decode()
            except UnicodeDecodeError:
                raise ValueError(f"holds the path {before[:40]!r}, which is not UTF-8") from None

    def take(self, count: int) -> bytes:
        """``count`` bytes."""
        end = self._position + count
        if end > len(self._data):
            raise ValueError("ends early")
        found = self._data[self._position : end]
        self._position = end
        return found

    def finish(self) -> None:
        """Refuse what stands after the end."""
        if self._position != len(self._data):
            raise ValueError(f"holds {len(self._data) - self._position} bytes after its end")
