"""The published shop of these tests."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.torture.network.world import World, quick_folder
from updater.transport import patience


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Made once, only copied."""
    with tempfile.TemporaryDirectory(dir=quick_folder(tmp_path_factory.getbasetemp())) as folder:
        yield World.make(Path(folder))


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of downloads fail here, each after three pauses of together ten seconds: as many, but shorter ones."""
    monkeypatch.setattr(patience, "BACKOFF", (0.01, 0.02, 0.05))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where cases make their folders; the home and the place for temporary files lie there too, and stay empty."""
    with tempfile.TemporaryDirectory(dir=quick_folder(tmp_path)) as name:
        base = Path(name)
        for variable in ("HOME", "TMPDIR"):
            (base / variable).mkdir()
            monkeypatch.setenv(variable, str(base / variable))
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield base
        homes = [path for name in ("HOME", "TMPDIR") for path in (base / name).rglob("*") if not path.is_dir()]
        # Debian's rpm, asked who keeps the site's files, makes itself a database at home (updater/install/managed.py).
        left = [path.relative_to(base).as_posix() for path in homes if ".rpmdb" not in path.parts]
        assert left == [], "something was left outside of the sites"
