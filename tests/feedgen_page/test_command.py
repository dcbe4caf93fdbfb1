"""``feedgen page``, and the settings it keeps in the site."""

from __future__ import annotations

import json

import pytest

from feedgen.page.settings import PageSettings
from tests.feedgen_page.shop import TAGS, Shop
from updater.errors import SchemaError

NOW = TAGS["v1.3.0b1"]


def test_it_renders_what_is_missing_or_wrong(shop: Shop) -> None:
    assert shop.run("page").exit_code == 0
    good = shop.files()
    assert "nothing changed" in shop.run("page").output
    (shop.site / "releases" / "1.0.0" / "index.html").write_text("damaged")
    (shop.site / "index.html").unlink()
    assert "2 files written" in shop.run("page").output
    assert shop.files() == good


def test_settings_are_remembered(shop: Shop) -> None:
    assert shop.run("page", "--name", "Other", "--homepage", "").exit_code == 0
    settings = PageSettings.parse((shop.site / "page.json").read_bytes())
    assert (settings.name, settings.homepage) == ("Other", "")
    assert settings.description.startswith("A small shop")
    assert b"<h1>Other</h1>" in (shop.site / "index.html").read_bytes()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--homepage", "javascript:alert(1)"),
        ("--homepage", "somewhere"),
        ("--security-contact", "mailto:x\ny"),
        ("--security-contact", "security at example"),
    ],
)
def test_links_are_checked(shop: Shop, option: str, value: str) -> None:
    before = shop.files()
    result = shop.run("page", option, value)
    assert result.exit_code == 2
    assert "Nothing was written" in result.output
    assert shop.files() == before


def test_off_and_on(shop: Shop) -> None:
    assert shop.run("page", "--off").exit_code == 0
    before = shop.files()
    shop.publish("v1.0.0", NOW)
    (shop.site / "index.html").unlink()
    shop.commit(NOW)
    assert "index.html" not in shop.files()
    assert shop.run("page", "--on").exit_code == 0
    assert before.keys() <= shop.files().keys()


def test_an_index_of_ones_own_stays(shop: Shop) -> None:
    (shop.site / "index.html").write_text("<!doctype html><title>Mine</title>")
    before = shop.files()
    assert shop.commit(NOW) == ()
    assert "left alone" in shop.run("page").output
    assert shop.files() == before


def test_a_site_from_before_there_were_pages(shop: Shop) -> None:
    for path in (shop.site / "page.json", shop.site / "index.html"):
        path.unlink()
    assert shop.commit(NOW) == ()
    assert shop.run("page").exit_code == 0
    assert json.loads((shop.site / "page.json").read_bytes())["base_url"] == "https://juniper-goods.example/shop/"
    assert (shop.site / "index.html").is_file()


def test_mistakes_in_the_file_are_named() -> None:
    with pytest.raises(SchemaError) as caught:
        PageSettings.parse(b'{"base_url": "ftp://x", "homepage": "javascript:x", "enabled": 1}')
    assert {problem.path for problem in caught.value.problems} == {"$.base_url", "$.homepage", "$.enabled"}
