"""The table of groups in a delta: what each builds, from what, and where its bytes lie (docs/formats.md 12.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from updater.delta.outline import Outline
from updater.delta.varints import Cursor
from updater.schema.manifest import Manifest, ManifestFile

__all__ = [
    "CATALOGS",
    "CHOSEN",
    "LARGEST_PIECE",
    "LARGEST_PREFIX",
    "SLICED",
    "STORED",
    "STREAMS",
    "ZSTD",
    "Group",
    "Piece",
    "read_groups",
]

STORED, ZSTD, STREAMS = 0, 1, 2
"""Codecs: content as it is, zstd with the references as prefix, streams for native code."""

CATALOGS, CHOSEN, SLICED = 1, 2, 4
"""Flags of a group: gettext catalogs are kept unpacked; references are named; content comes in several pieces."""

LARGEST_PIECE = 1 << 23
LARGEST_PREFIX = 3 << 22
_MOST_GROUPS = 1 << 16
_MOST_CODECS = 1 << 16
_LARGEST_FILE = 1 << 40


@dataclass(frozen=True)
class Piece:
    """A part of a group's content that is packed by itself: ``packed`` bytes from ``offset`` on in the delta.

    ``start`` and ``length`` choose its prefix out of the group's references, laid one after the other. ``size`` is that
    of the content, None when it is all of the group.
    """

    offset: int
    packed: int
    start: int
    length: int
    size: int | None = None


@dataclass(frozen=True)
class Group:
    """Files that are built together. ``targets`` are of the outline, ``references`` of the old manifest; both are in
    the order in which they are used. ``size`` is the number of bytes in the delta."""

    codec: int
    targets: tuple[ManifestFile, ...]
    references: tuple[ManifestFile, ...]
    pieces: tuple[Piece, ...]
    catalogs: frozenset[str] = field(default_factory=frozenset)

    @property
    def size(self) -> int:
        """Bytes in the delta."""
        return sum(piece.packed for piece in self.pieces)

    @property
    def offset(self) -> int:
        """Where its first byte lies in the delta; the others follow."""
        return self.pieces[0].offset


def read_groups(cursor: Cursor, outline: Outline, old: Manifest, body: range) -> tuple[Group, ...]:
    """The table at the cursor; ``body`` are the positions of the delta's bytes after its head."""
    count = cursor.count(_MOST_GROUPS)
    left = list(outline.new)
    offset = body.start
    groups = []
    for number in range(1, count + 1):
        group, left = _read_group(cursor, outline, old, left, range(offset, body.stop), last=number == count)
        offset += group.size
        groups.append(group)
    if left:
        raise cursor.fail(f"{len(left)} new files are in no group")
    if offset != body.stop:
        raise cursor.fail(f"{body.stop - offset} bytes are in no group")
    return tuple(groups)


def _read_group(
    cursor: Cursor, outline: Outline, old: Manifest, left: list[str], body: range, *, last: bool
) -> tuple[Group, list[str]]:
    codec = cursor.unsigned(_MOST_CODECS)
    flags = cursor.unsigned(CATALOGS | CHOSEN | SLICED)
    chosen = range(len(left)) if last else cursor.gaps(cursor.count(len(left)), len(left))
    paths = [left[index] for index in chosen]
    if not paths:
        raise cursor.fail("a group builds nothing")
    taken = set(paths)
    catalogs = _read_catalogs(cursor, paths) if flags & CATALOGS else frozenset()
    references = _read_references(cursor, paths, outline, old, named=bool(flags & CHOSEN))
    targets = tuple(outline.manifest.files[path] for path in paths)
    whole = sum(file.size for file in references)
    if flags & SLICED:
        if catalogs:
            raise cursor.fail("a group has unpacked catalogs and several pieces")
        pieces = tuple(_read_pieces(cursor, sum(file.size for file in targets), whole, body))
    else:
        packed = len(body) if last else cursor.unsigned(len(body))
        pieces = (Piece(body.start, packed, 0, whole),)
    return Group(codec, targets, references, pieces, catalogs), [path for path in left if path not in taken]


def _read_catalogs(cursor: Cursor, paths: list[str]) -> frozenset[str]:
    return frozenset(paths[index] for index in cursor.gaps(cursor.count(len(paths)), len(paths)))


def _read_references(
    cursor: Cursor, paths: list[str], outline: Outline, old: Manifest, *, named: bool
) -> tuple[ManifestFile, ...]:
    """The references of a group: each target's base, or what is named in its place; then others."""
    files = list(old.files.values())
    found: dict[str, ManifestFile] = {}

    def add(file: ManifestFile | None) -> None:
        if file is not None and file.symlink is not None:
            raise cursor.fail("a reference is a symlink")
        if file is not None and file.size:
            found[file.path] = file

    for path in paths:
        code = cursor.unsigned(len(files) + 1) if named else 0
        if code:
            add(files[code - 2] if code > 1 else None)
        else:
            add(outline.new[path])
    if named:
        for index in cursor.gaps(cursor.count(len(files)), len(files)):
            add(files[index])
    return tuple(found.values())


def _read_pieces(cursor: Cursor, content: int, references: int, body: range) -> Iterator[Piece]:
    offset = body.start
    while content:
        size = cursor.unsigned(min(content, LARGEST_PIECE))
        start = cursor.unsigned(references)
        length = cursor.unsigned(min(references - start, LARGEST_PREFIX))
        packed = cursor.unsigned(body.stop - offset)
        if not size:
            raise cursor.fail("a piece is empty")
        yield Piece(offset, packed, start, length, size)
        content -= size
        offset += packed
