"""Which bytes of a package to ask for: a pure function of where the wanted files lie.

A request costs about as much as `REQUEST` bytes: headers both ways, a redirect to a signed address with its own long
headers, and a share of the round trip that other connections do not hide. So two files are fetched in one range when
the bytes between them are fewer than that. When there would still be more than `MOST_REQUESTS` ranges, the smallest
gaps are closed until there are not: servers count requests. And a range that is large is shared between connections.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from updater.frozen import frozen
from updater.package.structure import LOCAL
from updater.schema.manifest import ManifestFile

__all__ = ["MOST_REQUESTS", "REQUEST", "ByteRange", "Located", "cover", "locate", "share"]

REQUEST = 16 * 1024
"""What a request costs, in bytes."""

MOST_REQUESTS = 60

_WORTH_SHARING = 4 * 2**20
"""Bytes of a range for which a second connection is opened."""


@dataclass(frozen=True)
class Located:
    """A wanted file, and where its packed content lies in the package (bytes)."""

    file: ManifestFile
    start: int
    packed_size: int
    stored: bool

    @property
    def end(self) -> int:
        return self.start + self.packed_size


@frozen
class ByteRange:
    """Bytes ``start`` (inclusive) to ``end`` (exclusive) of the package, and the wanted files that lie in them."""

    start: int
    end: int
    files: tuple[Located, ...]

    @property
    def size(self) -> int:
        return self.end - self.start


def locate(file: ManifestFile, header: int, packed_size: int, *, stored: bool) -> Located:
    """A file whose local header begins at byte ``header``."""
    return Located(file, header + LOCAL.size + len(file.path.encode()), packed_size, stored)


def cover(wanted: Iterable[Located], *, gap: int = REQUEST, most: int = MOST_REQUESTS) -> tuple[ByteRange, ...]:
    """The ranges to ask for, in order, at most ``most``. Files of no bytes need none, and are left out."""
    files = sorted((file for file in wanted if file.packed_size), key=lambda file: file.start)
    gaps = sorted((after.start - before.end for before, after in pairwise(files)), reverse=True)
    # The most - 1 widest gaps may stay open.
    least = max(gap, gaps[most - 1]) if len(gaps) >= most else gap
    ranges: list[list[Located]] = []
    for file in files:
        if ranges and file.start - ranges[-1][-1].end <= least:
            ranges[-1].append(file)
        else:
            ranges.append([file])
    return tuple(ByteRange(files[0].start, files[-1].end, tuple(files)) for files in ranges)


def share(ranges: Sequence[ByteRange], connections: int, *, most: int = MOST_REQUESTS) -> tuple[ByteRange, ...]:
    """The same bytes in more ranges, cut between files, so that ``connections`` have work."""
    found = list(ranges)
    while len(found) < min(connections, most):
        largest = max(found, key=lambda item: item.size, default=None)
        halves = None if largest is None or largest.size < _WORTH_SHARING else _halve(largest)
        if largest is None or halves is None:
            break
        place = found.index(largest)
        found[place : place + 1] = halves
    return tuple(found)


def _halve(whole: ByteRange) -> list[ByteRange] | None:
    middle = (whole.start + whole.end) // 2
    count = next((n for n, file in enumerate(whole.files) if file.end > middle), 0) or 1
    first, second = whole.files[:count], whole.files[count:]
    if not second:
        return None
    return [ByteRange(whole.start, first[-1].end, first), ByteRange(second[0].start, whole.end, second)]
