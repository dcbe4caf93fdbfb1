"""Content that is on the site already, wherever it lies."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.acquire.shop import BASE, Shop, noise
from updater.acquire import local
from updater.acquire.local import LocalContent, find_manifest
from updater.schema.manifest import ManifestFile


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path).set_up()


def wanted(data: bytes, *, digits: int = 64) -> ManifestFile:
    return ManifestFile("wanted", hashlib.sha256(data).hexdigest()[:digits], len(data))


def found(shop: Shop, file: ManifestFile) -> Path | None:
    view = shop.updater()._view()
    manifest = view.installed
    assert manifest is not None
    view.changes_to(manifest)
    place = LocalContent(view.site, view.tree, view.seen).find([file]).get("wanted")
    return None if place is None else Path(place)


@pytest.mark.parametrize("digits", [64, 8])
def test_in_the_tree_under_another_name(shop: Shop, digits: int) -> None:
    assert found(shop, wanted(bytes(BASE["static/picture3.png"]), digits=digits)) == shop.path / "static/picture3.png"


def test_an_edited_file_is_not_what_the_manifest_says_but_may_be_what_is_wanted(shop: Shop) -> None:
    (shop.path / "static/picture3.png").write_bytes(noise(999))
    assert found(shop, wanted(bytes(BASE["static/picture3.png"]))) is None
    assert found(shop, wanted(noise(999))) == shop.path / "static/picture3.png"


def test_in_a_restore_point_and_among_edited_copies(shop: Shop) -> None:
    (shop.path / "static/picture1.png").write_bytes(noise(55))
    shop.publish("1.1.0", {**BASE, "shop/part1.py": noise(1), "static/picture1.png": noise(2)})
    shop.update()
    assert "backups" in str(found(shop, wanted(bytes(BASE["shop/part1.py"]))))
    assert "backups" in str(found(shop, wanted(noise(55))))


def test_beside_listed_files(shop: Shop) -> None:
    (shop.path / "static/mine.png").write_bytes(noise(77))
    (shop.path / "static/folder").mkdir()
    (shop.path / "static/folder/hidden.png").write_bytes(noise(78))
    (shop.path / "static/link.png").symlink_to("folder/hidden.png")
    assert found(shop, wanted(noise(77))) == shop.path / "static/mine.png"
    assert found(shop, wanted(noise(78))) is None, "not below, and not through links"


def test_small_strangers_are_not_read(shop: Shop) -> None:
    (shop.path / "static/mine.png").write_bytes(b"small")
    assert found(shop, wanted(b"small")) is None


def test_reading_strangers_is_bounded(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_MOST_READ", 50_000)
    for number in range(5):
        (shop.path / f"static/a{number}.png").write_bytes(noise(200 + number))
    (shop.path / "static/b.png").write_bytes(noise(300))
    assert found(shop, wanted(noise(300))) is None
    monkeypatch.setattr(local, "_MOST_READ", 10**6)
    assert found(shop, wanted(noise(300))) == shop.path / "static/b.png"
    monkeypatch.setattr(local, "_MOST_ENTRIES", 3)
    (shop.path / "zzz").mkdir()
    assert found(shop, wanted(noise(301))) is None


def test_a_manifest_that_was_installed_before_is_known(shop: Shop) -> None:
    old = shop.built["1.0.0"]
    site = shop.updater().site
    assert find_manifest(site, site.downloads, old.manifest_sha256, len(old.manifest_bytes)) is None
    shop.publish("1.1.0", {**BASE, "shop/part1.py": noise(1)})
    shop.update()
    assert find_manifest(site, site.downloads, old.manifest_sha256, len(old.manifest_bytes)) == old.manifest_bytes
    for record in site.backups.glob("*/manifest.json"):
        record.write_bytes(record.read_bytes().replace(b"1.0.0", b"1.0.1", 1))
    assert find_manifest(site, site.downloads, old.manifest_sha256, len(old.manifest_bytes)) is None
