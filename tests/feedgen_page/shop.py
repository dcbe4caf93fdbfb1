"""The example shop as a published site, with a release of every kind on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import click.testing

from feedgen.cli import cli
from feedgen.config import load_project
from feedgen.keys import KeyRing
from feedgen.page.adoption import history_bytes, record_counts
from feedgen.publish.publisher import Publisher
from feedgen.publish.site import commit
from feedgen.publish.store import local_store
from feedgen.publish.writer import SiteWriter
from feedgen.repository.compose import Change, compose
from feedgen.repository.state import load
from updater.schema import Feed, Notes, Release, Requires, Rollout, RolloutStep, Yank

ROOT = Path(__file__).parents[2]
PASSPHRASE = "correct horse battery staple"
BASE_URL = "https://juniper-goods.example/shop/"
TAGS = {
    "v1.0.0": datetime(2026, 1, 12, 9, tzinfo=UTC),
    "v1.1.0": datetime(2026, 2, 16, 9, tzinfo=UTC),
    "v1.1.1": datetime(2026, 2, 18, 15, 30, tzinfo=UTC),
    "v1.2.0": datetime(2026, 3, 23, 9, tzinfo=UTC),
    "v1.3.0b1": datetime(2026, 4, 7, 12, tzinfo=UTC),
}
GRACE = timedelta(days=7)


class Shop:
    """The folders of one published shop."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repo = folder / "repo"
        self.keys = folder / "keys"
        self.site = self.repo / ".feedgen" / "site"

    def run(self, *arguments: str) -> click.testing.Result:
        """Run ``feedgen`` in the repository."""
        before = Path.cwd()
        os.chdir(self.repo)
        try:
            return click.testing.CliRunner().invoke(cli, list(arguments), env={"FEEDGEN_PASSPHRASE": PASSPHRASE})
        finally:
            os.chdir(before)

    def ring(self) -> KeyRing:
        return KeyRing(self.keys, lambda _what: PASSPHRASE, {})

    def publish(self, tag: str, now: datetime) -> None:
        config = load_project(self.repo).config
        store = local_store(None, self.site, config)
        Publisher(self.repo, config, self.site, store, self.ring()).publish(tag, now=now)

    def edit(self, version: str, change: Callable[[Release], Release], now: datetime) -> None:
        """Publish the feeds with one release changed, in every feed that lists it."""
        state = load(self.site)
        changed = {}
        for channel, data in state.feeds.items():
            feed = Feed.parse(data)
            releases = tuple(change(found) if found.version == version else found for found in feed.releases)
            if releases != feed.releases:
                new = replace(feed, releases=releases, sequence=feed.sequence + 1, generated=now)
                changed[channel] = new.to_bytes()
        commit(SiteWriter(self.site), compose(state, Change(feeds=changed), self.ring(), now), now=now, grace=GRACE)

    def commit(self, now: datetime) -> tuple[str, ...]:
        """Commit a change that changes nothing."""
        return commit(SiteWriter(self.site), [], now=now, grace=GRACE).written

    def files(self) -> dict[str, bytes]:
        """Every file of the site, by path."""
        found = sorted(path for path in self.site.rglob("*") if path.is_file())
        return {path.relative_to(self.site).as_posix(): path.read_bytes() for path in found}


def build(folder: Path) -> Shop:
    """Publish the shop's three versions, a withdrawn one and a beta, and say something about each."""
    shop = Shop(folder)
    script = ROOT / "examples" / "shop" / "make_repo.py"
    subprocess.run([sys.executable, str(script), str(shop.repo)], check=True, capture_output=True)
    with mock.patch("feedgen.cli.init.now", lambda: datetime(2026, 1, 8, 9, tzinfo=UTC)):
        made = shop.run("init", "--app", "shop", "--base-url", BASE_URL, "--keys", str(shop.keys))
    assert made.exit_code == 0, made.output
    settings = {"schema": "1.0", "base_url": BASE_URL, "name": "Juniper Shop"}
    settings |= {"description": "A small shop for makers: catalogue, cart and orders on your own server."}
    settings |= {
        "homepage": "https://juniper-goods.example/",
        "security_contact": "mailto:security@juniper-goods.example",
    }
    (shop.site / "page.json").write_text(json.dumps(settings))
    _tag(shop, "v1.1.1", "v1.1.0", "## [1.1.1] - 2026-02-18\n\n### Fixed\n\n- Discount codes with a trailing space.\n")
    _tag(
        shop,
        "v1.3.0b1",
        "v1.2.0",
        "## [1.3.0b1] - 2026-04-07\n\nGift cards, to be tried out. Tell us what is missing.\n\n### Added\n\n"
        "- Gift cards with a balance. Create one with `manage.py giftcard 25.00`.\n",
    )
    for tag, now in TAGS.items():
        shop.publish(tag, now)
    _decide(shop)
    return shop


def _tag(shop: Shop, tag: str, onto: str, notes: str) -> None:
    """A commit that adds a section to the changelog, on top of another tag."""

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=Test", "-c", "user.email=test@acme.example", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(shop.repo), *identity, *arguments], check=True, capture_output=True)

    git("checkout", "-q", "--detach", onto)
    changelog = shop.repo / "CHANGELOG.md"
    head, section, rest = changelog.read_text().partition("\n## ")
    changelog.write_text(f"{head}\n{notes}{section}{rest}")
    git("commit", "-qam", tag)
    git("tag", tag)
    git("checkout", "-q", "main")


def _decide(shop: Shop) -> None:
    """What a maintainer decided after publishing."""
    at = TAGS["v1.3.0b1"]
    yank = Yank("Orders with two discount codes lose the second one.", datetime(2026, 2, 19, 8, tzinfo=UTC))
    start = TAGS["v1.2.0"]
    steps = ((0, 10), (1, 35), (3, 100))
    rollout = Rollout("1.2.0", tuple(RolloutStep(start + timedelta(days=days), percent) for days, percent in steps))
    german = {"de": "### Neu\n\n- Lager mit Bestand je Artikel\n"}
    shop.edit("1.1.1", lambda found: replace(found, yanked=yank), at)
    shop.edit("1.1.0", lambda found: replace(found, stop=True, requires=Requires(python=">=3.11")), at)
    shop.edit(
        "1.2.0",
        lambda found: replace(
            found,
            rollout=rollout,
            security=("CVE-2026-12345",),
            requires=Requires(python=">=3.11", from_version="1.1.0"),
            notes=Notes(found.notes.markdown, "https://juniper-goods.example/news/1.2.0", german),
        ),
        at,
    )


def with_history(shop: Shop) -> None:
    """Give the site eight months of download counts."""
    history: dict[str, dict[str, int]] = {}
    day = TAGS["v1.0.0"]
    while day < datetime(2026, 4, 20, tzinfo=UTC):
        counts = {}
        for tag, since in TAGS.items():
            age = (day - since).days
            if age > 0:
                pace = {"v1.1.1": 9, "v1.3.0b1": 6}.get(tag, 46)
                counts[tag[1:]] = int(pace * age**0.72) + 3
        history = record_counts(history, counts, day)
        day += timedelta(days=1)
    (shop.site / "adoption.json").write_bytes(history_bytes(history))
