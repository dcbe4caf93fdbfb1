"""The link itself fails while the real program downloads over https: unplugged, back again, too slow, gone."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.server import make_certificate
from tests.torture.figures import Figures
from tests.torture.network.hosts import SERVER, TwoHosts
from tests.torture.network.nginx import Nginx, write_files
from tests.torture.network.program import Ended, Program
from tests.torture.network.runner import core
from tests.torture.network.world import World, photograph, quick_folder


class Line:
    """A site on the client, a published shop on the server, and the cable between them."""

    def __init__(self, world: World, folder: Path, hosts: TwoHosts, nginx: Nginx, ca_file: Path) -> None:
        self.world, self.folder, self.hosts, self.nginx = world, folder, hosts, nginx
        self._ca_file = ca_file
        self.site = world.copy_site(folder / "site", nginx.url)
        self._before = photograph(self.site), core(self.site)

    def settings(self, text: str) -> None:
        """Settings of this site about downloads, instead of the former."""
        config = self.site / "updater.toml"
        config.write_text(config.read_text().partition("\n[download]")[0] + f"\n[download]\n{text}\n")

    def run(self, *arguments: str | Path) -> Program:
        """A command on the client."""
        environ = {"REQUESTS_CA_BUNDLE": str(self._ca_file)}
        return Program(*arguments, within=self.hosts.on_client, environ=environ)

    def update(self) -> Program:
        """`updater update --yes` on the client."""
        return self.run("update", "--yes", "--json", "--site", self.site)

    @property
    def part(self) -> Path:
        """Where the unfinished download lies."""
        return self.site / f".updater/downloads/1.1.0-{self.world.new.sha256[:16]}.zip.part"

    def arrived(self) -> bool:
        """Whether a good part of the package is here."""
        return self.part.exists() and self.part.stat().st_size >= 30_000

    def unchanged(self, ended: Ended, code: int) -> bytes:
        """It ended with this code and left the site as it was; returns the part."""
        assert ended.code == code, ended
        assert ended.error["hint"]
        assert "Traceback" not in ended.err
        assert (photograph(self.site), core(self.site)) == self._before
        part = self.part.read_bytes() if self.part.exists() else b""
        assert self.world.new.package.startswith(part)
        return part

    def resumes(self, part: bytes) -> None:
        """The next start asks for exactly the rest, and the site is the new release."""
        self.settings("deadline = 600")
        began = time.time()  # a connection that lost its line is logged when nginx notices, which may be later
        self.done(self.update().end())
        asked = [one.range for one in self.nginx.asked(self.world.package, since=began)]
        assert asked[-1] == f"bytes={len(part)}-"
        assert len(asked) == 2

    def done(self, ended: Ended) -> None:
        """The site is the new release."""
        assert ended.code == 0, ended
        assert json.loads(ended.out)["result"] == "done"
        assert self.world.is_new(photograph(self.site))
        assert not self.part.parent.exists()


def out_and_in_again(line: Line) -> None:
    """Out for two seconds: the same connection goes on."""
    program = line.update()
    program.wait_until(line.arrived)
    line.hosts.unplug()
    time.sleep(2)
    line.hosts.plug()
    line.done(program.end())
    assert len(line.nginx.asked(line.world.package)) == 2


def out_until_given_up(line: Line) -> None:
    """Out for longer than the deadline; the next start, with the cable in, goes on."""
    line.settings("deadline = 2")
    program = line.update()
    program.wait_until(line.arrived)
    line.hosts.unplug()
    part = line.unchanged(program.end(), 7)
    assert len(part) >= 30_000
    line.hosts.plug()
    line.resumes(part)


def out_for_good(line: Line) -> None:
    """The same with the limits that sites have: the server is silent for half a minute, then three more attempts."""
    program = line.update()
    program.wait_until(line.arrived)
    line.hosts.unplug()
    part = line.unchanged(program.end(180), 7)
    line.hosts.plug()
    line.resumes(part)


def out_for_a_minute(line: Line) -> None:
    """Back before the last attempt: the program goes on by itself, and asks for the rest only."""
    program = line.update()
    program.wait_until(line.arrived)
    line.hosts.unplug()
    time.sleep(35)
    line.hosts.plug()
    line.done(program.end(180))
    sent = sum(one.sent for one in line.nginx.asked(line.world.package))
    # What nginx wrote into the dead connection counts as sent: at most what fits into its buffers.
    assert sent < 2 * line.world.new.size


def out_and_in_many_times(line: Line) -> None:
    """A loose contact."""
    program = line.update()
    program.wait_until(line.arrived)
    for _ in range(5):
        line.hosts.unplug()
        time.sleep(0.3)
        line.hosts.plug()
        time.sleep(0.5)
    line.done(program.end())


def address_gone(line: Line) -> None:
    """The client has left the network: its attempts fail at once, and are few."""
    line.settings("deadline = 20")
    program = line.update()
    program.wait_until(line.arrived)
    line.hosts.leave()
    part = line.unchanged(program.end(), 7)
    line.hosts.join()
    line.resumes(part)


def out_from_the_beginning(line: Line) -> None:
    """Nothing can be asked: a check shows what was known, an update waits, a first install leaves nothing."""
    line.hosts.unplug()
    checked = line.run("check", "--json", "--site", line.site).end()
    assert checked.code == 0
    assert "stale" in checked.err
    line.unchanged(line.update().end(), 6)
    fresh = line.folder / "fresh"
    installed = line.run("install", "--yes", "--json", f"{line.nginx.url}stable.json", fresh).end()
    assert installed.code == 7
    assert not fresh.exists()
    line.hosts.plug()
    line.done(line.update().end())


def slow_line(line: Line) -> None:
    """A slow line with a long queue is no failure."""
    line.hosts.slow_down("400kbit")
    line.done(line.update().end())


def too_slow_line(line: Line) -> None:
    """Below the minimum rate: given up after the half minute of grace, and continued on a better line."""
    line.settings("min_rate = 8000\ndeadline = 45")
    program = line.update()
    program.wait_until(line.arrived)
    line.hosts.slow_down("24kbit")
    began = time.monotonic()
    part = line.unchanged(program.end(), 7)
    assert time.monotonic() - began < 90
    line.hosts.full_speed()
    line.resumes(part)


PLAYS = (
    out_and_in_again, out_until_given_up, out_for_good, out_for_a_minute, out_and_in_many_times, address_gone,
    out_from_the_beginning, slow_line, too_slow_line,
)  # fmt: skip
SAMPLE = (out_until_given_up,)


def run_play(play: Callable[[Line], None], world: World) -> None:
    """One of them, with hosts of its own."""
    with tempfile.TemporaryDirectory(dir=quick_folder(Path(tempfile.gettempdir()))) as name, TwoHosts() as hosts:
        folder = Path(name)
        ca_file = folder / "ca.pem"
        www = write_files(folder / "www", world.files)
        chain = make_certificate(ca_file, SERVER)
        slowly = f"location = /{world.package} {{ limit_rate 60k; }}"
        with Nginx(
            folder / "nginx", www, slowly, address=SERVER, certificate=chain, within=hosts.on_server
        ) as nginx:  # fmt: skip
            line = Line(world, folder, hosts, nginx, ca_file)
            play(line)


@pytest.mark.slow
@pytest.mark.parametrize("play", SAMPLE, ids=lambda play: play.__name__)
def test_a_sample(play: Callable[[Line], None], world: World) -> None:
    run_play(play, world)


@pytest.mark.torture
def test_every_way_a_link_fails(world: World) -> None:
    with Figures("network, link down") as figures:
        for play in PLAYS:
            figures.add()
            try:
                run_play(play, world)
            except AssertionError as error:
                figures.wrong(f"{play.__name__}: {error}")
