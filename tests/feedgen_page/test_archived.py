"""Pages of archived releases: rendered once, again when something changed, and never read for nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from feedgen.operations.state import Entry, state_of
from feedgen.page.listing import PER_PAGE, RENDERED_FILE, Rendered
from feedgen.page.model import Material
from feedgen.page.render import render
from feedgen.page.settings import PageSettings
from feedgen.publish.catalog import Catalog
from feedgen.publish.feeds import render as render_feeds
from tests.feedgen_page.html import Page
from tests.feedgen_page.made_up import START, release, trust
from updater.schema import Feed, Release, channel_of
from updater.schema.feed import Yank

NOW = START + timedelta(days=1000)
SETTINGS = PageSettings("https://acme.example/shop/")


class Site:
    """A site in memory: feeds and archive pages, and the public page that is rendered after each change."""

    def __init__(self) -> None:
        self.feeds: dict[str, Feed] = {}
        self.archive: dict[str, bytes] = {}
        self.pages: dict[str, bytes] = {}
        self.read: set[str] = set()

    def catalog(self) -> Catalog:
        def read(path: str) -> bytes:
            self.read.add(path)
            return self.archive[path]

        return Catalog(dict(self.feeds), read)

    def publish(self, releases: Iterable[Release], *, channel: str = "") -> None:
        entries = {one.version: Entry(one, state_of(one, channel or channel_of(one.version))) for one in releases}
        change = render_feeds(self.catalog(), entries, app="shop", component="core", now=NOW, keep=30)
        self.feeds |= change.feeds
        self.archive |= {write.path: write.data for write in change.pages}

    def render(self, settings: PageSettings = SETTINGS) -> dict[str, bytes]:
        """Render, and return what changed."""
        self.read.clear()
        rendered = self.pages.get(RENDERED_FILE, b"")
        made = Material(settings, "shop", "core", self.feeds, trust(), catalog=self.catalog())
        new = render(made, lambda path: self.pages.get(path, b"")[:1024], Rendered.parse(rendered))
        changed = {path: data for path, data in new.items() if self.pages.get(path) != data}
        self.pages |= changed
        return changed

    def afresh(self) -> dict[str, bytes]:
        return render(Material(SETTINGS, "shop", "core", self.feeds, trust(), catalog=self.catalog()))


def many(first: int, last: int, **values: Any) -> list[Release]:
    return [release(f"1.{number}.0", number, **values) for number in range(first, last)]


def site(count: int = 300) -> Site:
    made = Site()
    made.publish(many(0, count))
    made.render()
    return made


def test_every_release_has_its_page_and_its_place_in_the_changelog() -> None:
    made = site()
    assert {f"releases/1.{number}.0/index.html" for number in range(300)} <= made.pages.keys()
    parts = {path: data for path, data in made.pages.items() if path.startswith("changelog/")}
    texts = [Page.read(path, data).text for path, data in parts.items()]
    found = [version for text in texts for version in re.findall(r"(?m)^1\.\d+\.0$", text)]
    assert sorted(found) == sorted(one.version for one in many(0, 300))
    assert len(parts) == 300 // PER_PAGE
    assert b"1.10.0/" not in made.pages["sitemap.xml"]
    assert made.pages == {**made.afresh()}


def test_one_more_release_costs_a_few_pages() -> None:
    made = site()
    changed: set[str] = set()
    for number in range(300, 325):
        made.publish(many(number, number + 1))
        written = set(made.render())
        assert len([path for path in written if path.startswith("releases/")]) == 1
        assert len(made.read) <= 3, made.read
        changed |= written
    assert {path for path in changed if re.match(r"changelog/\d", path)} == {"changelog/12/index.html"}
    fresh = made.afresh()
    assert {path for path in fresh if fresh[path] != made.pages.get(path)} == set()


def test_a_decision_about_an_archived_release_reaches_its_pages() -> None:
    made = site()
    old = made.catalog().published("1.30.0")
    made.publish([replace(old.facts, yanked=Yank("loses carts"))])
    written = set(made.render())
    assert {path for path in written if path.startswith(("releases/", "changelog/"))} == {
        "releases/1.30.0/index.html",
        "changelog/2/index.html",
    }
    assert b"loses carts" in made.pages["releases/1.30.0/index.html"]
    assert not made.render()
    assert made.pages == made.afresh()


def test_promoting_an_archived_release_reaches_its_pages() -> None:
    made = Site()
    made.publish(release(f"1.{number}b1", number) for number in range(100))
    made.render()
    old = made.catalog().published("1.30b1")
    made.publish([old.facts], channel="stable")
    written = set(made.render())
    assert {"releases/1.30b1/index.html", "changelog/2/index.html"} <= written
    assert not made.render()
    assert made.pages == made.afresh()


def test_other_settings_render_everything_anew() -> None:
    made = site(120)
    written = made.render(replace(SETTINGS, name="Other"))
    assert {f"releases/1.{number}.0/index.html" for number in range(120)} <= written.keys()


def test_a_lost_or_damaged_record_only_costs_time() -> None:
    made = site(120)
    for data in (b"", b"{}", b'{"schema": "1.0", "common": 1, "archive": 5, "moved": []}', b"\xff"):
        made.pages[RENDERED_FILE] = data
        assert set(made.render()) == {RENDERED_FILE}
