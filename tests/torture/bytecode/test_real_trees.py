"""Real trees: which code runs after an update of Django and Wagtail with everything they need, and after the way back.

The oracle is `loaded_code`: in a fresh process each module's executed code is compared with its source compiled now.
The sources themselves are compared with what the wheels hold.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest

from tests.support.packages import make_package
from tests.support.server import LoopbackServer
from tests.support.site_publisher import SitePublisher
from tests.torture.bytecode.children import Invalidation, Loaded, compile_tree, load
from tests.torture.bytecode.wheels import Tree, fetch, same_size, write_tree
from tests.torture.figures import Figures
from updater import Updater, set_up_site
from updater.install import in_place, staging
from updater.site import Layout

pytestmark = [pytest.mark.network, pytest.mark.xdist_group("real-trees")]

OLD = ("django==5.1.7", "wagtail==6.4.1", "djangorestframework==3.16.0")
NEW = ("django==5.2.6", "wagtail==7.1", "djangorestframework==3.16.1")
VERSIONS = {"1.0.0": {"django": "5.1.7", "wagtail": "6.4.1", "rest_framework": "3.16.0"}}
VERSIONS["2.0.0"] = {"django": "5.2.6", "wagtail": "7.1", "rest_framework": "3.16.1"}
APPS = [f"wagtail.{name}" for name in ("contrib.forms", "contrib.redirects", "contrib.settings", "embeds", "sites")]
APPS += [f"wagtail.{name}" for name in ("users", "snippets", "documents", "images", "search", "admin")]
APPS += ["wagtail", "modelcluster", "taggit", "rest_framework", "django_filters"]
APPS += [f"django.contrib.{name}" for name in ("admin", "auth", "contenttypes", "sessions", "messages", "staticfiles")]
MODES: list[Invalidation] = ["timestamp", "unchecked-hash", "checked-hash"]
LAYOUTS: list[Layout] = ["in-place", "slots"]


@dataclass(frozen=True)
class Pair:
    """Two releases, published. ``twins``: modules that differ at the same size; ``changed``: all that differ."""

    old: Tree
    new: Tree
    feed: Path

    @property
    def twins(self) -> list[str]:
        return same_size(self.old, self.new)

    @property
    def changed(self) -> list[str]:
        return sorted(p for p in self.new if p.endswith(".py") and p in self.old and self.old[p] != self.new[p])


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Both as tags of a repository, published by the real command: every file in a package has its commit's time."""
    home = tmp_path_factory.mktemp("real-trees")
    trees = {
        "1.0.0": fetch(OLD, home / "old", dependencies=True),
        "2.0.0": fetch(NEW, home / "new", dependencies=True),
    }
    repository = home / "app"
    repository.mkdir()
    environment = os.environ | {"FEEDGEN_PASSPHRASE": "a passphrase for tests", "GIT_CONFIG_GLOBAL": os.devnull}
    for key in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{key}_NAME": "Maintainer", f"GIT_{key}_EMAIL": "maintainer@example.org"}

    def run(*words: str) -> None:
        subprocess.run(words, cwd=repository, env=environment, check=True, capture_output=True)

    feedgen = [sys.executable, "-m", "feedgen"]
    run("git", "init", "--quiet")
    for version, tree in trees.items():
        for entry in repository.iterdir():
            if entry.name != ".git":
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        write_tree(repository, tree)
        run("git", "add", "--all", "--force", ".")
        run("git", "commit", "--quiet", "--message", version)
        run("git", "tag", f"v{version}")
    keys = str(home / "keys")
    run(*feedgen, "init", "--app", "cms", "--base-url", "http://127.0.0.1:1/", "--keys", keys)
    for version in trees:
        run(*feedgen, "publish", f"v{version}", "--keys", keys)
    return Pair(trees["1.0.0"], trees["2.0.0"], repository / ".feedgen" / "site")


@contextmanager
def installed(pair: Pair, home: Path, layout: Layout) -> Iterator[Updater]:
    """A site with the old release, and what talks to its feed."""
    with LoopbackServer(pair.feed) as server:
        root = (pair.feed / "metadata" / "1.root.json").read_bytes()
        site = set_up_site(f"{server.url}stable.json", home / "site", root=root, version="1.0.0", layout=layout).site
        yield Updater(site)


def go(updater: Updater, version: str) -> None:
    """Forward, or back: these trees bring migrations, and this site has no database that could not fit."""
    if version == "2.0.0":
        updater.install(updater.plan(version))
    else:
        updater.rollback(database_restored=True)


def judge(tree: Path, expected: Tree, version: str, twins: list[str], changed: list[str]) -> list[str]:
    """What is wrong with the code that runs: empty when each module runs its own source, and that is the release's."""
    wrong = [f"{path}: not the release's" for path in changed if (tree / path).read_bytes() != expected[path]]
    found: Loaded = load(tree, twins, APPS)
    said = {name: text for name, text in found.versions.items() if name in VERSIONS[version]}
    if said != VERSIONS[version]:
        wrong.append(f"versions: {said}")
    every = load(tree, changed)
    return wrong + [f"{path}: stale" for path in sorted({*found.stale, *every.stale})]


@pytest.mark.torture
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_module_of_wagtail_runs_its_own_source(pair: Pair, tmp_path: Path, layout: Layout) -> None:
    twins, changed = pair.twins, pair.changed
    assert {"django/__init__.py", "wagtail/__init__.py", "rest_framework/__init__.py"} <= set(twins)
    assert len(twins) >= 20
    with Figures(f"stale bytecode, Django and Wagtail, {layout}") as figures:
        for mode in MODES:
            with installed(pair, tmp_path / mode, layout) as updater:
                for version, source in (("1.0.0", pair.old), ("2.0.0", pair.new), ("1.0.0", pair.old)):
                    if updater.site.state().version != version:
                        go(updater, version)
                    tree = updater.site.tree(layout)
                    assert updater.verify().ok
                    for wrong in judge(tree, source, version, twins, changed):
                        figures.wrong(f"{mode} {version} {wrong}")
                    every = [path for path in source if path.endswith(".py")]
                    compile_tree(tree, every if mode == "timestamp" else changed, mode)
                    figures.add("same-size modules", len(twins))
                    figures.add("modules", len(changed))
                    figures.add("trees")
            shutil.rmtree(tmp_path / mode)


@pytest.mark.torture
def test_without_the_defences_the_same_trees_run_old_code(pair: Pair, tmp_path: Path) -> None:
    """The judge can say no: with the package's own times, and compiled files left, every twin is stale."""
    commit = 1_700_000_000

    def as_packed(path: Path, *_: float) -> None:
        os.utime(path, (commit, commit))

    with (
        Figures("stale bytecode, undefended on purpose") as figures,
        mock.patch.object(staging, "freshen", as_packed),
        mock.patch.object(in_place, "freshen", as_packed),
        mock.patch.object(in_place, "purge_bytecode", lambda *_, **__: None),
        installed(pair, tmp_path, "in-place") as updater,
    ):
        tree = updater.site.path
        compile_tree(tree, pair.twins, "timestamp")
        updater.install(updater.plan("2.0.0"))
        found = load(tree, pair.twins, APPS)
        differing = [path for path in pair.twins if code(pair.old, path) != code(pair.new, path)]
        assert sorted(found.stale) == differing
        assert len(differing) >= 15
        assert found.versions["wagtail"] == "6.4.1"
        figures.add("stale modules found", len(found.stale))


def code(tree: Tree, path: str) -> object:
    """Some twins differ in a comment alone."""
    return compile(tree[path], path, "exec", dont_inherit=True)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_rest_framework_says_its_own_version(tmp_path: Path, layout: Layout) -> None:
    """The sample of `make test`: one real package whose version string changes at the same size."""
    old = fetch(["djangorestframework==3.16.0"], tmp_path / "old", dependencies=False)
    new = fetch(["djangorestframework==3.16.1"], tmp_path / "new", dependencies=False)
    twins = same_size(old, new)
    assert "rest_framework/__init__.py" in twins
    publisher = SitePublisher("drf")
    for version, tree in (("1.0.0", old), ("2.0.0", new)):
        publisher.publish(make_package(tree, app="drf", version=version))
    site = set_up_site(
        publisher.url,
        tmp_path / "site",
        root=publisher.root,
        version="1.0.0",
        layout=layout,
        transport=publisher,
    ).site
    updater = Updater(site, transport=publisher)
    for version, said in (("1.0.0", "3.16.0"), ("2.0.0", "3.16.1"), ("1.0.0", "3.16.0")):
        if site.state().version != version:
            updater.install(updater.plan(version)) if version == "2.0.0" else updater.rollback()
        found = load(site.tree(layout), twins)
        assert (found.stale, found.versions["rest_framework"]) == ((), said)
        compile_tree(site.tree(layout), twins, "unchecked-hash")
