"""Reading an index, strictly, and rebuilding the outline of the manifest from it (docs/formats.md section 11)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from packaging.version import Version

from updater.errors import Problem, SchemaError, TargetMismatchError
from updater.frozen import frozen
from updater.package.index.columns import Columns
from updater.package.structure import LOCAL, MAX_MEMBERS, MAX_SIZE
from updater.schema.document import Reader, dump_json, parse_json
from updater.schema.manifest import Manifest, ManifestFile
from updater.schema.paths import check_path, find_collisions
from updater.schema.text import check_digest, check_version
from updater.zstd import decode_frame

__all__ = [
    "EXECUTABLE",
    "LARGEST_BLOCK",
    "LARGEST_HEAD",
    "PREFIX_SIZE",
    "STORED",
    "SYMLINK",
    "Block",
    "BlockContent",
    "IndexHead",
    "IndexedMember",
    "Rebuilt",
    "rebuild",
]

EXECUTABLE, SYMLINK, STORED = 1, 2, 4
PREFIX_SIZE = 4
LARGEST_HEAD = 1 << 24
LARGEST_BLOCK = 1 << 25
"""Bytes of a block, unpacked."""

_LONGEST_PATH = 1024


@frozen
class IndexedMember:
    """One file of the package. Sizes in bytes; ``prefix``: the first 8 hex digits of its SHA-256."""

    path: str
    size: int
    packed_size: int
    mode: int
    symlink: bool
    stored: bool
    prefix: str

    @property
    def record_size(self) -> int:
        """Bytes in the package, the local header included."""
        return LOCAL.size + len(self.path.encode()) + self.packed_size


@frozen
class Block:
    """Where in the index the files that last changed in the release ``since`` are described (None: in an older one).

    ``offset`` and ``size`` in bytes of the index.
    """

    since: str | None
    files: int
    offset: int
    size: int
    sha256: str

    @property
    def end(self) -> int:
        return self.offset + self.size


@frozen
class BlockContent:
    """A block unpacked: its members in the order of the package, and the paths that are gone since."""

    members: tuple[IndexedMember, ...]
    gone: tuple[str, ...]


@frozen
class IndexHead:
    """The first part of an index: the manifest without the files of the release, and where the blocks are."""

    manifest: Manifest
    blocks: tuple[Block, ...]
    document: str

    @classmethod
    def parse(cls, data: bytes, index_size: int, document: str = "the package index") -> IndexHead:
        """Read the head, whose digest the caller has checked. ``index_size``: bytes of the whole index, as the feed
        has it. Raises SchemaError."""
        if len(data) > LARGEST_HEAD:
            raise SchemaError(document, [Problem("$", f"has {len(data)} bytes; at most {LARGEST_HEAD} are read")])
        value = parse_json(data, document)
        reader = Reader(value, document)
        reader.schema()
        reader.child("manifest")
        blocks = tuple(_read_blocks(reader, len(data)))
        if not blocks:
            reader.problem("blocks", "is empty")
        elif blocks[-1].end != index_size:
            reader.problem("blocks", f"end at byte {blocks[-1].end} of {index_size}")
        if sum(block.files for block in blocks) > MAX_MEMBERS:
            reader.problem("blocks", f"have more than {MAX_MEMBERS} files")
        for newer, older in pairwise(blocks):
            if newer.since is None or (older.since is not None and Version(older.since) >= Version(newer.since)):
                reader.problem("blocks", "are not from the newest release to the oldest")
        reader.finish()
        manifest = Manifest.parse(dump_json(value["manifest"], indent=None), f"the manifest in {document}")
        if manifest.files:
            raise SchemaError(document, [Problem("$.manifest.files", "lists files of the release")])
        return cls(manifest, blocks, document)

    def needed(self, installed: str | None) -> tuple[Block, ...]:
        """The blocks that a site which runs ``installed`` has to read; a beginning of all of them."""
        if installed is None:
            return self.blocks
        here = Version(installed)
        for count, block in enumerate(self.blocks):
            if block.since is not None and Version(block.since) <= here:
                return self.blocks[:count]
        return self.blocks

    def read_block(self, number: int, data: bytes) -> BlockContent:
        """Check and unpack the bytes of block ``number``. Raises TargetMismatchError, SchemaError."""
        block = self.blocks[number]
        if len(data) != block.size or hashlib.sha256(data).hexdigest() != block.sha256:
            raise TargetMismatchError(
                f"Block {number} of {self.document} has not the size and digest that its head says.",
                hint="This copy was replaced or damaged. Tell the publisher.",
            )
        try:
            return _read_content(Columns(decode_frame(data, LARGEST_BLOCK)), block.files)
        except ValueError as error:
            raise SchemaError(self.document, [Problem(f"$.blocks[{number}]", str(error))]) from error


def _read_blocks(reader: Reader, offset: int) -> Iterator[Block]:
    for child in reader.children("blocks", required=True):
        block = Block(
            since=child.optional_text("since", check=check_version),
            files=child.integer("files", maximum=MAX_MEMBERS),
            offset=offset,
            size=child.integer("size", minimum=1, maximum=LARGEST_BLOCK),
            sha256=child.text("sha256", check=check_digest),
        )
        if block.since is not None and child.problems:
            child.finish()  # versions are compared next, so they must be versions
        yield block
        offset = block.end


def _read_content(columns: Columns, files: int) -> BlockContent:
    count, gone_count = columns.number(MAX_MEMBERS), columns.number(MAX_MEMBERS)
    if count != files:
        raise ValueError(f"holds {count} files; its head says {files}")
    paths = list(columns.paths(count, _LONGEST_PATH))
    sizes, packed_sizes = columns.numbers(count, MAX_SIZE), columns.numbers(count, MAX_SIZE)
    flags, prefixes = columns.take(count), columns.take(PREFIX_SIZE * count)
    gone = tuple(columns.paths(gone_count, _LONGEST_PATH))
    columns.finish()
    for path in (*paths, *gone):
        check_path(path)
    members = []
    for index, path in enumerate(paths):
        flag, size, packed = flags[index], sizes[index], packed_sizes[index]
        if flag > 7 or flag & (EXECUTABLE | SYMLINK) == EXECUTABLE | SYMLINK:
            raise ValueError(f"says {path!r} is of the unknown kind {flag}")
        if (packed != size) if flag & STORED else (packed >= size):
            raise ValueError(f"says {path!r} has {size} bytes and takes {packed}")
        mode = 0 if flag & SYMLINK else 0o755 if flag & EXECUTABLE else 0o644
        prefix = prefixes[PREFIX_SIZE * index : PREFIX_SIZE * (index + 1)].hex()
        members.append(
            IndexedMember(path, size, packed, mode, bool(flag & SYMLINK), bool(flag & STORED), prefix),
        )
    return BlockContent(tuple(members), gone)


@frozen
class Rebuilt:
    """The outline of a manifest, and the offset (bytes) in the package of each listed member's local header.

    Files of the outline that are new have the beginning of their digest only, and new symlinks an empty target.
    ``end``: the offset behind the last listed member. ``whole``: all of the package's files are listed.
    """

    outline: Manifest
    members: Mapping[str, tuple[int, IndexedMember]]
    end: int
    whole: bool


def rebuild(head: IndexHead, contents: Sequence[BlockContent], installed: Manifest | None) -> Rebuilt:
    """What the release is, from the first blocks and the installed release (which may be left out when all are given).

    Raises SchemaError when they contradict each other.
    """
    whole = len(contents) == len(head.blocks)
    if installed is None and not whole:
        raise ValueError("without an installed release all blocks are needed")
    known = {} if installed is None else installed.files
    gone = {path for content in contents for path in content.gone}
    files = {} if whole else {path: file for path, file in known.items() if path not in gone}
    members: dict[str, tuple[int, IndexedMember]] = {}
    offset = 0
    for member in (member for content in contents for member in content.members):
        if member.path in members:
            raise SchemaError(head.document, [Problem("$.blocks", f"{member.path!r} stands twice")])
        members[member.path] = (offset, member)
        files[member.path] = _outlined(member, known.get(member.path))
        offset += member.record_size
    problems = [Problem("$.blocks", text) for text in find_collisions(files)]
    problems += [Problem("$.manifest", f"{path!r} is deleted") for path in head.manifest.deleted if path in files]
    if problems:
        raise SchemaError(head.document, problems)
    ordered = dict(sorted(files.items(), key=lambda item: item[0].encode()))
    return Rebuilt(replace(head.manifest, files=ordered), members, offset, whole)


def _outlined(member: IndexedMember, installed: ManifestFile | None) -> ManifestFile:
    same = installed is not None and (
        installed.size == member.size
        and installed.sha256.startswith(member.prefix)
        and (installed.symlink is not None) == member.symlink
    )
    if same and installed is not None:
        return ManifestFile(member.path, installed.sha256, member.size, member.mode, installed.symlink)
    return ManifestFile(member.path, member.prefix, member.size, member.mode, "" if member.symlink else None)
