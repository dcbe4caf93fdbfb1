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
        self.pages: list[int] = []

    def call(self, verb: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        page = int(path.rpartition("=")[2])
        self.pages.append(page)
        return Answer(self.status, list(self.releases[(page - 1) * 100 : page * 100]))

    def top(self, path: str) -> Answer:
        raise AssertionError(path)


def test_packages_are_counted_over_several_pages() -> None:
    others = [{"tag_name": f"nightly-{n}", "draft": False, "assets": []} for n in range(150)]
    counts = count_downloads(Releases(release(7, draft=True), *others, *(release(n) for n in range(100, 120))), CONFIG)
    assert len(counts) == 20
    assert counts["1.119.0"] == 119


def test_no_more_are_counted_than_are_kept() -> None:
    releases = Releases(*(release(n) for n in reversed(range(1000))))
    assert set(count_downloads(releases, CONFIG)) == {f"1.{n}.0" for n in range(940, 1000)}
    assert releases.pages == [1]


def test_a_site_that_took_a_delta_counts() -> None:
    one = release(5)
    one["assets"].append({"name": "shop-1.4.0-1.5.0.delta", "download_count": 20})
    one["assets"].append({"name": "shop-1.5.0.index", "download_count": 1000})
    assert count_downloads(Releases(one), CONFIG) == {"1.5.0": 25}


def test_the_history_changes_only_with_the_counts(tmp_path: Path) -> None:
    assert not record_downloads(tmp_path, {}, NOW)
    assert not (tmp_path / "adoption.json").exists()
    assert record_downloads(tmp_path, {"1.0.0": 5}, NOW)
    assert not record_downloads(tmp_path, {"1.0.0": 5}, NOW)
    assert read_history((tmp_path / "adoption.json").read_bytes()) == {"2026-11-20": {"1.0.0": 5}}


def test_a_refusal_is_said() -> None:
    with pytest.raises(PublishError, match="403"):
        count_downloads(Releases(status=403), CONFIG)
