"""Older releases move to archive pages: nothing is lost, little is written, and clients find what they need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from feedgen.errors import FeedRegressionError
from feedgen.operations.state import Entry, published_entries, state_of
from feedgen.publish.archive import BATCH, PAGE_RELEASES, movable
from feedgen.publish.catalog import Catalog
from feedgen.publish.feeds import Rendered, render
from feedgen.publish.regression import check_no_regression
from feedgen.verify import SiteCheck
from tests.feedgen_publish.conftest import App, days_ago
from tests.support.many_releases import FIRST, made_up_release, publish_made_up
from updater.feeds import SiteFeed, read_feed
from updater.schema import Feed
from updater.schema.feed import Yank
from updater.transport import DirectoryTransport
from updater.trust.archive import needed_links

KEEP = 10
BASE_URL = "https://acme.example/shop/"
NOW = FIRST + timedelta(days=4000)


class Memory:
    """Feeds and archive pages of a site, published into without keys or disk."""

    def __init__(self) -> None:
        self.feeds: dict[str, Feed] = {}
        self.pages: dict[str, bytes] = {}
        self.read: list[str] = []

    def catalog(self) -> Catalog:
        def read(path: str) -> bytes:
            self.read.append(path)
            return self.pages[path]

        return Catalog(dict(self.feeds), read)

    def publish(self, *entries: Entry, now: datetime = NOW) -> Rendered:
        self.read.clear()
        change = render(
            self.catalog(),
            {entry.facts.version: entry for entry in entries},
            app="shop",
            component="core",
            now=now,
            keep=KEEP,
        )
        self.feeds |= change.feeds
        self.pages |= {write.path: write.data for write in change.pages}
        return change

    def entries(self) -> Mapping[str, Entry]:
        return published_entries(self.catalog().whole())


def entry(number: int, version: str = "", channel: str = "stable") -> Entry:
    release = made_up_release(number, version)
    return Entry(release, state_of(release, channel))


def test_one_more_release_touches_one_page_of_each_channel() -> None:
    memory = Memory()
    sizes = []
    memory.publish(*(entry(number) for number in range(PAGE_RELEASES - 20)))
    for number in range(PAGE_RELEASES - 20, PAGE_RELEASES + 50):
        change = memory.publish(entry(number))
        assert len(change.pages) in {0, 3}
        assert len(memory.read) <= 3
        sizes.append(len(memory.feeds["stable"].to_bytes()))
    feed = memory.feeds["stable"]
    assert len(feed.releases) < KEEP + BATCH
    assert [link.count for link in feed.archive] == [40, PAGE_RELEASES]
    assert max(sizes) < 1.3 * max(sizes[:BATCH])
    assert len(memory.entries()) == PAGE_RELEASES + 50
    assert [release.version for release in feed.releases] == sorted(
        (release.version for release in feed.releases), key=Version, reverse=True
    )


def test_a_decision_about_an_old_release_replaces_its_page_alone() -> None:
    memory = Memory()
    memory.publish(*(entry(number) for number in range(450)))  # pages of 200, 200 and 40
    before = memory.feeds["beta"]
    assert [link.count for link in before.archive] == [40, 200, 200]
    old = memory.entries()["1.2.3"]
    change = memory.publish(Entry(old.facts, replace(old.state, yanked=Yank("loses carts"))))
    after = memory.feeds["beta"]
    assert len(change.pages) == 3
    assert [link.sha256 for link in after.archive[:2]] == [link.sha256 for link in before.archive[:2]]
    assert after.archive[2] != before.archive[2]
    assert after.sequence == before.sequence + 1
    assert after.releases == before.releases
    found = memory.catalog().find("beta", "1.2.3")
    assert found is not None
    assert found.yanked == Yank("loses carts")
    assert [(change.channel, change.new.version) for change in change.changes] == [
        (channel, "1.2.3") for channel in ("stable", "beta", "alpha")
    ]
    again = memory.entries()["1.2.3"]
    assert not memory.publish(again).feeds


def test_an_archived_beta_is_promoted() -> None:
    memory = Memory()
    memory.publish(*(entry(number, f"1.{number}b1", "beta") for number in range(50)))
    assert "stable" not in memory.feeds
    old = memory.entries()["1.3b1"]
    memory.publish(Entry(old.facts, replace(old.state, channel="stable")))
    assert [release.version for release in memory.feeds["stable"].releases] == ["1.3b1"]
    assert memory.catalog().channels("1.3b1") == ("stable", "beta", "alpha")
    assert memory.entries()["1.3b1"].state.channel == "stable"


def test_a_fix_for_an_old_series_moves_when_it_is_its_turn() -> None:
    memory = Memory()
    memory.publish(*(entry(number) for number in range(100)))
    memory.publish(entry(100, "0.0.1.post1"))
    assert memory.feeds["stable"].release("0.0.1.post1") is not None
    for number in range(101, 140):
        memory.publish(entry(number))
    catalog = memory.catalog()
    assert memory.feeds["stable"].release("0.0.1.post1") is None
    assert catalog.find("stable", "0.0.1.post1") is not None
    assert len(memory.entries()) == 140


def test_what_stays() -> None:
    listed = [made_up_release(number) for number in range(40)]
    versions = [release.version for release in listed]
    assert [release.version for release in movable(listed, keep=10, now=NOW)] == versions[:30]
    assert movable(listed, keep=40, now=NOW) == []
    newest_is_bad = [*listed[:20], *(replace(one, halted=True) for one in listed[20:])]
    assert [release.version for release in movable(newest_is_bad, keep=10, now=NOW)] == versions[:19]
    assert movable([replace(one, cohorts=((0, 1),)) for one in listed], keep=10, now=NOW) == []
    betas = [*listed[:5], *(made_up_release(number, f"9.{number}b1") for number in range(5, 45))]
    assert [release.version for release in movable(betas, keep=10, now=NOW)][:3] == ["0.0.0", "0.0.1", "9.5b1"]


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_nothing_is_ever_lost(data: st.DataObject) -> None:
    """Any order of releases and decisions: every release is listed once, and each feed follows from the one before."""
    memory = Memory()
    decided: dict[str, Entry] = {}
    numbers = data.draw(st.permutations(range(60)))
    for step in range(data.draw(st.integers(1, 40))):
        old = dict(memory.feeds), memory.catalog()
        if decided and data.draw(st.integers(0, 3)) == 0:
            chosen = decided[data.draw(st.sampled_from(sorted(decided)))]
            halted, yanked = data.draw(st.booleans()), data.draw(st.sampled_from([None, Yank("bad")]))
            new = Entry(chosen.facts, replace(chosen.state, halted=halted, yanked=yanked))
        else:
            suffix = data.draw(st.sampled_from(["", "b1", "a1"]))
            channel = {"": "stable", "b1": "beta", "a1": "alpha"}[suffix]
            new = entry(step, f"1.{numbers[step]}{suffix}", channel)
        memory.publish(new)
        decided[new.facts.version] = new
        for channel, feed in memory.feeds.items():
            versions = [release.version for release in memory.catalog().whole()[channel].releases]
            assert len(set(versions)) == len(versions)
            assert Feed.parse(feed.to_bytes()) == feed
            check_no_regression(
                old[0].get(channel),
                feed,
                page=lambda link, name=channel, catalog=old[1]: catalog.page(name, link),
                pages=[memory.catalog().page(channel, link) for link in feed.archive],
            )
    found = memory.entries()
    assert {version: one.state for version, one in found.items()} == {v: one.state for v, one in decided.items()}


def test_a_release_that_left_the_archive_is_missed() -> None:
    memory = Memory()
    memory.publish(*(entry(number) for number in range(100)))
    feed, catalog = memory.feeds["stable"], memory.catalog()
    (link,) = feed.archive
    page = catalog.page("stable", link)
    fewer = replace(feed, sequence=feed.sequence + 1, archive=())
    with pytest.raises(FeedRegressionError, match=r"would drop 0\.8\.9"):
        check_no_regression(feed, fewer, page=lambda link: catalog.page("stable", link))
    less = replace(page, releases=page.releases[1:])
    with pytest.raises(FeedRegressionError, match=r"would drop 0\.8\.9"):
        check_no_regression(feed, fewer, page=lambda link: catalog.page("stable", link), pages=[less])
    check_no_regression(feed, fewer, page=lambda link: catalog.page("stable", link), pages=[page])


# on disk


@pytest.fixture
def many(app: App) -> App:
    """A site of 130 releases, of which ten are in the feed."""
    publish_made_up(app.site, app.ring(), [made_up_release(number) for number in range(130)], now=days_ago(1), keep=10)
    path = app.folder / "feedgen.toml"
    path.write_text(path.read_text().replace("[publish]\n", "[publish]\nfeed_releases = 10\n"))
    return app


def look(app: App, state: Path, installed: str | None = None, to: str | None = None) -> SiteFeed:
    """What a site sees."""
    state.mkdir(exist_ok=True)
    (state / "root.json").write_bytes((app.site / "metadata" / "1.root.json").read_bytes())
    transport = DirectoryTransport(BASE_URL, app.site)
    return read_feed(
        f"{BASE_URL}stable.json",
        state,
        transport,
        now=days_ago(0),
        app="shop",
        component="core",
        installed=installed,
        to=to,
    )


def test_a_site_fetches_old_releases_only_when_it_needs_them(many: App, tmp_path: Path) -> None:
    pages = tmp_path / "state" / "trust" / "archive"
    assert [len(look(many, tmp_path / "state", v).feed.releases) for v in (None, "1.2.9", "1.2.0")] == [10, 10, 10]
    assert not pages.exists()
    found = look(many, tmp_path / "state", "0.5.0").feed
    assert len(found.releases) == 130
    assert found.archive == ()
    assert found.release("0.5.0") is not None
    (kept,) = pages.iterdir()
    (page,) = (many.site / "feeds" / "archive").glob("stable-*.json")
    page.rename(page.with_suffix(".away"))
    assert len(look(many, tmp_path / "state", "0.5.0").feed.releases) == 130  # the copy is good enough
    page.with_suffix(".away").rename(page)
    assert look(many, tmp_path / "other", to="0.3.0").feed.release("0.3.0") is not None
    many.run("yank", "0.5.0", "--reason", "loses carts")
    yanked = look(many, tmp_path / "state", "0.5.0").feed.release("0.5.0")
    assert yanked is not None
    assert yanked.yanked is not None
    assert [path.name for path in pages.iterdir()] != [kept.name]
    assert len(list(pages.iterdir())) == 1


def test_needed_links() -> None:
    memory = Memory()
    memory.publish(*(entry(number) for number in range(450)))
    feed = memory.feeds["stable"]
    assert [link.newest for link in feed.archive] == ["4.3.9", "3.9.9", "1.9.9"]
    assert needed_links(feed, None) == ()
    assert needed_links(feed, "4.4.0") == ()
    assert needed_links(feed, "4.3.9") == feed.archive[:1]
    assert needed_links(feed, "3.0.0") == feed.archive[:2]
    assert needed_links(feed, "0.0.0") == feed.archive
    assert needed_links(feed, None, "2.0.0") == feed.archive[1:2]
    assert needed_links(feed, None, "4.4.0") == ()


def test_operations_reach_old_releases(many: App) -> None:
    shown = many.run("list").output
    assert "0.0.0" in shown
    before = many.snapshot()
    output = many.run("critical", "0.4.2").output
    assert "0.4.2: critical becomes true, was false  (in stable, beta, alpha)" in output
    written = {path for path, data in many.snapshot().items() if before.get(path) != data}
    assert len([path for path in written if path.startswith("feeds/archive/")]) == 3
    assert "releases/0.4.2.toml" in written
    assert not [path for path in written if path.startswith("releases/") and not path.startswith("releases/0.4.2")]
    assert "nothing changed" in many.run("critical", "0.4.2").output
    assert many.run("notes", "show", "0.0.0").output
    (many.site / "releases" / "0.3.0.toml").write_text('version = "0.3.0"\nchannel = "stable"\nstop = true\n')
    assert "0.3.0: stop becomes true" in many.run("diff").output
    many.run("apply")
    found = Catalog.of_site(many.site, {"stable": many.feed("stable")}).find("stable", "0.3.0")
    assert found is not None
    assert found.stop


def test_a_release_comes_and_old_pages_stay_until_the_grace_is_over(many: App) -> None:
    many.release("v2.0.0")
    before = set(many.snapshot())
    many.publisher().publish("v2.0.0", now=days_ago(0))
    for number in range(1, BATCH):
        many.release(f"v2.0.{number}")
        many.publisher().publish(f"v2.0.{number}", now=days_ago(0))
    after = set(many.snapshot())
    assert {path for path in before if path.startswith("feeds/archive/")} <= after
    assert len([path for path in after if path.startswith("feeds/archive/stable-")]) == 2
    assert many.feed("stable").archive[0].count == 130
    many.publisher().publish("v2.0.9", now=days_ago(-8))
    assert len([path for path in many.snapshot() if path.startswith("feeds/archive/stable-")]) == 1
    assert "nothing changed" in many.run("publish", "v2.0.9").output
    many.run("verify", "--release", "2.0.9")


@pytest.mark.parametrize("damage", ["gone", "changed", "cut"])
def test_a_damaged_page_is_noticed_by_everybody(many: App, tmp_path: Path, damage: str) -> None:
    (page,) = (many.site / "feeds" / "archive").glob("stable-*.json")
    data = page.read_bytes()
    page.unlink()
    if damage != "gone":
        page.write_bytes(data[:-9] if damage == "cut" else data.replace(b"0.5", b"0.6"))
    before = many.snapshot()
    assert "archive" in many.run("yank", "0.5.0", "--reason", "x", code=1).output
    assert many.snapshot() == before
    check = SiteCheck(BASE_URL, DirectoryTransport(BASE_URL, many.site), now=days_ago(0)).run(only="0.5.0")
    assert f"feeds/archive/{page.name}" in {finding.where for finding in check.findings}
    with pytest.raises(Exception, match="archive") as caught:
        look(many, tmp_path / "state", "0.5.0")
    assert type(caught.value).__module__ == "updater.errors"
    assert len(look(many, tmp_path / "state", "1.2.9").feed.releases) == 10
