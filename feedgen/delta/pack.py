"""Packing a group: its content is compressed against what it is built from. Same input, same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from feedgen.delta.plan import GROUP, REFERENCES, Plan
from updater.delta.gettext import GettextError, pack, unpack
from updater.delta.groups import ZSTD
from updater.delta.references import prefix_content
from updater.delta.varints import Cursor
from updater.delta.zstd import MAGIC, zstd
from updater.schema.manifest import ManifestFile

__all__ = ["Packed", "PackedPiece", "Unpacked", "compress", "load", "pack_piece"]

_P = zstd.CompressionParameter
Read = Callable[[ManifestFile], bytes]


@dataclass(frozen=True)
class Unpacked:
    """Content to be packed, and its prefix: ``length`` bytes from ``start`` on of the group's references."""

    content: bytes
    prefix: bytes
    start: int
    length: int
    catalogs: tuple[str, ...] = ()


@dataclass(frozen=True)
class PackedPiece:
    """``data`` unpacks to ``size`` bytes, in the way ``codec``, with that part of the group's references as prefix."""

    codec: int
    data: bytes
    size: int
    start: int
    length: int
    catalogs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Packed:
    """A packed group. All pieces have the same codec."""

    plan: Plan
    codec: int
    pieces: tuple[PackedPiece, ...]

    @property
    def catalogs(self) -> tuple[str, ...]:
        """The targets that are kept unpacked."""
        return self.pieces[0].catalogs


def load(plan: Plan, read_old: Read, read_new: Read) -> Iterator[Unpacked]:
    """The content of a group, a piece at a time."""
    if plan.large:
        yield from _slices(plan, read_old, read_new)
        return
    parts, catalogs = [], []
    for file in plan.targets:
        data = read_new(file)
        catalog = _catalog(data) if file.path.endswith(".mo") else None
        if catalog is not None:
            catalogs.append(file.path)
        parts.append(data if catalog is None else catalog)
    prefix = [prefix_content(file, read_old(file), catalogs=bool(catalogs)) for file in plan.references]
    yield Unpacked(b"".join(parts), b"".join(prefix), 0, plan.old_size, tuple(catalogs))


def _catalog(data: bytes) -> bytes | None:
    """A gettext catalog unpacked, when the client can make exactly the same of it."""
    try:
        unpacked = unpack(data)
        cursor = Cursor(unpacked, "a catalog")
        number = cursor.unsigned(1 << 32)
        again = pack(number >> 1, unpacked[cursor.position :], hashed=bool(number & 1))
    except GettextError:
        return None
    return unpacked if again == data else None


def _slices(plan: Plan, read_old: Read, read_new: Read) -> Iterator[Unpacked]:
    """A large file in pieces, each with the part of the old content that lies about where it does."""
    content = b"".join(read_new(file) for file in plan.targets)
    old = b"".join(read_old(file) for file in plan.references)
    for position in range(0, len(content), GROUP):
        piece = content[position : position + GROUP]
        middle = (position + len(piece) // 2) * len(old) // len(content)
        start = max(0, min(middle - REFERENCES // 2, len(old) - REFERENCES))
        prefix = old[start : start + REFERENCES]
        yield Unpacked(piece, prefix, start, len(prefix))


def pack_piece(piece: Unpacked) -> PackedPiece:
    """Compress one piece."""
    data = compress(piece.content, piece.prefix)
    return PackedPiece(ZSTD, data, len(piece.content), piece.start, piece.length, piece.catalogs)


def compress(content: bytes, prefix: bytes, level: int = 19) -> bytes:
    """One zstd frame without its magic number, with checksum and size."""
    options: dict[int, int] = {
        _P.compression_level: level,
        _P.checksum_flag: 1,
        _P.window_log: max((len(content) + len(prefix)).bit_length(), 10),
        _P.enable_long_distance_matching: 1,
    }
    dictionary = zstd.ZstdDict(prefix, is_raw=True).as_prefix if prefix else None
    compressor = zstd.ZstdCompressor(options=options, zstd_dict=dictionary)
    compressor.set_pledged_input_size(len(content))
    return compressor.compress(content, compressor.FLUSH_FRAME).removeprefix(MAGIC)
