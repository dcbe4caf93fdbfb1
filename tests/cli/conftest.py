"""Fixtures: a served shop and its sites."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.sites import OWN, Runner, copy_site, publish
from tests.support.server import LoopbackServer
from tests.support.site_publisher import SitePublisher
from updater import Updater, set_up_site


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Runner:
    """The command line in this process, without a terminal."""
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return Runner(capsys)


@pytest.fixture(scope="session")
def _publisher() -> SitePublisher:
    publisher = SitePublisher()
    publish(publisher, "1.0.0", "1.1.0", "1.2.0")
    return publisher


@pytest.fixture(scope="session")
def _server(_publisher: SitePublisher) -> Iterator[LoopbackServer]:
    with _publisher.serving() as server:
        yield server


@pytest.fixture
def server(_server: LoopbackServer) -> Iterator[LoopbackServer]:
    """The published shop: 1.0.0 to 1.2.0, over HTTP on 127.0.0.1. Behaviours are forgotten after each test."""
    yield _server
    _server.behaviours.clear()
    _server.reset()


@pytest.fixture
def feed(server: LoopbackServer) -> str:
    """The stable feed's address."""
    return server.url + "stable.json"


@pytest.fixture(scope="session")
def template(_publisher: SitePublisher, _server: LoopbackServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site that went from 1.0.0 to 1.1.0 and has files of its own; 1.2.0 waits. Never used itself, only copied."""
    path = tmp_path_factory.mktemp("template") / "site"
    set_up_site(_server.url + "stable.json", path, version="1.0.0")
    for name, data in OWN.items():
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_bytes(data)
    updater = Updater(path)
    updater.install(updater.plan("1.1.0"))
    updater.export_restore_point("1.0.0", path.parent / "exported.zip")
    return path


@pytest.fixture
def site(template: Path, server: LoopbackServer, tmp_path: Path) -> Path:
    """A copy of the template."""
    return copy_site(template, tmp_path / "site")


@pytest.fixture
def exported(template: Path, tmp_path: Path) -> Path:
    """An exported restore point of 1.0.0."""
    copy = tmp_path / "exported.zip"
    copy.write_bytes((template.parent / "exported.zip").read_bytes())
    return copy


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sit somebody in front of it who types this."""

    def type_in(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", _Terminal(text))
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        monkeypatch.setenv("TERM", "dumb")

    return type_in
