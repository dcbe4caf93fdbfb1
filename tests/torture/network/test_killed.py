"""The program is killed in the middle of a download: the next start asks for what is missing, and for nothing else."""

from __future__ import annotations

import json
import re
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.server import Behaviour, Exchange, LoopbackServer
from tests.torture.figures import Figures
from tests.torture.network.answers import right_answer
from tests.torture.network.program import Program
from tests.torture.network.runner import asked_bytes, core
from tests.torture.network.world import World, photograph

_BUFFER = 8192  # bytes that a file object of Python may still hold when the process is killed


class Held:
    """Sends the package up to ``at`` and then nothing, until the client is gone. ``manifest``: not the package, but the
    range of it that holds the manifest, which is asked for first."""

    def __init__(self, at: int, *, manifest: bool = False) -> None:
        self.at, self.manifest = at, manifest
        self.reached = threading.Event()

    def behaviour(self) -> Behaviour:
        def behave(exchange: Exchange) -> None:
            answer = right_answer(exchange)
            answer.begin(exchange)
            if self.manifest != bool(_MANIFEST_RANGE.fullmatch(exchange.request.headers.get("range", ""))):
                exchange.write(answer.body)
                return
            exchange.write(answer.before(self.at))
            exchange.hang_up()
            self.reached.set()
            exchange.pause(60)

        return behave


_MANIFEST_RANGE = re.compile(r"bytes=\d+-\d+")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _kill_at(
    world: World, server: LoopbackServer, site: Path, at: int, number: int = signal.SIGKILL, *, manifest: bool = False
) -> bytes:
    """Start an update, kill it when ``at`` bytes of the package were sent, and return the part on disk."""
    held = Held(at, manifest=manifest)
    part = site / f".updater/downloads/1.1.0-{world.new.sha256[:16]}.zip.part"
    already = _size(part)
    before, before_core = photograph(site), core(site)
    server.behaviours[world.package] = held.behaviour()
    program = Program("update", "--yes", "--site", site)
    program.wait_until(held.reached.is_set)
    if at > already and not manifest:
        program.wait_until(lambda: _size(part) >= at - _BUFFER)
    ended = program.kill(number)
    assert ended.code == (-number if number == signal.SIGKILL else 130), ended
    assert "Traceback" not in ended.err
    assert photograph(site) == before
    assert core(site) == before_core
    server.behaviours.clear()
    data = part.read_bytes() if part.exists() else b""
    assert world.new.package.startswith(data)
    assert len(data) >= already
    return data


def _finish(world: World, server: LoopbackServer, site: Path, part: bytes) -> None:
    """The next start: exactly the missing bytes (and the few of the manifest), and the new release."""
    server.reset()
    ended = Program("update", "--yes", "--json", "--site", site).end()
    assert ended.code == 0, ended
    assert json.loads(ended.out)["result"] == "done"
    tail = world.new.tail_size
    assert asked_bytes(server.requests, world.package, world.new.size) == world.new.size - len(part) + tail
    assert world.is_new(photograph(site))
    assert not (site / ".updater/downloads").exists()


def _kill_once(name: str, world: World, folder: Path, number: int = signal.SIGKILL) -> None:
    at, manifest = MOMENTS[name], "manifest" in name
    with LoopbackServer(world.served()) as server:
        site = world.copy_site(folder / "site", server.url)
        part = _kill_at(world, server, site, at(world), number, manifest=manifest)
        told = Program("status", "--json", "--site", site).end()
        assert json.loads(told.out).get("state") != "running"
        _finish(world, server, site, part)


MOMENTS: dict[str, Callable[[World], int]] = {
    "before the first byte": lambda world: 0,
    "after the first byte": lambda world: 1,
    "at a block": lambda world: 65536,
    "half": lambda world: world.new.size // 2,
    "before the manifest": lambda world: world.new.tail_offset,
    "in the manifest": lambda world: world.new.tail_offset + 20,
    "before the last byte": lambda world: world.new.size - 1,
}


@pytest.mark.slow
def test_killed_at_half(world: World, tmp_path: Path) -> None:
    _kill_once("half", world, tmp_path)


@pytest.mark.slow
def test_interrupted_at_half(world: World, tmp_path: Path) -> None:
    """Ctrl-C keeps what was downloaded, too."""
    _kill_once("half", world, tmp_path, signal.SIGINT)


@pytest.mark.torture
def test_killed_at_every_moment(world: World, tmp_path: Path) -> None:
    """Each moment with SIGKILL and with two signals that are caught; then killed again and again on one way."""
    with Figures("network, killed while downloading") as figures:
        for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM):
            for name in MOMENTS:
                figures.add()
                folder = tmp_path / f"{number} {name}"
                folder.mkdir()
                try:
                    _kill_once(name, world, folder, number)
                except AssertionError as error:
                    figures.wrong(f"{name}, {number!r}: {error}")
        figures.add()
        try:
            _killed_on_the_way(world, tmp_path / "again and again")
        except AssertionError as error:
            figures.wrong(f"again and again: {error}")


def _killed_on_the_way(world: World, folder: Path) -> None:
    """Ten starts, each killed a little later: no byte of the package is fetched twice but for what was in a buffer."""
    site = folder / "site"
    folder.mkdir()
    with LoopbackServer(world.served()) as server:
        world.copy_site(site, server.url)
        part = b""
        for step in range(1, 10):
            server.reset()
            longer = _kill_at(world, server, site, world.new.size * step // 10)
            assert longer.startswith(part)
            ranges = [request.headers.get("range") for request in server.requests if request.path == world.package]
            assert ranges[-1] == (f"bytes={len(part)}-" if part else None)
            part = longer
        _finish(world, server, site, part)
