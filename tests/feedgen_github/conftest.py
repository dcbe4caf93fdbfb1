"""A fake GitHub and a store that talks to it, with a clock of its own."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from feedgen.github import GitHubClient, GitHubStore, GitHubTarget, Limits
from feedgen.publish.store import ReleasePage
from tests.support.github import FakeGitHub, Release
from updater.transport import HTTPTransport

TOKEN = "ghp_sesame"
COMMIT = "c" * 40
LIMITS = Limits(connect=5, read=5, between_writes=0)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of this machine, and the name of the upload host."""
    for name in ("GITHUB_TOKEN", "GH_TOKEN", "GITHUB_REPOSITORY", "GITHUB_API_URL", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    real = socket.getaddrinfo

    def resolve(host: Any, *arguments: Any, **options: Any) -> Any:
        local = isinstance(host, str) and (host == "localhost" or host.endswith(".localhost"))
        return real("127.0.0.1" if local else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    """A fake GitHub with the repository acme/shop; everything said must have been as GitHub describes it."""
    with FakeGitHub(upload_host="uploads.localhost") as fake:
        fake.repo.tags["v1.0.0"] = COMMIT
        yield fake
        assert fake.violations == []


@dataclass
class Opened:
    """A store on the fake, and what it said."""

    store: GitHubStore
    client: GitHubClient
    said: list[str] = field(default_factory=list)


Open = Callable[..., Opened]


@pytest.fixture
def opened(github: FakeGitHub) -> Iterator[Open]:
    """Opens stores, as new runs would; one after the other."""
    current = ExitStack()

    def open_store(*, fake: FakeGitHub = github, limits: Limits = LIMITS, **changes: Any) -> Opened:
        current.close()
        said: list[str] = []
        target = GitHubTarget(**{"repository": "acme/shop", "api_url": fake.api_url, "token": TOKEN, **changes})
        client = current.enter_context(
            GitHubClient(target, limits=limits, clock=fake.clock.now, sleep=fake.clock.sleep, say=said.append)
        )
        return Opened(GitHubStore(client, current.enter_context(HTTPTransport())), client, said)

    yield open_store
    current.close()


@pytest.fixture
def store(opened: Open) -> GitHubStore:
    """A store on the fake."""
    return opened().store


def page(tag: str = "v1.0.0", **changes: Any) -> ReleasePage:
    """A stable release."""
    return ReleasePage(
        **{"tag": tag, "commit": COMMIT, "title": f"shop {tag}", "notes": "Notes", "latest": True} | changes
    )


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """A package and its signature."""
    package, signature = tmp_path / "shop-1.0.0.zip", tmp_path / "shop-1.0.0.zip.minisig"
    package.write_bytes(b"PK" + bytes(range(256)) * 500)
    signature.write_bytes(b"untrusted comment: signature\n")
    return {path.name: path for path in (package, signature)}


def check_public(github: FakeGitHub, files: dict[str, Path], tag: str = "v1.0.0") -> Release:
    """There is exactly one release of the tag, public, with exactly these files."""
    (release,) = github.repo.of_tag(tag)
    assert not release.draft
    stored = {asset.name: asset.data for asset in release.assets}
    assert stored == {name: path.read_bytes() for name, path in files.items()}
    assert [asset.state for asset in release.assets] == ["uploaded"] * len(files)
    return release


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
