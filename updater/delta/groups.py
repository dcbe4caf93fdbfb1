"""The table of groups in a delta: what each builds, from what, and where its bytes lie (docs/formats.md 12.3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from updater.delta.cursor import Cursor
from updater.delta.outline import Outline
from updater.schema.manifest import Manifest, ManifestFile

__all__ = [
    "CHOSEN",
    "DEPENDENT",
    "EDITS",
    "LARGEST_PIECE",
    "LARGEST_PREFIX",
    "STORED",
    "STREAMS",
    "ZSTD",
    "Group",
    "Piece",
    "read_groups",
]

STORED, ZSTD, STREAMS, EDITS = 0, 1, 2, 3
"""Codecs: content as it is; zstd with old content as prefix; streams for native code; edits of old files."""

CHOSEN, DEPENDENT = 1, 2
"""Flags of a group: its references are named; it needs the digests of what other groups build."""

LARGEST_PIECE = 1 << 23
LARGEST_PREFIX = 3 << 22
_MOST_GROUPS = 1 << 16
_MOST_CODECS = 1 << 16
_MOST_REFERENCES = 64


@dataclass(frozen=True)
class Piece:
    """A part of a group's content that is packed by itself: ``packed`` bytes from ``offset`` on in the delta.

    ``size`` is that of the content; ``start`` and ``length`` choose its prefix out of the group's references, laid one
    after the other. All three are 0 in a group of another codec than STORED and ZSTD, which has one piece.
    """

    offset: int
    packed: int
    size: int = 0
    start: int = 0
    length: int = 0


@dataclass(frozen=True)
class Group:
    """Files that are built together: ``targets`` of the outline, by path. ``chosen`` holds, for each target, the old
    files that it is built from. A ``dependent`` group can be decoded when all others are."""

    codec: int
    targets: tuple[ManifestFile, ...]
    chosen: Mapping[str, tuple[ManifestFile, ...]]
    pieces: tuple[Piece, ...]
    dependent: bool = False

    @property
    def references(self) -> tuple[ManifestFile, ...]:
        """All old files that it is built from, each once, in the order of their first use."""
        return tuple({old.path: old for target in self.targets for old in self.chosen[target.path]}.values())

    @property
    def size(self) -> int:
        """Bytes in the delta."""
        return sum(piece.packed for piece in self.pieces)

    @property
    def offset(self) -> int:
        """Where its first byte lies in the delta; the others follow."""
        return self.pieces[0].offset if self.pieces else 0


def read_groups(cursor: Cursor, outline: Outline, old: Manifest, body: range) -> tuple[Group, ...]:
    """The table at the cursor; ``body`` are the positions of the delta's bytes after its head."""
    table = _Table(cursor, outline, list(old.files.values()), body)
    groups = tuple(table.read())
    if table.left:
        raise cursor.fail(f"{len(table.left)} new files are in no group")
    if table.body:
        raise cursor.fail(f"{len(table.body)} bytes are in no group")
    return groups


class _Table:
    """``left``: the new files that are in no group yet, ``body``: the positions of bytes that are in none."""

    def __init__(self, cursor: Cursor, outline: Outline, old: list[ManifestFile], body: range) -> None:
        self._cursor = cursor
        self._outline = outline
        self._old = old
        self.left = list(outline.new)
        self.body = body

    def read(self) -> Iterator[Group]:
        count = self._cursor.count(_MOST_GROUPS)
        for number in range(1, count + 1):
            yield self._group(last=number == count)

    def _group(self, *, last: bool) -> Group:
        cursor = self._cursor
        codec = cursor.unsigned(_MOST_CODECS)
        flags = cursor.unsigned(CHOSEN | DEPENDENT)
        paths = self._targets(last=last)
        targets = tuple(self._outline.manifest.files[path] for path in paths)
        chosen = {path: tuple(self._chosen(path, named=bool(flags & CHOSEN))) for path in paths}
        group = Group(codec, targets, chosen, (), bool(flags & DEPENDENT))
        if codec in (STORED, ZSTD):
            pieces = tuple(self._pieces(group))
        else:
            pieces = (Piece(self.body.start, self._take(len(self.body) if last else None)),)
        return Group(codec, targets, chosen, pieces, group.dependent)

    def _targets(self, *, last: bool) -> list[str]:
        size = len(self.left)
        positions = range(size) if last else self._cursor.gaps(self._cursor.count(size), size)
        paths = [self.left[index] for index in positions]
        if not paths:
            raise self._cursor.fail("a group builds nothing")
        taken = set(paths)
        self.left = [path for path in self.left if path not in taken]
        return paths

    def _chosen(self, path: str, *, named: bool) -> Iterator[ManifestFile]:
        code = self._cursor.unsigned(_MOST_REFERENCES) if named else 0
        if not code:
            base = self._outline.new[path]
            if base is not None:
                yield base
        for _ in range(code - 1):
            file = self._old[self._cursor.index(len(self._old))]
            if file.symlink is not None:
                raise self._cursor.fail("a reference is a symlink")
            yield file

    def _pieces(self, group: Group) -> Iterator[Piece]:
        cursor = self._cursor
        content = sum(file.size for file in group.targets)
        references = sum(file.size for file in group.references)
        while content:
            size = cursor.unsigned(min(content, LARGEST_PIECE))
            start = cursor.unsigned(references)
            length = cursor.unsigned(min(references - start, LARGEST_PREFIX))
            if not size:
                raise cursor.fail("a piece is empty")
            offset = self.body.start
            yield Piece(offset, self._take(None), size, start, length)
            content -= size

    def _take(self, size: int | None) -> int:
        """So many of the bytes after the head, or as many as the table says."""
        size = self._cursor.unsigned(len(self.body)) if size is None else size
        self.body = self.body[size:]
        return size
