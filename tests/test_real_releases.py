"""Real releases, not ours: two versions of Django as an app, published, installed, updated, rolled back.

After each step the site's tree is byte for byte what the wheel holds (besides ``version.json``, which says so).
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.server import LoopbackServer
from updater import Updater, set_up_site
from updater.site import Layout

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.xdist_group("real-releases")]

OLD, NEW = "5.2.1", "5.2.8"
OWN = {"version.json", "updater.toml", "launch"}
Tree = dict[str, tuple[bytes, bool]]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tree]:
    """What the two wheels hold: path to content, and whether it is executable."""
    folder = tmp_path_factory.mktemp("wheels")
    found: dict[str, Tree] = {}
    for version in (OLD, NEW):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*command, "--dest", str(folder), f"django=={version}"], check=True)
        (wheel,) = folder.glob(f"[dD]jango-{version}-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            found[version] = {
                info.filename: (archive.read(info), bool(info.external_attr >> 16 & 0o100))
                for info in archive.infolist()
                if not info.is_dir()
            }
    assert len(found[OLD]) > 3000
    return found


@pytest.fixture(scope="module")
def published(wheels: dict[str, Tree], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both versions as tags of a repository, published by the real command. Returns the site's folder."""
    home = tmp_path_factory.mktemp("publisher")
    repository = home / "app"
    repository.mkdir()
    environment = os.environ | {"FEEDGEN_PASSPHRASE": "a passphrase for tests", "GIT_CONFIG_GLOBAL": os.devnull}
    for key in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{key}_NAME": "Maintainer", f"GIT_{key}_EMAIL": "maintainer@example.org"}

    def run(*words: str) -> None:
        subprocess.run(words, cwd=repository, env=environment, check=True, capture_output=True)

    feedgen = [sys.executable, "-m", "feedgen"]
    run("git", "init", "--quiet")
    for version in (OLD, NEW):
        for path in [path for path in repository.rglob("*") if path.is_file() and ".git" not in path.parts]:
            path.unlink()
        for name, (content, executable) in wheels[version].items():
            target = repository / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            target.chmod(0o755 if executable else 0o644)
        run("git", "add", "--all", "--force", ".")
        run("git", "commit", "--quiet", "--message", version)
        run("git", "tag", f"v{version}")
    keys = str(home / "keys")
    run(*feedgen, "init", "--app", "django", "--base-url", "http://127.0.0.1:1/", "--keys", keys)
    for version in (OLD, NEW):
        run(*feedgen, "publish", f"v{version}", "--keys", keys)
    return repository / ".feedgen" / "site"


def tree_of(folder: Path) -> Tree:
    """What lies in an installed tree, without what the updater and its owner keep there."""
    found: Tree = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in OWN and not name.startswith(".updater/"):
            found[name] = (path.read_bytes(), bool(path.stat().st_mode & stat.S_IXUSR))
    return found


def assert_same(found: Tree, expected: Tree) -> None:
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []


@pytest.mark.parametrize("layout", ["in-place", "slots"])
def test_django_is_installed_updated_and_rolled_back(
    wheels: dict[str, Tree], published: Path, tmp_path: Path, layout: Layout
) -> None:
    with LoopbackServer(published) as server:
        feed = f"{server.url}stable.json"
        root = (published / "metadata" / "1.root.json").read_bytes()
        site = set_up_site(feed, tmp_path / "site", root=root, version=OLD, layout=layout).site
        updater = Updater(site)
        assert_same(tree_of(site.tree(layout)), wheels[OLD])

        plan = updater.plan()
        assert (plan.from_version, plan.to_version) == (OLD, NEW)
        outcome = updater.install(plan)
        assert (outcome.result, outcome.to_version) == ("done", NEW)
        assert_same(tree_of(site.tree(layout)), wheels[NEW])
        assert updater.verify().ok

        assert updater.rollback().to_version == OLD
        assert_same(tree_of(site.tree(layout)), wheels[OLD])
        assert updater.verify().ok
