"""The same wrong answers, met by the command line as a program of its own: exit code, message, memory, nothing left."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.server import LoopbackServer
from tests.torture.figures import Figures
from tests.torture.network import refusals
from tests.torture.network.program import run_measured
from tests.torture.network.runner import core, documented_exit
from tests.torture.network.table import TABLE, Row
from tests.torture.network.world import World, photograph, use_feed

MOST_MEMORY = 32 << 20
"""Bytes more than a check takes that meets nothing wrong."""

_AT_A_TIME = 6  # most of the time these wait


def _row(name: str) -> Row:
    return next(row for row in TABLE if row.name == name)


def _usual_memory(world: World, folder: Path) -> int:
    with LoopbackServer(world.served()) as server:
        site = world.copy_site(folder / "usual", server.url)
        return run_measured("check", "--site", site, folder=folder).memory


def _update(row: Row, world: World, folder: Path, usual: int) -> None:
    """`updater update --yes` while the package is answered wrongly in its middle."""
    folder.mkdir()
    at = world.new.size // 2
    with LoopbackServer(world.served()) as server, LoopbackServer(world.served()) as good:
        site = world.copy_site(folder / "site", server.url)
        before, before_core = photograph(site), core(site)
        behave = row.make(at)
        if not row.in_body:
            behave = refusals.after_a_cut(at, behave, world.package)
        server.behaviours = {world.package: behave, "login": refusals.portal}
        ended = run_measured("update", "--yes", "--json", "--site", site, folder=folder)
        expected = row.ends("package", "middle")
        assert "Traceback" not in ended.out + ended.err
        assert "bug in updater" not in ended.out + ended.err
        assert ended.memory < usual + MOST_MEMORY, f"{ended.memory >> 20} MiB"
        if expected is None:
            assert ended.code == 0, ended
        else:
            assert ended.code == documented_exit(expected), ended
            assert ended.error["code"] == ended.code
            assert ended.error["hint"]
            assert ended.err.count("error:") == 1
            assert photograph(site) == before
            assert core(site) == before_core
            use_feed(site, good.url)
            again = run_measured("update", "--yes", "--json", "--site", site, folder=folder)
            assert again.code == 0, again
        assert world.is_new(photograph(site))


def _install(row: Row, world: World, folder: Path, usual: int) -> None:
    """`updater install` while the timestamp is answered wrongly in its middle."""
    folder.mkdir()
    path = world.metadata("timestamp")
    with LoopbackServer(world.served()) as server:
        server.behaviours = {path: row.make(len(world.files[path]) // 2), "login": refusals.portal}
        feed, site = server.url + "stable.json", folder / "site"
        ended = run_measured("install", "--yes", "--json", feed, site, folder=folder)
        expected = row.ends("metadata", "middle")
        assert "Traceback" not in ended.out + ended.err
        assert "bug in updater" not in ended.out + ended.err
        assert ended.memory < usual + MOST_MEMORY, f"{ended.memory >> 20} MiB"
        if expected is None:
            assert ended.code == 0, ended
            return
        assert ended.code == documented_exit(expected), ended
        assert ended.error["hint"]
        assert not site.exists()


@pytest.mark.slow
def test_a_sample(world: World, tmp_path: Path) -> None:
    usual = _usual_memory(world, tmp_path)
    _install(_row("endless chunks"), world, tmp_path / "install", usual)
    _update(_row("429, come back in an hour"), world, tmp_path / "update", usual)


@pytest.mark.torture
@pytest.mark.parametrize("play", [_install, _update], ids=["install", "update"])
def test_every_wrong_answer(play: object, world: World, folder: Path) -> None:
    """All that need no short limits, with the limits and the pauses that users have."""
    assert callable(play)
    usual = _usual_memory(world, folder)

    def attempt(row: Row) -> str:
        try:
            play(row, world, folder / row.name.replace("/", ""), usual)
        except AssertionError as error:
            return f"{row.name}: {error}"
        return ""

    what = f"network, wrong answers: the command line, {play.__name__.strip('_')}"
    with Figures(what) as figures, ThreadPoolExecutor(_AT_A_TIME) as pool:
        for wrong in pool.map(attempt, [row for row in TABLE if not row.slow]):
            figures.add()
            if wrong:
                figures.wrong(wrong)
