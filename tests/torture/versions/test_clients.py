"""Sites of earlier builds of the client, and updates that one build began and another has to end."""

# ruff: noqa: F811 - a fixture that is imported and then used
from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.engine.conftest import tmp_path  # noqa: F401 - a fixture: in memory
from tests.engine.world import World
from tests.support.server import LoopbackServer
from tests.support.site_publisher import SitePublisher
from tests.torture.figures import Figures
from tests.torture.versions.clients import EARLIER, Client, earlier, present
from tests.torture.versions.oracle import Seen, add_owner_files, look
from tests.torture.versions.releases import APP, VERSIONS, make_release, settings
from updater import Updater
from updater.install.kept_code import code_digest
from updater.install.recovery import pending
from updater.site import Layout, Site, read_history, read_status

pytestmark = pytest.mark.slow

LAYOUTS: list[Layout] = ["in-place", "slots"]
FORWARD = ("prepared", "stopping", "applying", "migrating", "starting", "committed")
BACK = ("undoing", "undone")
UNHEALTHY = '[health]\ncommand = ["false"]\ntimeout = 0.1\ninterval = 0.05\n'
CLEANED_UP = ("committed:done", "undone:done")
"""Nothing but the journal's last line is missing: plan and kept copy are gone, and any build writes it."""
OTHER = "Another version of the updater began this update"


@dataclass(frozen=True)
class Crash:
    """An operation, where it is killed, and whether the site shall be at the new version in the end."""

    operation: str
    die: str
    new: bool


def crashes() -> list[Crash]:
    """Every state of the journal, just begun and just done: forward, on a rollback, on the way back from a failure."""
    states = [(operation, state) for operation in ("update", "rollback") for state in FORWARD]
    states += [("failing", state) for state in BACK]
    found = [
        Crash(operation, f"{state}:{moment}", new=state == "committed")
        for operation, state in states
        for moment in ("recorded", "done")
    ]
    return [*found, Crash("update", "applying:1", new=False), Crash("update", "applying:2", new=False)]


class Sites:
    """Used sites of one build, made when asked for: before each operation, and what they look like after it."""

    def __init__(self, home: Path, layout: Layout, client: Client, server: LoopbackServer, root: bytes) -> None:
        self.home, self.layout, self.client = home, layout, client
        self._feed = f"{server.url}stable.json"
        home.mkdir(exist_ok=True)
        (home / "root.json").write_bytes(root)
        self._seen: dict[tuple[str, bool], Seen] = {}

    def before(self, operation: str) -> Path:
        """The site before an operation: at the first release, or for a rollback updated once."""
        path = self.home / operation
        if path.exists():
            return path
        if operation == "update":
            path.mkdir()
            (path / "updater.toml").write_text(settings(self._feed, sys.executable))
            self._run("setup", self._feed, str(path), str(self.home / "root.json"), VERSIONS[0], self.layout)
            add_owner_files(Site(path), self.layout)
            return path
        subprocess.run(["cp", "-a", str(self.before("update")), str(path)], check=True)
        if operation == "rollback":
            self._run("update", str(path), VERSIONS[3])
        else:
            (path / "updater.toml").write_text(settings(self._feed, sys.executable) + UNHEALTHY)
        return path

    def seen(self, operation: str, *, after: bool) -> Seen:
        """The whole site before an operation, or after it was not disturbed."""
        if (operation, after) not in self._seen:
            site = self.copy(operation, "whole")
            if after:
                self._run(*words_for(operation, site))
            self._seen[operation, after] = look(site, self.layout)
        return self._seen[operation, after]

    def copy(self, operation: str, name: str = "case") -> Site:
        target = self.home / name
        if target.exists():
            shutil.rmtree(target)
        subprocess.run(["cp", "-a", str(self.before(operation)), str(target)], check=True)
        return Site(target)

    def crash(self, crash: Crash) -> Site:
        """A site that the build left half-way."""
        site = self.copy(crash.operation)
        self.client.run(*words_for(crash.operation, site), die=crash.die)
        return site

    def _run(self, *words: str) -> None:
        ended = self.client.run(*words)
        assert ended.code == 0, ended.output


def words_for(operation: str, site: Site) -> list[str]:
    """The verb of `driver` for an operation."""
    return ["rollback", str(site.path)] if operation == "rollback" else ["update", str(site.path), VERSIONS[3]]


@pytest.fixture(scope="module")
def publisher() -> SitePublisher:
    publisher = SitePublisher(APP)
    for number in (1, 2, 4, 7):
        publisher.publish(make_release(number))
    return publisher


@pytest.fixture
def server(publisher: SitePublisher) -> Iterator[LoopbackServer]:
    with publisher.serving() as server:
        yield server


def judge(sites: Sites, site: Site, crash: Crash) -> list[str]:
    """What is wrong after the recovery."""
    layout, wrong = sites.layout, []
    now = look(site, layout)
    expected = sites.seen(crash.operation, after=crash.new)
    if now != expected:
        wrong.append("the site is neither the old nor the new one")
    if pending(site) is not None:
        wrong.append("the journal has not ended")
    wrong += [f"left behind: {name}" for name in World(site.path, layout).leftovers()]
    kind = "rollback" if crash.operation == "rollback" else "update"
    results = [entry["result"] for entry in read_history(site.history_path) if entry["event"] == kind]
    allowed = ("done",) if crash.new else ("rolled-back", "discarded")
    if len(results) != 1 or results[-1] not in allowed:
        wrong.append(f"the history says {results}")
    if read_status(site.status_path)["state"] == "running":
        wrong.append("the status says that something runs")
    return wrong


def recovered_by_the_present(sites: Sites, crash: Crash) -> list[str]:
    """An earlier build was killed; the present one, called for something else, has its kept copy end the update."""
    site = sites.crash(crash)
    messages: list[str] = []
    updater = Updater(site, report=lambda event: messages.append(event.message))
    planned = pending(site)
    assert planned is not None
    assert planned.state.value == crash.die.partition(":")[0]
    assert (site.bin / planned.id / "recover.py").is_file() != (crash.die in CLEANED_UP)
    updater.recover()
    wrong = judge(sites, site, crash)
    if any(OTHER in message for message in messages) == (crash.die in CLEANED_UP):
        wrong.append("the present build recovered another one's update itself")
    if updater.recover() is not None:
        wrong.append("a second recovery found something")
    site.config_path.write_text(site.config_path.read_text().replace(UNHEALTHY, ""))
    before = look(site, sites.layout)
    updater.install(updater.plan(VERSIONS[6]))
    if not updater.verify().ok or updater.site.state().version != VERSIONS[6]:
        wrong.append("the next update failed")
    updater.rollback()
    if look(site, sites.layout) != before:
        wrong.append("going back from the next update is not clean")
    return [f"{sites.layout} {crash.operation} {crash.die}: {text}" for text in wrong]


def recovered_by_the_earlier(sites: Sites, crash: Crash, other: Client) -> list[str]:
    """The present build was killed; an earlier one is called, as after a downgrade of the package."""
    site = sites.crash(crash)
    ended = other.run("recover", str(site.path))
    wrong = judge(sites, site, crash)
    if ended.code != 0 or (OTHER in ended.output) == (crash.die in CLEANED_UP):
        wrong.append(f"the earlier build said: {ended.output}")
    if other.run("recover", str(site.path)).result != "None":
        wrong.append("a second recovery found something")
    site.config_path.write_text(site.config_path.read_text().replace(UNHEALTHY, ""))
    if other.run("update", str(site.path), VERSIONS[6]).result != "done":
        wrong.append("the earlier build's next update failed")
    return [f"{sites.layout} {crash.operation} {crash.die}: {text}" for text in wrong]


@pytest.fixture(params=EARLIER, ids=lambda archive: archive.stem)
def old_client(request: pytest.FixtureRequest, tmp_path: Path) -> Client:
    return earlier(request.param, tmp_path / "clients")


def test_there_is_an_earlier_build_and_it_is_another_one(tmp_path: Path) -> None:
    assert EARLIER
    for archive in EARLIER:
        client = earlier(archive, tmp_path)
        code = (
            "import sys; sys.path.insert(0, sys.argv[1]); import updater.install.kept_code as k; print(k.code_digest())"
        )
        done = subprocess.run(
            [sys.executable, "-I", "-c", code, str(client.directory)], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() != code_digest()


def test_the_present_client_ends_what_an_earlier_one_began(
    old_client: Client, publisher: SitePublisher, server: LoopbackServer, tmp_path: Path
) -> None:
    sites = Sites(tmp_path / "sites", "in-place", old_client, server, publisher.root)
    for crash in (Crash("update", "applying:5", new=False), Crash("update", "committed:recorded", new=True)):
        assert recovered_by_the_present(sites, crash) == []


def test_an_earlier_client_ends_what_the_present_one_began(
    old_client: Client, publisher: SitePublisher, server: LoopbackServer, tmp_path: Path
) -> None:
    sites = Sites(tmp_path / "sites", "slots", present(), server, publisher.root)
    assert recovered_by_the_earlier(sites, Crash("update", "migrating:done", new=False), old_client) == []


@pytest.mark.torture
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_state_of_every_earlier_client(
    old_client: Client, publisher: SitePublisher, server: LoopbackServer, tmp_path: Path, layout: Layout
) -> None:
    with Figures(f"other builds of the client, {layout}, {old_client.name}") as figures:
        sites = Sites(tmp_path / "old", layout, old_client, server, publisher.root)
        for crash in crashes():
            for wrong in recovered_by_the_present(sites, crash):
                figures.wrong(f"present recovers: {wrong}")
            figures.add("crashes of an earlier build")
        sites = Sites(tmp_path / "new", layout, present(), server, publisher.root)
        for crash in crashes():
            for wrong in recovered_by_the_earlier(sites, crash, old_client):
                figures.wrong(f"earlier recovers: {wrong}")
            figures.add("crashes of the present one")


def test_a_site_of_an_earlier_client_lives_on(
    old_client: Client, publisher: SitePublisher, server: LoopbackServer, tmp_path: Path
) -> None:
    """Its record, history and restore points are read by the present one: two steps back, each exact."""
    sites = Sites(tmp_path / "sites", "in-place", old_client, server, publisher.root)
    site = sites.copy("update")
    updater = Updater(site)
    first = look(site, "in-place")
    assert old_client.run("update", str(site.path), VERSIONS[1]).result == "done"
    second = look(site, "in-place")
    assert old_client.run("update", str(site.path), VERSIONS[3]).result == "done"
    assert updater.verify().ok
    assert [entry["event"] for entry in updater.history()] == ["install", "update", "update"]
    assert updater.check().update_available
    updater.rollback()
    assert look(site, "in-place") == second
    updater.rollback(VERSIONS[0])
    assert look(site, "in-place") == first
