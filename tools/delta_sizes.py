"""How large deltas are and what it costs to make them, next to tufup: ``python -m tools.delta_sizes [pair ...]``.

tufup's patch is bsdiff4 between the two trees as uncompressed tars, made in memory; here it is made by the same call
on the same trees. Each is made in a process of its own, which tells the CPU seconds of all its threads and its peak
memory. A pair is its number in `PAIRS`.
"""

from __future__ import annotations

import io
import json
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tools.bench.pairs import PAIRS, Pair

__all__ = ["Cost", "delta_sizes"]


class Cost(NamedTuple):
    """What one way to make a patch came to: bytes, CPU seconds, peak MiB of the process."""

    size: int
    seconds: float
    memory: float


def delta_sizes(pairs: Sequence[Pair] = PAIRS) -> list[str]:
    """The table, a row for each pair."""
    from tools.bench.packages import package_of

    rows = [
        "| pair | full zip | delta | tufup | ratio | delta CPU s | tufup | delta peak MiB | tufup |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    ratios = []
    for pair in pairs:
        old, new = (package_of(pair, version) for version in (pair.old, pair.new))
        ours, peer = (_measure(way, old, new) for way in ("delta", "tufup"))
        ratios.append(ours.size / peer.size)
        sizes = f"{new.stat().st_size:,} | {ours.size:,} | {peer.size:,} | {ratios[-1]:.3f}"
        costs = f"{ours.seconds:.1f} | {peer.seconds:.1f} | {ours.memory:.0f} | {peer.memory:.0f}"
        rows.append(f"| {pair} | {sizes} | {costs} |")
    return [*rows, f"| geometric mean | | | | {statistics.geometric_mean(ratios):.3f} | | | | |"]


def _measure(way: str, old: Path, new: Path) -> Cost:
    with tempfile.TemporaryDirectory(prefix="delta-sizes-") as folder:
        command = [sys.executable, "-m", "tools.delta_sizes", f"--{way}", str(old), str(new), folder]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Cost(*json.loads(done.stdout))


def _make_delta(old: Path, new: Path, folder: Path) -> int:
    from feedgen.delta import create_delta

    return create_delta(old, new, folder / "patch").size


def _make_peer(old: Path, new: Path, folder: Path) -> int:
    import bsdiff4  # type: ignore[import-untyped,unused-ignore]

    (folder / "patch").write_bytes(bsdiff4.diff(_tar(old), _tar(new)))
    return (folder / "patch").stat().st_size


def _tar(package: Path) -> bytes:
    """The tree as tufup keeps it, without our manifest."""
    out = io.BytesIO()
    with zipfile.ZipFile(package) as archive, tarfile.open(fileobj=out, mode="w") as tar:
        for info in sorted(archive.infolist()[:-1], key=lambda info: info.filename):
            member = tarfile.TarInfo(info.filename)
            member.size, member.mode = info.file_size, info.external_attr >> 16 & 0o777
            tar.addfile(member, archive.open(info))
    return out.getvalue()


def main(arguments: Sequence[str]) -> None:
    """Print the table, or, in a child process, the cost of one way."""
    ways = {"--delta": _make_delta, "--tufup": _make_peer}
    if arguments and arguments[0] in ways:
        size = ways[arguments[0]](*map(Path, arguments[1:]))
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(json.dumps([size, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
    else:
        print(*delta_sizes([PAIRS[int(number)] for number in arguments] or PAIRS), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
