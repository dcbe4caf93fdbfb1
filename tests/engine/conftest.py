"""Nothing here cuts the power, so nothing has to reach the disk; the order of flushes has a test of its own."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import pytest

import tests.engine.world  # noqa: F401 - imports whatever flushes
import updater.site.files

MEMORY = Path("/dev/shm")


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory where there is one: thousands of small sites are copied and removed."""
    if not os.access(MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as directory:
        yield Path(directory)


@pytest.fixture(autouse=True)
def _no_flushing() -> Iterator[None]:
    sync = updater.site.files.sync_filesystem
    users = [module for module in list(sys.modules.values()) if getattr(module, "sync_filesystem", None) is sync]
    with ExitStack() as patches:
        for module in users:
            patches.enter_context(mock.patch.object(module, "sync_filesystem", lambda path: None))
        patches.enter_context(mock.patch.object(os, "fsync", lambda handle: None))
        yield
