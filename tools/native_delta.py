"""What one changed native library costs as a delta, beside bsdiff: ``python -m tools.native_delta``.

Each figure comes from a process of its own, with both files in memory; peaks include the interpreter and them. bsdiff4
and HDiffPatch run under the Python of the peers (tools/bench).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tools.bench.pairs import Pair
from tools.bench.places import HOME, ROOT, peers_python

__all__ = ["LIBRARIES", "native_costs"]

LIBRARIES = (
    (Pair("cryptography", "44.0.2", "44.0.3"), "_rust."),
    (Pair("numpy", "2.2.4", "2.2.5"), "_multiarray_umath."),
    (Pair("pillow", "11.1.0", "11.2.1"), "_imaging."),
    (Pair("pillow", "11.1.0", "11.2.1"), "libharfbuzz"),
)
"""A pair of releases, and how the name of the library in it begins."""

_METHODS = ("ours", "bsdiff4", "bsdiff streams, xz", "HDiffPatch, lzma2")


def native_costs() -> list[str]:
    """A table: bytes; CPU seconds and MiB to create and to apply."""
    rows = [
        "| library | method | bytes | create, CPU s | MiB | apply, CPU s | MiB |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for pair, name in LIBRARIES:
        old, new = (_library(pair.tree(version), name) for version in (pair.old, pair.new))
        for method in _METHODS:
            created = _measure("create", method, old, new)
            applied = _measure("apply", method, old, new)
            rows.append(
                f"| {pair} {name} {new.stat().st_size:,} | {method} | {int(created['bytes']):,} | {created['cpu']:.2f}"
                f" | {created['peak']:.0f} | {applied['cpu']:.2f} | {applied['peak']:.0f} |"
            )
    return rows


def _library(tree: Path, name: str) -> Path:
    (found,) = (path for path in tree.rglob(f"{name}*") if ".so" in path.name)
    return found


def _measure(what: str, method: str, old: Path, new: Path) -> dict[str, float]:
    python = sys.executable if method == "ours" else str(peers_python())
    command = [python, str(Path(__file__)), what, method, str(old), str(new), str(HOME / "native.patch")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


# What runs in the process that is measured; it imports only what the method needs.


def _create(method: str, old: bytes, new: bytes) -> bytes:
    if method == "ours":
        from feedgen.delta.native import make_streams, pack

        return pack(make_streams(old, new))
    if method == "bsdiff4":
        import bsdiff4  # type: ignore[import-not-found,import-untyped,unused-ignore]

        return bytes(bsdiff4.diff(old, new))
    if method == "HDiffPatch, lzma2":
        import hdiffpatch  # type: ignore[import-not-found,unused-ignore]

        return bytes(hdiffpatch.diff(old, new, compression=hdiffpatch.COMPRESSION_LZMA2, validate=False))
    import lzma

    import bsdiff4.core  # type: ignore[import-not-found,import-untyped,unused-ignore]

    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]
    control, differences, extra = bsdiff4.core.diff(old, new)
    numbers = b"".join(number.to_bytes(8, "little", signed=True) for row in control for number in row)
    return b"".join(lzma.compress(part, lzma.FORMAT_RAW, filters=filters) for part in (numbers, differences, extra))


def _applier(method: str, patch: bytes, old: Path, size: int) -> Callable[[], object]:
    if method == "ours":
        import io

        from updater.delta.streams import apply_streams

        return lambda: apply_streams(io.BytesIO(patch), old.open("rb"), size, len)
    if method == "HDiffPatch, lzma2":
        import hdiffpatch

        return lambda: hdiffpatch.apply(old.read_bytes(), patch)
    if method == "bsdiff4":
        import bsdiff4

        return lambda: bsdiff4.patch(old.read_bytes(), patch)
    return lambda: None  # nobody ships this format


def _main(what: str, method: str, old: Path, new: Path, patch: Path) -> dict[str, float]:
    import resource
    import time

    if what == "create":
        contents = old.read_bytes(), new.read_bytes()
        started = time.process_time()
        made = _create(method, *contents)
        patch.write_bytes(made)
    else:
        made = patch.read_bytes()
        run = _applier(method, made, old, new.stat().st_size)
        started = time.process_time()
        run()
    spent = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"bytes": len(made), "cpu": spent, "peak": peak}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(_main(sys.argv[1], sys.argv[2], *map(Path, sys.argv[3:]))))
    else:
        print("\n".join(native_costs()))
