"""The price of a check, counted by a real server: it is what millions of checks a day are multiplied with."""

from __future__ import annotations

from pathlib import Path

from tests.support.server import LoopbackServer
from tests.support.trust_repository import TrustRepository
from tests.trust.conftest import GOOD, NEWER, Site
from updater.transport import HTTPTransport


def test_requests_and_bytes(tmp_path: Path) -> None:
    with LoopbackServer() as server, HTTPTransport() as http:
        repository = TrustRepository(server.url)
        server.files = repository.files
        feed = GOOD + b" " * 12_000
        repository.publish("stable", feed)
        site = Site(repository, tmp_path / "site", http)
        assert site.fetch().data == feed
        assert len(server.requests) == 6

        server.reset()
        server.connections = 0
        assert site.fetch().freshness.state == "fresh"
        assert server.paths() == ["metadata/2.root.json", "metadata/timestamp.json"]
        assert server.body_bytes <= 400
        assert server.connections == 0, "one connection serves all checks"

        server.reset()
        repository.publish("stable", NEWER)
        assert site.fetch().data == NEWER
        assert len(server.requests) == 5

        server.reset()
        repository.publish("beta", NEWER)
        assert site.fetch().data == NEWER
        assert server.paths()[2:] == [repository.path_of("snapshot")], "other channels cost a snapshot"
