"""Packing a group: its content is compressed against what it is built from. Same input, same bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from feedgen.delta.edits import EditedGroup, Known, form_of, write_control
from feedgen.delta.plan import GROUP, REFERENCES, Plan
from updater.delta.edits import TargetEdits
from updater.delta.groups import EDITS, STREAMS
from updater.delta.record import is_record
from updater.delta.views import Form
from updater.delta.zstd import MAGIC, SHORTEST_PREFIX, zstd
from updater.schema.manifest import ManifestFile
from updater.schema.varints import unsigned

__all__ = ["Packed", "PackedPiece", "compress", "jobs", "pack_small"]

_P = zstd.CompressionParameter
_LEVEL, _FAST = 18, 12
_NEARLY_OLD = 40
"""A piece of a large file is nearly all old when it packs to less than one part in so many."""

_SHORTEST_WINDOW = 10
_CHAIN_LOG, _HASH_LOG = 22, 20
"""Memory of the compressor, instead of what the level asks for: 4 bytes times 2 to the power of these."""

Read = Callable[[ManifestFile], bytes]
Job = Callable[[], "PackedPiece"]


@dataclass(frozen=True)
class PackedPiece:
    """``data`` unpacks to ``size`` bytes with ``length`` bytes of the references, from ``start`` on, as prefix."""

    data: bytes
    size: int
    start: int = 0
    length: int = 0


@dataclass(frozen=True)
class Packed:
    """A packed group, in pieces."""

    plan: Plan
    pieces: tuple[PackedPiece, ...]


def jobs(plan: Plan, read_old: Read, read_new: Read, known: Known) -> Iterator[Job]:
    """What has to be compressed for a group. Files are read here; a job needs none and can run on another thread."""
    if plan.codec == EDITS:
        yield _edits(plan, read_old, read_new, known)
    elif plan.codec == STREAMS:
        yield _streams(plan, read_old, read_new)
    else:
        yield from _slices(plan, read_old, read_new)


def _edits(plan: Plan, read_old: Read, read_new: Read, known: Known) -> Job:
    group = EditedGroup()
    order = sorted(plan.targets, key=lambda file: _is_shortened(file, read_new, known))
    uses = Counter(plan.chosen.values())
    for file in order:
        chosen = plan.chosen[file.path]
        group.add(file, read_new(file), [(old, read_old(old)) for old in chosen], known, last=uses[chosen] == 1)
    return lambda: _pack_edits(plan, dict(zip([file.path for file in order], group.targets, strict=True)), group)


def _is_shortened(file: ManifestFile, read_new: Read, known: Known) -> bool:
    """Whether it is a list of digests that a client has to build last."""
    return is_record(file.path) and form_of(file.path, read_new(file), known.of_new)[0] is Form.RECORD


def _pack_edits(plan: Plan, edits: dict[str, TargetEdits], group: EditedGroup) -> PackedPiece:
    control = write_control([edits[file.path] for file in plan.targets])
    return PackedPiece(pack_small(control) + compress(b"".join(group.text), group.prefix()), plan.size)


def _streams(plan: Plan, read_old: Read, read_new: Read) -> Job:
    (old,), (new,) = plan.references, plan.targets
    before, after = read_old(old), read_new(new)

    def job() -> PackedPiece:
        from feedgen.delta.native import make_streams, pack  # numpy: not before it is needed

        return PackedPiece(pack(make_streams(before, after)), plan.size)

    return job


def _slices(plan: Plan, read_old: Read, read_new: Read) -> Iterator[Job]:
    """A large file in pieces, each with the part of the old content that lies about where it does."""
    content = b"".join(read_new(file) for file in plan.targets)
    old = b"".join(read_old(file) for file in plan.references)
    for position in range(0, len(content), GROUP):
        piece = content[position : position + GROUP]
        middle = (position + len(piece) // 2) * len(old) // len(content)
        start = max(0, min(middle - REFERENCES // 2, len(old) - REFERENCES))
        yield _slice(piece, old[start : start + REFERENCES], start)


def _slice(piece: bytes, prefix: bytes, start: int) -> Job:
    return lambda: PackedPiece(_compress_slice(piece, prefix), len(piece), start, len(prefix))


def _compress_slice(piece: bytes, prefix: bytes) -> bytes:
    """As hard as it pays: where nearly all is old, the slow search finds hardly more than the fast one."""
    fast = compress(piece, prefix, level=_FAST, distant=True)
    return fast if len(fast) * _NEARLY_OLD < len(piece) else compress(piece, prefix, distant=True)


def pack_small(data: bytes, prefix: bytes = b"") -> bytes:
    """Its size, its packed size (0: not packed), and the data."""
    squeezed = compress(data, prefix, checksum=False)
    if len(squeezed) < len(data):
        return unsigned(len(data)) + unsigned(len(squeezed)) + squeezed
    return unsigned(len(data)) + unsigned(0) + data


def compress(
    content: bytes, prefix: bytes, *, level: int = _LEVEL, checksum: bool = True, distant: bool = False
) -> bytes:
    """One zstd frame without its magic number, with its size. ``distant``: look for long matches far away first."""
    window = max((len(content) + len(prefix)).bit_length(), _SHORTEST_WINDOW)
    options: dict[int, int] = {
        _P.compression_level: level,
        _P.checksum_flag: checksum,
        _P.window_log: window,
        _P.enable_long_distance_matching: distant,
        _P.chain_log: min(window, _CHAIN_LOG),
        _P.hash_log: min(window, _HASH_LOG),
    }
    dictionary = zstd.ZstdDict(prefix, is_raw=True).as_prefix if len(prefix) >= SHORTEST_PREFIX else None
    compressor = zstd.ZstdCompressor(options=options, zstd_dict=dictionary)
    compressor.set_pledged_input_size(len(content))
    return compressor.compress(content, compressor.FLUSH_FRAME).removeprefix(MAGIC)
