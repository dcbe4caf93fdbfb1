"""Download counts of releases, as the daily run records them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from feedgen.doctor.api import Answer
from feedgen.errors import PublishError
from feedgen.page.adoption import read_history
from feedgen.workflow.downloads import count_downloads, record_downloads
from updater.schema import PublisherConfig

CONFIG = PublisherConfig("shop", "https://acme.github.io/shop/")
NOW = datetime(2026, 11, 20, tzinfo=UTC)


def release(number: int, *, draft: bool = False) -> dict[str, Any]:
    assets = [
        {"name": f"shop-1.{number}.0.zip", "download_count": number},
        {"name": f"shop-1.{number}.0.zip.minisig", "download_count": 999},
    ]
    return {"tag_name": f"v1.{number}.0", "draft": draft, "assets": assets}


class Releases:
    repository = "acme/shop"

    def __init__(self, *releases: dict[str, Any], status: int = 200) -> None:
        self.releases, self.status = releases, status

    def call(self, verb: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        page = int(path.rpartition("=")[2])
        return Answer(self.status, list(self.releases[(page - 1) * 100 : page * 100]))

    def top(self, path: str) -> Answer:
        raise AssertionError(path)


def test_packages_are_counted_over_all_pages() -> None:
    others = [{"tag_name": "nightly", "draft": False, "assets": []}, release(7, draft=True)]
    counts = count_downloads(Releases(*(release(n) for n in range(100, 250)), *others), CONFIG)
    assert len(counts) == 150
    assert counts["1.249.0"] == 249


def test_the_history_changes_only_with_the_counts(tmp_path: Path) -> None:
    assert not record_downloads(tmp_path, {}, NOW)
    assert not (tmp_path / "adoption.json").exists()
    assert record_downloads(tmp_path, {"1.0.0": 5}, NOW)
    assert not record_downloads(tmp_path, {"1.0.0": 5}, NOW)
    assert read_history((tmp_path / "adoption.json").read_bytes()) == {"2026-11-20": {"1.0.0": 5}}


def test_a_refusal_is_said() -> None:
    with pytest.raises(PublishError, match="403"):
        count_downloads(Releases(status=403), CONFIG)
