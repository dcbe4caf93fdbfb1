"""An app that brings its updater along, below ``vendor/``, and is updated by it: it replaces the code that is running.

Every vendored module refuses to be loaded into a process of another build, so that an updater that still loads
modules after it replaced itself is seen. Killed on the way, it is ended by the copy that it kept outside the tree.
"""

# ruff: noqa: F811 - a fixture that is imported and then used
from __future__ import annotations

import os
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
from tests.torture.versions.clients import EARLIER, ROOT, Client, Ended, files_of, vendored
from tests.torture.versions.oracle import Seen, add_owner_files, look
from tests.torture.versions.releases import APP, VERSIONS, make_release, settings
from updater.install.recovery import pending
from updater.site import Layout, Site

pytestmark = pytest.mark.slow

LAYOUTS: list[Layout] = ["in-place", "slots"]
STATES = ("prepared", "stopping", "applying", "migrating", "starting", "committed")
UPDATE_PY = b'''"""Updates this app with the updater that it brings along."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "vendor"))
sys._build = "%s"
from updater.cli import main

sys.exit(main())
'''


def with_updater(number: int, source: Path, build: str) -> dict[str, bytes]:
    """What release ``number`` has besides the forum: a client and the script that calls it."""
    return {**vendored(files_of(source), build), "update.py": UPDATE_PY % build.encode()}


@dataclass(frozen=True)
class SelfUpdating:
    """A site of such an app, copied for each case, and what it is before and after."""

    home: Path
    layout: Layout
    build: str
    before: Seen
    after: Seen

    def copy(self) -> Site:
        target = self.home / "case"
        subprocess.run(["rm", "-rf", str(target)], check=True)
        subprocess.run(["cp", "-a", str(self.home / "site"), str(target)], check=True)
        return Site(target)


def own_updater(site: Site, layout: Layout, *words: str) -> Ended:
    """Run the site's own updater as its owner would; with slots through the launcher, which pins the release."""
    where = [str(site.path / "launch")] if layout == "slots" else []
    command = [*where, sys.executable, "update.py", *words]
    environ = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        command, cwd=site.path, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return Ended(done.returncode, done.stdout)


def kept_copy(site: Site) -> Ended:
    """What a person types when nothing else works."""
    copies = list(site.bin.iterdir())
    if not copies:
        return own_updater(site, site.state().layout, "recover")  # killed after all had been cleaned up
    (directory,) = copies
    command = [sys.executable, "-S", "-E", "-I", str(directory / "recover.py")]
    done = subprocess.run(command, cwd="/", text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return Ended(done.returncode, done.stdout)


@pytest.fixture(params=EARLIER, ids=lambda archive: f"from-{archive.stem}")
def publisher(request: pytest.FixtureRequest) -> SitePublisher:
    """Release 1 brings an earlier client, release 4 the present one, release 7 the one after that."""
    publisher = SitePublisher(APP)
    builds = {1: (request.param, request.param.stem), 4: (ROOT, "present"), 7: (ROOT, "next")}
    for number, (source, build) in builds.items():
        publisher.publish(make_release(number, dict(with_updater(number, source, build))))
    return publisher


@pytest.fixture
def server(publisher: SitePublisher) -> Iterator[LoopbackServer]:
    with publisher.serving() as server:
        yield server


def begin(publisher: SitePublisher, server: LoopbackServer, home: Path, layout: Layout, number: int) -> Site:
    """A used site at release ``number``, updated to it by itself when that is not the first."""
    path = home / "site"
    path.mkdir(parents=True)
    # something to ask when it is over: the module that asks must have been loaded before it was replaced
    health = f'[health]\nurl = "{server.url}stable.json"\nversion_key = ""\ninterval = 0.01\n'
    (path / "updater.toml").write_text(settings(f"{server.url}stable.json", sys.executable) + health)
    (home / "root.json").write_bytes(publisher.root)
    client = Client("outside", ROOT)
    setup = client.run(
        "setup", f"{server.url}stable.json", str(path), str(home / "root.json"), VERSIONS[number - 1], layout
    )
    assert setup.code == 0, setup.output
    site = Site(path)
    add_owner_files(site, layout)
    return site


def case_of(
    publisher: SitePublisher, server: LoopbackServer, home: Path, layout: Layout, old: int, new: int
) -> SelfUpdating:
    site = begin(publisher, server, home, layout, old)
    build = {1: EARLIER[0].stem, 4: "present", 7: "next"}[old]
    case = SelfUpdating(home, layout, build, look(site, layout), look(site, layout))
    copy = case.copy()
    done = own_updater(copy, layout, "update", "--yes", "--to", VERSIONS[new - 1])
    assert done.code == 0, done.output
    return SelfUpdating(home, layout, build, case.before, look(copy, layout))


def killed(case: SelfUpdating, die: str, new: int) -> Site:
    """The site's own updater, killed there while it replaces itself."""
    site = case.copy()
    vendor = site.tree(case.layout) / "vendor"
    words = ["cli", "update", "--yes", "--to", VERSIONS[new - 1], "--site", str(site.path)]
    Client(case.build, vendor).run(*words, die=die, cwd=site.path)
    assert pending(site) is not None
    return site


def ended_by_the_kept_copy(case: SelfUpdating, die: str, new: int, *, try_the_mixture: bool = False) -> list[str]:
    """Kill, recover, look, and update again with whatever updater the tree has then."""
    site, wrong = killed(case, die, new), []
    if try_the_mixture:
        own_updater(site, case.layout, "recover")  # half of it is replaced: it may work or not, but it must not harm
    if pending(site) is not None:
        ended = kept_copy(site)
        if ended.code != 0:
            wrong.append(f"the kept copy failed: {ended.output}")
    now = look(site, case.layout)
    if now != (case.after if die.startswith("committed") else case.before):
        wrong.append("the site is neither the old nor the new one")
    wrong += [f"left behind: {name}" for name in World(site.path, case.layout).leftovers()]
    again = own_updater(site, case.layout, "update", "--yes", "--to", VERSIONS[new - 1])
    if again.code != 0 or look(site, case.layout) != case.after:
        wrong.append(f"the next self-update failed: {again.output}")
    return [f"{case.layout} {die}: {text}" for text in wrong]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_app_updates_its_updater_with_it(
    publisher: SitePublisher, server: LoopbackServer, tmp_path: Path, layout: Layout
) -> None:
    """An earlier client to the present one, to the next, and each step back by the client that is there then."""
    site = begin(publisher, server, tmp_path, layout, 1)
    seen = [look(site, layout)]
    for number in (4, 7):
        done = own_updater(site, layout, "update", "--yes", "--to", VERSIONS[number - 1])
        assert done.code == 0, done.output
        assert own_updater(site, layout, "verify").code == 0
        seen.append(look(site, layout))
    for expected in (seen[1], seen[0]):
        assert expected.version is not None
        done = own_updater(site, layout, "rollback", "--yes", expected.version)
        assert done.code == 0, done.output
        assert look(site, layout) == expected


def test_killed_while_it_replaces_itself_in_place(
    publisher: SitePublisher, server: LoopbackServer, tmp_path: Path
) -> None:
    case = case_of(publisher, server, tmp_path, "in-place", 1, 4)
    assert ended_by_the_kept_copy(case, "applying:80", 4, try_the_mixture=True) == []


@pytest.mark.torture
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("step", [(1, 4), (4, 7)], ids=["earlier to present", "present to next"])
def test_killed_anywhere_while_it_replaces_itself(
    publisher: SitePublisher, server: LoopbackServer, tmp_path: Path, layout: Layout, step: tuple[int, int]
) -> None:
    case = case_of(publisher, server, tmp_path, layout, *step)
    deaths = [f"{state}:{moment}" for state in STATES for moment in ("recorded", "done")]
    deaths += [f"applying:{number}" for number in (range(1, 130, 4) if layout == "in-place" else (1, 2))]
    with Figures(f"self-update, release {step[0]} to {step[1]}, {layout}") as figures:
        for die in deaths:
            for wrong in ended_by_the_kept_copy(case, die, step[1], try_the_mixture=die.startswith("applying")):
                figures.wrong(wrong)
            figures.add("kills")
            figures.add("self-updates")
