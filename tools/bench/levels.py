"""What each level of the compressor costs and saves on real packages: why `feedgen.build.compressor` has its own."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable

import deflate

from tools.bench.pairs import PAIRS, Pair

__all__ = ["compression_levels"]

_LEVELS = (6, 9, 10, 12)
_MEASURED = (PAIRS[0], PAIRS[6], PAIRS[7])


def compression_levels() -> list[str]:
    """Every file of a release deflated by itself, as in a package: bytes together, and seconds of one processor."""
    ways = [(f"libdeflate {level}", _libdeflate(level)) for level in _LEVELS] + [("zlib 9", _zlib)]
    rows = [f"| release | {' | '.join(name for name, _ in ways)} |", f"|---|{'---:|' * len(ways)}"]
    return [*rows, *(_row(pair, [way for _, way in ways]) for pair in _MEASURED)]


def _row(pair: Pair, ways: list[Callable[[bytes], bytes]]) -> str:
    files = [path.read_bytes() for path in sorted(pair.tree(pair.new).rglob("*")) if path.is_file()]
    cells = []
    for way in ways:
        started = time.process_time()
        size = sum(len(way(data)) for data in files)
        cells.append(f"{size:,} in {time.process_time() - started:.1f} s")
    return f"| {pair.project} {pair.new} | {' | '.join(cells)} |"


def _libdeflate(level: int) -> Callable[[bytes], bytes]:
    return lambda data: bytes(deflate.deflate_compress(data, level))


def _zlib(data: bytes) -> bytes:
    return zlib.compress(data, 9, -15)
