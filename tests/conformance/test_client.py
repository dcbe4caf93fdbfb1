"""The conformance client's three verbs, as the suite calls them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import LoopbackServer
from tests.support.trust_repository import TrustRepository

CLIENT = Path(__file__).with_name("client")
FEED = b'{"sequence":1}'


def test_it_can_be_executed() -> None:
    assert os.access(CLIENT, os.X_OK)
    assert CLIENT.read_text().startswith("#!/usr/bin/env python3\n")


class Run:
    """Runs the client the way the suite does."""

    def __init__(self, folder: Path, server: LoopbackServer) -> None:
        self.metadata, self.targets, self.server = folder / "metadata", folder / "targets", server
        self.metadata.mkdir()
        self.targets.mkdir()

    def __call__(self, *arguments: str | Path) -> int:
        command = [sys.executable, CLIENT, *arguments]
        return subprocess.run(command, check=False, capture_output=True, timeout=30).returncode

    def init(self, root: Path) -> int:
        return self("--metadata-dir", self.metadata, "init", root)

    def refresh(self) -> int:
        return self("--metadata-url", self.server.url + "metadata/", "--metadata-dir", self.metadata, "refresh")

    def download(self, *names: str) -> int:
        url = self.server.url
        arguments: list[str | Path] = ["--metadata-url", url + "metadata/", "--metadata-dir", self.metadata]
        for name in names:
            arguments += ["--target-name", name]
        arguments += ["--target-dir", self.targets, "--target-base-url", url + "feeds/", "download"]
        return self(*arguments)

    def downloaded(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.targets.iterdir()}


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with LoopbackServer() as server:
        yield Run(tmp_path, server)


def test_three_verbs(run: Run, tmp_path: Path) -> None:
    repository = TrustRepository(run.server.url)
    run.server.files = repository.files
    repository.publish("stable", FEED)
    repository.publish("beta", FEED + b" ")
    root = tmp_path / "root.json"
    root.write_bytes(repository.root)

    assert run.init(root) == 0
    assert (run.metadata / "root.json").read_bytes() == repository.root
    assert run.refresh() == 0
    assert (run.metadata / "timestamp.json").read_bytes() == repository.files["metadata/timestamp.json"]
    assert run.download("stable.json", "beta.json") == 0
    assert run.downloaded() == {"stable.json": FEED, "beta.json": FEED + b" "}

    run.server.reset()
    assert run.download("stable.json") == 0
    assert not any(path.startswith("feeds/") for path in run.server.paths()), "a right file is not fetched again"

    assert run.download("nothing.json") == 1
    before = run.downloaded()
    repository.rotate("online")
    repository.set_expiry("timestamp")
    assert run.refresh() == 1
    assert (run.metadata / "root.json").read_bytes() == repository.files["root.json"]
    assert run.downloaded() == before
