"""What it costs to make an update durable: one flush of the filesystem against an fsync for each file.

As many files as an update of Django and Wagtail changes (2,500 with 28 MB) are written, then flushed; only the flush is
timed. Flushing the filesystem flushes what everybody else wrote, too, so it is measured on a quiet machine.
"""

from __future__ import annotations

import os
import shutil
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from updater.site.files import fsync_directory, sync_filesystem

__all__ = ["flush_costs"]

FILES = 2_500
BYTES = 28_000_000
FOLDERS = 50
RUNS = 3
THREADS = 16


def flush_costs(folder: Path) -> list[str]:
    """One row for each way to flush, measured in ``folder``: the median of three runs, in milliseconds."""
    ways: dict[str, Callable[[Path, list[Path]], None]] = {
        "one flush of the filesystem (`syncfs`): what the updater does": lambda tree, _: sync_filesystem(tree),
        f"an fsync for each file and folder, {THREADS} threads": _in_threads,
        "an fsync for each file and folder": _one_by_one,
    }
    size = f"{FILES:,} files, {BYTES / 1e6:.0f} MB, on {_filesystem(folder)}"
    rows = [f"| {size} | ms |", "|---|---:|"]
    for name, flush in ways.items():
        rows.append(
            f"| {name} | {statistics.median(_measure(folder / 'tree', flush) for _ in range(RUNS)) * 1000:.0f} |"
        )
    return rows


def _measure(tree: Path, flush: Callable[[Path, list[Path]], None]) -> float:
    """Write the files and flush them; the seconds that the flush took."""
    files = [tree / f"folder{number % FOLDERS}" / f"file{number}.py" for number in range(FILES)]
    for number in range(FOLDERS):
        (tree / f"folder{number}").mkdir(parents=True)
    sync_filesystem(tree)
    content = os.urandom(BYTES // FILES)
    for path in files:
        path.write_bytes(content)
    started = time.perf_counter()
    flush(tree, files)
    took = time.perf_counter() - started
    shutil.rmtree(tree)
    sync_filesystem(tree.parent)
    return took


def _one_by_one(tree: Path, files: list[Path]) -> None:
    for path in files:
        _fsync(path)
    for directory in (*sorted({path.parent for path in files}), tree):
        fsync_directory(directory)


def _in_threads(tree: Path, files: list[Path]) -> None:
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(_fsync, files))
        list(threads.map(fsync_directory, {path.parent for path in files}))
    fsync_directory(tree)


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _filesystem(folder: Path) -> str:
    """The kind of filesystem that holds ``folder``: ext4, tmpfs; empty where the system does not say."""
    mounts = Path("/proc/self/mounts")
    if not mounts.exists():
        return "this filesystem"
    found = [line.split()[1:3] for line in mounts.read_text(encoding="utf-8").splitlines()]
    holding = [(point, kind) for point, kind in found if folder.resolve().is_relative_to(point)]
    return max(holding, key=lambda mount: len(mount[0]))[1]
