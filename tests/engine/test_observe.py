"""Looking at a tree: every file is read, however many do it."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest

from updater.install.observe import observe, threads_for


@pytest.mark.parametrize(
    ("files", "size", "busy", "cores", "threads"),
    [
        (4000, 26_000_000, 1.0, 2, 1),  # small files that are in memory
        (4000, 26_000_000, 0.5, 2, 4),  # the same from a disk
        (500, 57_000_000, 1.0, 2, 2),  # large ones: hashing is most of the work
        (500, 57_000_000, 1.0, 1, 1),
        (30, 57_000_000, 0.1, 2, 1),  # too few
        (0, 0, 0.0, 2, 1),
    ],
)
def test_files_are_read_with_threads_where_that_helps(
    files: int, size: int, busy: float, cores: int, threads: int
) -> None:
    assert threads_for(files, size, busy, cores) == threads


@pytest.mark.parametrize("files", [0, 1, 49, 50, 51, 700])
def test_every_file_is_read_by_one_thread_or_by_several(tmp_path: Path, files: int, monkeypatch) -> None:
    monkeypatch.setattr(time, "thread_time", lambda: 0.0)  # as if it only waited for the disk
    contents = {f"{number}.txt": f"content {number}".encode() for number in range(files)}
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    found = observe(tmp_path, contents)
    assert {name: one.sha256 for name, one in found.items()} == {
        name: hashlib.sha256(data).hexdigest() for name, data in contents.items()
    }
