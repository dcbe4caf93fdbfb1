"""Writing an index (docs/formats.md section 11)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from updater.errors import FeedError
from updater.frozen import frozen
from updater.package.index.columns import write_paths
from updater.package.index.reader import (
    EXECUTABLE,
    LARGEST_BLOCK,
    LARGEST_HEAD,
    PREFIX_SIZE,
    STORED,
    SYMLINK,
    IndexHead,
    rebuild,
)
from updater.schema.document import dump_json
from updater.schema.manifest import Manifest
from updater.schema.varints import unsigned
from updater.zstd import encode_frame

__all__ = ["NewBlock", "PackedMember", "WrittenIndex", "write_index"]


@frozen
class PackedMember:
    """How a file lies in the package: its packed size in bytes, and whether it is stored instead of deflated."""

    packed_size: int
    stored: bool


@frozen
class NewBlock:
    """The files that last changed in the release ``since``, in the order of the package, and what the release before
    that one had and the new one has not. ``since``: None for the last block, when the history was cut there."""

    since: str | None
    paths: Sequence[str]
    gone: Sequence[str] = ()


@frozen
class WrittenIndex:
    """An index, and what the feed says of its head (size in bytes)."""

    data: bytes
    head_size: int
    head_sha256: str


def write_index(manifest: Manifest, packed: Mapping[str, PackedMember], blocks: Sequence[NewBlock]) -> WrittenIndex:
    """The index of a package whose members are the files of ``blocks``, in that order, and last its manifest.

    ``packed`` says of each path how it lies in the package. Raises ValueError when no reader could rebuild the
    manifest from the index: a file stands in no block or in two, the blocks are not newest first, an entry of the
    manifest has fields that an index cannot hold, or a limit is passed.
    """
    frames = [encode_frame(_content(manifest, packed, block)) for block in blocks]
    outline = json.loads(replace(manifest, files={}).to_bytes())
    described = [
        {
            **({} if block.since is None else {"since": block.since}),
            "files": len(block.paths),
            "size": len(frame),
            "sha256": hashlib.sha256(frame).hexdigest(),
        }
        for block, frame in zip(blocks, frames, strict=True)
    ]
    head = dump_json({"schema": "1.0", "manifest": outline, "blocks": described}, indent=None)
    if len(head) > LARGEST_HEAD:
        raise ValueError(f"the head of the index would have {len(head)} bytes; at most {LARGEST_HEAD} are read")
    written = WrittenIndex(b"".join((head, *frames)), len(head), hashlib.sha256(head).hexdigest())
    _prove(written, manifest, frames)
    return written


def _content(manifest: Manifest, packed: Mapping[str, PackedMember], block: NewBlock) -> bytes:
    files = [manifest.files[path] for path in block.paths]
    flags = bytearray()
    for file in files:
        kind = SYMLINK if file.symlink is not None else EXECUTABLE if file.mode & 0o100 else 0
        flags.append(kind | (STORED if packed[file.path].stored else 0))
    data = b"".join(
        (
            unsigned(len(files)) + unsigned(len(block.gone)),
            write_paths(block.paths),
            *(unsigned(file.size) for file in files),
            *(unsigned(packed[file.path].packed_size) for file in files),
            flags,
            *(bytes.fromhex(file.sha256)[:PREFIX_SIZE] for file in files),
            write_paths(block.gone),
        )
    )
    if len(data) > LARGEST_BLOCK:
        raise ValueError(f"a block would have {len(data)} bytes; at most {LARGEST_BLOCK} are read")
    return data


def _prove(written: WrittenIndex, manifest: Manifest, frames: Sequence[bytes]) -> None:
    """Read back what was written: `rebuild` and the digests must give the manifest."""
    try:
        head = IndexHead.parse(written.data[: written.head_size], len(written.data))
        rebuilt = rebuild(head, [head.read_block(number, frame) for number, frame in enumerate(frames)], manifest)
    except FeedError as error:
        raise ValueError(f"the index would be refused: {error}") from error
    if rebuilt.outline.to_bytes() != manifest.to_bytes():
        raise ValueError("the manifest cannot be rebuilt from an index of it: a file is missing, or has unknown fields")
