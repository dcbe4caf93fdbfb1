"""From any of ten releases to any newer one, jumps included, and back again: always what a fresh install gives."""

# ruff: noqa: F811 - a fixture that is imported and then used
from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import combinations, pairwise
from pathlib import Path

import pytest

from tests.engine.conftest import _no_flushing, tmp_path  # noqa: F401 - fixtures: all in memory
from tests.support.site_publisher import SitePublisher
from tests.torture.figures import Figures
from tests.torture.versions.oracle import Seen, add_owner_files, look, wrong_after
from tests.torture.versions.releases import APP, VERSIONS, make_release, settings
from updater import Updater, set_up_site
from updater.site import Layout, Site, read_history

LAYOUTS: list[Layout] = ["in-place", "slots"]
PAIRS = list(combinations(range(1, len(VERSIONS) + 1), 2))
SAMPLE = [(1, 10), (2, 7), (4, 9)]
"""Every kind of change forth and back, and the longest jump."""


class Releases:
    """All ten published, each installed on demand: as it comes (`fresh`), and with an owner's things (`owned`)."""

    def __init__(self, home: Path, layout: Layout) -> None:
        self.home, self.layout = home, layout
        self.publisher = SitePublisher(APP)
        for number in range(1, len(VERSIONS) + 1):
            self.publisher.publish(make_release(number))
        self._fresh: dict[int, Seen] = {}
        self._owned: dict[int, Seen] = {}

    def fresh(self, number: int) -> Seen:
        """A fresh install of a release."""
        if number not in self._fresh:
            site = self._install(self.home / f"fresh-{number}", number)
            self._fresh[number] = look(site, self.layout)
        return self._fresh[number]

    def owned(self, number: int, name: str) -> tuple[Updater, Seen]:
        """A copy of a site that runs the release and is used."""
        kept = self.home / f"owned-{number}"
        if number not in self._owned:
            site = self._install(kept, number)
            add_owner_files(site, self.layout)
            self._owned[number] = look(site, self.layout)
        subprocess.run(["cp", "-a", str(kept), str(self.home / name)], check=True)
        return Updater(Site(self.home / name), transport=self.publisher), self._owned[number]

    def _install(self, path: Path, number: int) -> Site:
        path.mkdir()
        (path / "updater.toml").write_text(settings(self.publisher.url, sys.executable))
        return set_up_site(
            self.publisher.url,
            path,
            root=self.publisher.root,
            version=VERSIONS[number - 1],
            layout=self.layout,
            transport=self.publisher,
        ).site


@pytest.fixture(params=LAYOUTS)
def releases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Releases]:
    yield Releases(tmp_path, request.param)


def there_and_back(releases: Releases, old: int, new: int) -> list[str]:
    """One pair: what is wrong after the update, and after the rollback."""
    name = f"{old}-{new}"
    updater, before = releases.owned(old, name)
    site = updater.site
    outcome = updater.install(updater.plan(VERSIONS[new - 1]))
    wrong = wrong_after(site, releases.layout, releases.fresh(new), before)
    if not updater.verify().ok or (outcome.result, outcome.from_version) != ("done", VERSIONS[old - 1]):
        wrong.append("the updater's own verdict")
    updater.rollback()
    back = look(site, releases.layout)
    if back != before:
        wrong.append(f"the way back: {difference(back, before)}")
    if updater.recover() is not None:
        wrong.append("something was left to recover")
    results = [entry["result"] for entry in read_history(site.history_path) if entry["event"] in ("update", "rollback")]
    if results != ["done", "done"]:
        wrong.append(f"the history says {results}")
    subprocess.run(["rm", "-r", str(site.path)], check=True)
    return wrong


def difference(one: Seen, other: Seen) -> list[object]:
    """For people."""
    found: list[object] = []
    for field in ("version", "folders", "database"):
        if getattr(one, field) != getattr(other, field):
            found.append((field, getattr(one, field), getattr(other, field)))
    for left, right in ((one.managed, other.managed), (one.others, other.others)):
        keys = [key for key in left.keys() | right.keys() if left.get(key) != right.get(key)]
        found += [(key, left.get(key), right.get(key)) for key in keys]
    return found


@pytest.mark.parametrize("pair", SAMPLE, ids=lambda pair: f"{VERSIONS[pair[0] - 1]} to {VERSIONS[pair[1] - 1]}")
def test_a_jump_gives_what_a_fresh_install_gives(releases: Releases, pair: tuple[int, int]) -> None:
    assert there_and_back(releases, *pair) == []


@pytest.mark.torture
def test_every_jump_gives_what_a_fresh_install_gives(releases: Releases) -> None:
    with Figures(f"version matrix, {releases.layout}") as figures:
        for old, new in PAIRS:
            for wrong in there_and_back(releases, old, new):
                figures.wrong(f"{old} to {new}: {wrong}")
            figures.add("pairs")
            figures.add("rollbacks")
        assert len(PAIRS) == 45


@pytest.mark.torture
def test_all_steps_and_all_the_way_back(releases: Releases) -> None:
    """One site through all ten, then through its restore points to the first: the last step is as clean as any."""
    updater, before = releases.owned(1, "walk")
    site = updater.site
    site.config_path.write_text(site.config_path.read_text() + "[backup]\nmax_backups = 20\n")
    seen = {1: before}
    for old, new in pairwise(range(1, len(VERSIONS) + 1)):
        updater.install(updater.plan(VERSIONS[new - 1]))
        assert wrong_after(site, releases.layout, releases.fresh(new), before) == [], (old, new)
        seen[new] = look(site, releases.layout)
    for number in reversed(range(1, len(VERSIONS))):
        updater.rollback(VERSIONS[number - 1])
        assert difference(look(site, releases.layout), seen[number]) == [], number
