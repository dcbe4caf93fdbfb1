"""The app of the publisher's tests, with 1.0.0 and a beta published; what a site of it sees."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from feedgen.cli.check import local_transport
from feedgen.config import load_project
from feedgen.operations.operator import Operator
from tests.feedgen_publish.conftest import BASE_URL, App, environment, made
from updater.schema import Feed
from updater.selection import Selection, select
from updater.setup_site import set_up_site
from updater.trust import FeedClient, FeedLocation

__all__ = ["environment", "made"]


@dataclass
class Published(App):
    """An app with releases, and the library behind the commands."""

    def operator(self, now: datetime | None = None) -> Operator:
        config = load_project(self.folder).config
        return Operator(config, self.site, self.ring(), now or moment())

    def seen(self, channel: str = "stable", trust: Path | None = None) -> Feed:
        """The feed as a client verifies it."""
        trust = trust or self.folder.parent / f"trust-{channel}"
        root = (self.site / "metadata" / "1.root.json").read_bytes()
        transport = local_transport(load_project(self.folder).config, self.site, None)
        found = FeedClient(FeedLocation(BASE_URL, channel), trust, root, transport).fetch(
            now=moment(), accept=lambda _data: None
        )
        assert found.freshness.state == "fresh", found.freshness
        return Feed.parse(found.data)

    def selects(self, installed: str, channel: str = "stable", **how: object) -> Selection:
        """What a site on ``installed`` decides."""
        usual = {"site_id": "a site", "now": moment(), "python": "3.12.0", "automatic": True}
        return select(self.seen(channel), installed, **{**usual, **how})  # type: ignore[arg-type]

    def install(self, folder: Path, channel: str = "stable", version: str | None = None) -> None:
        set_up_site(
            f"{BASE_URL}{channel}.json",
            folder,
            root=(self.site / "metadata" / "1.root.json").read_bytes(),
            version=version,
            transport=local_transport(load_project(self.folder).config, self.site, None),
        )

    def file(self, version: str) -> Path:
        return self.site / "releases" / f"{version}.toml"

    def copy(self, folder: Path) -> Published:
        """The same without the git repository, which operations do not need."""
        shutil.copytree(self.folder, folder / "repo", ignore=shutil.ignore_patterns(".git"))
        return Published(folder / "repo", self.keys)


def moment() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def later(**time: float) -> datetime:
    return moment() + timedelta(**time)


@pytest.fixture(scope="session")
def made_releases(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.0.0 and 1.4.0b2 published, 1.4.0 tagged; once for the whole run."""
    top = tmp_path_factory.mktemp("releases")
    shutil.copytree(made, top, dirs_exist_ok=True)
    app = App(top / "repo", top / "keys")
    patch = pytest.MonkeyPatch()
    patch.setenv("FEEDGEN_PASSPHRASE", "correct horse battery staple")
    for tag in ("v1.0.0", "v1.4.0-beta.2"):
        app.release(tag)
        app.run("publish", tag, "--keys", str(top / "keys"))
    app.release("v1.4.0")
    patch.undo()
    return top


@pytest.fixture
def app(made_releases: Path, tmp_path: Path) -> Iterator[Published]:
    """1.0.0 is in all channels, 1.4.0b2 in beta and alpha, 1.4.0 is tagged."""
    shutil.copytree(made_releases / "repo", tmp_path / "repo")
    keys = tmp_path / "config" / "tagship" / "shop" / "keys"
    shutil.copytree(made_releases / "keys", keys)
    yield Published(tmp_path / "repo", keys)
