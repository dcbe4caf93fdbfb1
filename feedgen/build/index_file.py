"""The index beside a package: what it holds and where, for sites that fetch a part (docs/formats.md section 11)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from feedgen.build.history import Layer
from updater.package.index import NewBlock, PackedMember, write_index
from updater.package.structure import STORE, Member
from updater.schema.manifest import MANIFEST_NAME, Manifest

__all__ = ["BuiltIndex", "build_index", "in_package_order"]


@dataclass(frozen=True)
class BuiltIndex:
    """An index on disk. Sizes in bytes; the feed carries the size and digest of its head."""

    path: Path
    size: int
    head_size: int
    head_sha256: str


def build_index(
    path: Path, manifest: Manifest, manifest_bytes: bytes, members: Mapping[str, Member], layers: Sequence[Layer]
) -> BuiltIndex:
    """Write the index of a package to ``path``. ``members``: every member by its path, in the order of the package.

    Raises ValueError, with the reason as a clause, when no client could rebuild the manifest from it.
    """
    if manifest.to_bytes() != manifest_bytes:
        raise ValueError("its manifest is not written in the one way that a client can rebuild")
    packed = {
        member.path: PackedMember(member.packed_size, member.method == STORE)
        for member in members.values()
        if member.path != MANIFEST_NAME
    }
    written = write_index(manifest, packed, [NewBlock(layer.since, layer.paths, layer.gone) for layer in layers])
    path.write_bytes(written.data)
    return BuiltIndex(path, len(written.data), written.head_size, written.head_sha256)


def in_package_order(members: Iterable[str], layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """``layers`` if the package has that order; else one that holds everything and says nothing of when it changed."""
    paths = tuple(path for path in members if path != MANIFEST_NAME)
    if paths == tuple(path for layer in layers for path in layer.paths):
        return tuple(layers)
    return (Layer(None, paths),)
