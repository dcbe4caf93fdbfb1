"""The published shop, made once; and pages from made-up feeds, without a repository."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.feedgen_page.shop import Shop, build, with_history


@pytest.fixture(scope="session")
def built_shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Not to be changed."""
    patch = pytest.MonkeyPatch()
    patch.setattr(os, "fsync", lambda _handle: None)
    shop = build(tmp_path_factory.mktemp("shop"))
    with_history(shop)
    patch.undo()
    return shop


@pytest.fixture
def shop(built_shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A copy to work with."""
    monkeypatch.setattr(os, "fsync", lambda _handle: None)
    shutil.copytree(built_shop.folder, tmp_path / "shop")
    yield Shop(tmp_path / "shop")
