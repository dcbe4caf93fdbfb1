"""A publisher and a site that follows it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.trust_repository import TrustRepository
from updater.transport import Transport
from updater.trust import FeedClient, TrustedFeed

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
GOOD = b'{"sequence":1}'
NEWER = b'{"sequence":2}'
EVIL = b'{"sequence":666}'


def accept_all(data: bytes) -> None:
    """No opinion about the feed's content."""


class Site:
    """One install: its trust directory, and the root it was set up with."""

    def __init__(self, repository: TrustRepository, folder: Path, transport: Transport | None = None) -> None:
        self.repository, self.folder = repository, folder
        self.transport: Transport = transport or repository
        self.root = repository.root

    def fetch(
        self,
        source: Transport | None = None,
        *,
        channel: str = "stable",
        accept: Callable[[bytes], None] = accept_all,
        now: datetime = NOW,
    ) -> TrustedFeed:
        location = self.repository.location(channel)
        client = FeedClient(location, self.folder, self.root, source or self.transport)
        return client.fetch(now=now, accept=accept)

    def state(self) -> dict[str, bytes]:
        """What the site remembers as good."""
        files = [self.folder / "last_good.json", *(self.folder / "feeds").iterdir()]
        return {path.name: path.read_bytes() for path in files if path.exists()}


@pytest.fixture
def repository() -> TrustRepository:
    repository = TrustRepository()
    for channel in ("stable", "beta", "alpha"):
        repository.publish(channel, GOOD)
    return repository


@pytest.fixture
def fresh(repository: TrustRepository, tmp_path: Path) -> Site:
    """A site that has never asked."""
    return Site(repository, tmp_path / "fresh")


@pytest.fixture
def warm(repository: TrustRepository, tmp_path: Path) -> Site:
    """A site that has seen GOOD."""
    site = Site(repository, tmp_path / "warm")
    assert site.fetch().data == GOOD
    repository.asked()
    return site
