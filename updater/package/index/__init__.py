"""The package index: in few bytes, what a package holds and where (docs/formats.md section 11).

Reading: `IndexHead.parse` the first bytes, `IndexHead.needed` blocks for a site, `IndexHead.read_block` each of them,
`rebuild` the outline of the manifest from those and the installed manifest. Writing: `write_index`. Pure functions of
bytes. Unlike the rest of this room it needs zstd, so nothing here is used on a way back.
"""

from updater.package.index.reader import Block, BlockContent, IndexedMember, IndexHead, Rebuilt, rebuild
from updater.package.index.writer import NewBlock, PackedMember, WrittenIndex, write_index

__all__ = [
    "Block",
    "BlockContent",
    "IndexHead",
    "IndexedMember",
    "NewBlock",
    "PackedMember",
    "Rebuilt",
    "WrittenIndex",
    "rebuild",
    "write_index",
]
