"""Every pair, published by us and by tufup, and served by one nginx: what the tables of updates are measured on."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.torture.network.nginx import Nginx
from tools.bench.measure import Cost, run_measured, run_python
from tools.bench.pairs import Pair, commit_tree, git_repository
from tools.bench.places import PROGRAMS, peers_python
from updater.site.files import remove_tree

__all__ = ["TUFUP", "Served", "Transfer", "served"]

_PASSPHRASE = {"FEEDGEN_PASSPHRASE": "only for measuring"}
TUFUP = str(Path(__file__).with_name("tufup_peer.py"))


@dataclass(frozen=True)
class Transfer:
    """What went over the line: requests, and bytes of bodies."""

    requests: int
    bytes: int


@dataclass(frozen=True)
class Served:
    """Published pairs below ``www``; sites are made below ``scratch``."""

    www: Path
    scratch: Path
    nginx: Nginx

    def publish(self, pair: Pair, *, deltas: bool = True) -> Cost:
        """Publish both releases with feedgen; the cost is that of the second one."""
        home = self.scratch / f"{pair.slug}{'' if deltas else '-ranges'}"
        site = self.www / home.name
        repository = git_repository(home)
        feedgen = str(PROGRAMS / "feedgen")
        places = ("--site", str(site), "--keys", str(self.scratch / "keys" / home.name))
        environment = os.environ | _PASSPHRASE
        address = f"{self.nginx.url}{home.name}/"
        run_measured(
            [feedgen, "init", "--app", "app", "--base-url", address, "--solo", *places], cwd=repository, env=environment
        )
        if not deltas:
            with (repository / "feedgen.toml").open("a", encoding="utf-8") as settings:
                settings.write("\n[deltas]\nfrom_last = 0\n")
        cost = Cost(0, 0)
        for version in (pair.old, pair.new):
            commit_tree(repository, pair.tree(version), version)
            arguments = ["feedgen", "publish", f"v{version}", *places]
            cost = run_python(arguments, self.scratch, cwd=repository, env=environment)
        return cost

    def publish_tufup(self, pair: Pair) -> Cost:
        """The same with tufup."""
        home = self.scratch / f"{pair.slug}-tufup"
        cost = Cost(0, 0)
        for version in (pair.old, pair.new):
            arguments = [TUFUP, "publish", str(home), version, str(pair.tree(version))]
            cost = run_python(arguments, self.scratch, python=peers_python())
        (self.www / home.name).symlink_to(home / "repository")
        return cost

    def site(self, pair: Pair, layout: str = "in-place", *, deltas: bool = True) -> Path:
        """A fresh site of ours at the old version."""
        name = f"{pair.slug}{'' if deltas else '-ranges'}"
        site = self.scratch / "sites" / f"{name}-{layout}"
        if site.exists():
            remove_tree(site)
        feed = f"{self.nginx.url}{name}/stable.json"
        command = [str(PROGRAMS / "updater"), "install", feed, str(site), "--yes", "--version", pair.old]
        run_measured([*command, "--layout", layout])
        return site

    def tufup_site(self, pair: Pair) -> Path:
        """A fresh site of tufup at the old version: files, trusted root, and the archive that patches need."""
        site = self.scratch / "sites" / f"{pair.slug}-tufup"
        shutil.rmtree(site, ignore_errors=True)
        published = self.www / f"{pair.slug}-tufup"
        (site / "metadata").mkdir(parents=True)
        (site / "targets").mkdir()
        (site / "extracted").mkdir()
        shutil.copyfile(published / "metadata" / "root.json", site / "metadata" / "root.json")
        shutil.copyfile(published / "targets" / f"app-{pair.old}.tar.gz", site / "targets" / f"app-{pair.old}.tar.gz")
        shutil.copytree(pair.tree(pair.old), site / "app")
        return site

    def update(self, site: Path, pair: Pair, *, port: int | None = None) -> tuple[Cost, Transfer]:
        """Our update of a site, as a command; over the line at ``port`` when given."""
        if port is not None:
            settings = site / "updater.toml"
            text = settings.read_text(encoding="utf-8").replace(f":{self.nginx.port}/", f":{port}/")
            settings.write_text(text, encoding="utf-8")
        self.nginx.asked()
        cost = run_python(["updater", "update", "--yes", "--site", str(site)], self.scratch)
        transfer = self.transfer()
        tree = site / ("current" if (site / "current").is_symlink() else "app")
        _check(tree if tree.exists() else site, pair)
        return cost, transfer

    def update_tufup(self, site: Path, pair: Pair, how: str, *, port: int | None = None) -> tuple[Cost, Transfer]:
        """tufup's update of a site, by ``patch`` or ``full`` archive."""
        self.nginx.asked()
        url = f"http://127.0.0.1:{port or self.nginx.port}/{pair.slug}-tufup/"
        cost = run_python([TUFUP, "update", url, str(site), pair.old, how], self.scratch, python=peers_python())
        transfer = self.transfer()
        _check(site / "app", pair)
        return cost, transfer

    def transfer(self) -> Transfer:
        asked = self.nginx.asked()
        return Transfer(len(asked), sum(one.sent for one in asked))


def _check(tree: Path, pair: Pair) -> None:
    """Every file of the new release must be there, or the figures are of nothing."""
    wanted = pair.tree(pair.new)
    for path in wanted.rglob("*"):
        if path.is_file() and (tree / path.relative_to(wanted)).read_bytes() != path.read_bytes():
            raise SystemExit(f"{tree} has not the new {path.relative_to(wanted)}")


@contextmanager
def served(name: str) -> Iterator[Served]:
    """A web server for pairs, and a place for sites, both gone afterwards. TMPDIR says on which filesystem."""
    scratch = Path(tempfile.mkdtemp(prefix=f"bench-{name}-"))  # outside of this repository, as keys must be
    www = scratch / "www"
    www.mkdir(parents=True)
    try:
        with Nginx(scratch / "nginx", www) as nginx:
            yield Served(www, scratch, nginx)
    finally:
        remove_tree(scratch)
        subprocess.run(["sync"], check=False)
