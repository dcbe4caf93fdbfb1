"""The app's packages as a step of an update: real environments, real wheels, no network."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tests.support.packages import make_package
from tests.support.site_publisher import SitePublisher
from updater import Updater, set_up_site
from updater.components import follow_component
from updater.errors import BlockedError, CommandError, InstallError, RolledBackError
from updater.install.environment import EnvironmentChange, Requirements, plan_environment, switch
from updater.schema.manifest import PythonRequirements
from updater.schema.release import Requires
from updater.site import Layout, Site

CHECK = b"import greeting, pathlib, sys\nsys.exit(greeting.VERSION != pathlib.Path('wants.txt').read_text())\n"


def wheel(version: str, package: str = "greeting") -> tuple[str, bytes]:
    """A wheel: its file name and bytes."""
    out, home = BytesIO(), f"{package}-{version}.dist-info"
    members = {
        f"{package}.py": f"VERSION = {version!r}\n",
        f"{home}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n",
        f"{home}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{home}/RECORD": f"{package}.py,,\n{home}/METADATA,,\n{home}/WHEEL,,\n{home}/RECORD,,\n",
    }
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), text)
    return f"{package}-{version}-py3-none-any.whl", out.getvalue()


class Shop:
    """An app that needs ``greeting`` in the version that its release says, checked with the new code and packages."""

    def __init__(self, home: Path, layout: Layout) -> None:
        self.publisher = SitePublisher("shop")
        self.site = Site(home / "site")
        self.site.path.mkdir()
        self.layout = layout
        self.release("1.0.0", "1.0")
        python = str(self.site.path / "venv" / "bin" / "python")
        self.site.config_path.write_text(
            f'[feed]\nurl = "{self.publisher.url}"\n'
            f'[python]\nenvironment = "venv"\npython = {json.dumps(sys.executable)}\nindex = false\n'
            f"[health]\ncheck = {json.dumps([python, 'check.py'])}\n"
        )

    def release(self, version: str, needs: str | None, *, wants: str = "", hashed: str = "", **more: Any) -> None:
        files = {"check.py": CHECK, "wants.txt": (wants or needs or "").encode()}
        if needs is not None:
            name, data = wheel(needs)
            digest = hashed or hashlib.sha256(data).hexdigest()
            files[f"wheels/{name}"] = data
            files["requirements.lock"] = f"greeting=={needs} --hash=sha256:{digest}\n".encode()
        python = None if needs is None else PythonRequirements("requirements.lock", "wheels")
        self.publisher.publish(make_package(files, version=version, python=python), **more)

    def install(self) -> None:
        root = self.publisher.root
        set_up_site(self.publisher.url, self.site.path, root=root, layout=self.layout, transport=self.publisher)

    @property
    def updater(self) -> Updater:
        return Updater(self.site, transport=self.publisher)

    def update(self) -> None:
        self.updater.install(self.updater.plan())

    def has(self, package: str = "greeting") -> str:
        """What the app's own Python imports."""
        code = f"import {package}; print({package}.VERSION)"
        words = [str(self.site.path / "venv" / "bin" / "python"), "-c", code]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()

    def environments(self) -> list[str]:
        return sorted(path.name for path in (self.site.path / ".environments").iterdir())


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path, "in-place")
    made.install()
    return made


@pytest.mark.parametrize("layout", ["in-place", "slots"])
def test_packages_go_forth_and_back_with_the_code(tmp_path: Path, layout: Layout):
    shop = Shop(tmp_path, layout)
    shop.install()
    assert shop.has() == "1.0" and (shop.site.path / "venv").is_symlink()
    first = shop.environments()
    shop.release("1.1.0", "2.0")
    plan = shop.updater.plan()
    assert plan.requirements == "requirements.lock" and plan.to_json()["requirements"] == "requirements.lock"
    shop.updater.install(plan)
    assert shop.has() == "2.0" and len(shop.environments()) == 2
    shop.updater.rollback()
    assert shop.has() == "1.0"
    assert os.readlink(shop.site.path / "venv") == f".environments/{first[0]}"


def test_the_same_packages_are_not_installed_again(shop: Shop):
    before = shop.environments()
    inode = (shop.site.path / ".environments" / before[0]).stat().st_ino
    shop.release("1.1.0", "1.0")
    plan = shop.updater.plan()
    assert not plan.requirements
    shop.updater.install(plan)
    assert shop.environments() == before
    assert (shop.site.path / ".environments" / before[0]).stat().st_ino == inode


def test_a_killed_update_gives_the_old_packages_back(shop: Shop):
    shop.release("1.1.0", "2.0")
    text = shop.site.config_path.read_text().partition("[health]")[0]
    kill = ["sh", "-c", "if grep -q 2.0 wants.txt; then kill -9 $PPID; fi"]
    with shop.publisher.serving() as server:
        text = text.replace(shop.publisher.url, f"{server.url}stable.json")
        shop.site.config_path.write_text(f"{text}[health]\ncheck = {json.dumps(kill)}\n")
        words = [sys.executable, "-m", "updater", "update", "--yes", "--site", str(shop.site.path)]
        done = subprocess.run(words, capture_output=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
    assert shop.has() == "2.0", "it had switched already"
    Updater(shop.site, transport=shop.publisher).recover()
    assert (shop.has(), shop.site.state().version) == ("1.0", "1.0.0")


def test_what_no_way_back_needs_is_removed(shop: Shop):
    with shop.site.config_path.open("a") as config:
        config.write("[backup]\nmax_backups = 1\n")
    for version, needs in (("1.1.0", "2.0"), ("1.2.0", "3.0")):
        shop.release(version, needs)
        shop.update()
    assert shop.has() == "3.0" and len(shop.environments()) == 2
    shop.updater.rollback()
    assert shop.has() == "2.0"


def test_new_code_that_fails_gets_the_old_packages_back(shop: Shop):
    shop.release("1.1.0", "2.0", wants="3.0")
    with pytest.raises(RolledBackError, match="does not pass"):
        shop.update()
    assert (shop.has(), shop.site.state().version) == ("1.0", "1.0.0")


@pytest.mark.parametrize("why", ["another hash", "not in the wheelhouse"])
def test_what_cannot_be_installed_changes_nothing(shop: Shop, why: str):
    if why == "another hash":
        shop.release("1.1.0", "2.0", hashed="0" * 64)
    else:
        files = {
            "check.py": CHECK,
            "wants.txt": b"9.9",
            "requirements.lock": b"greeting==9.9 --hash=sha256:" + b"0" * 64,
        }
        python = PythonRequirements("requirements.lock")
        shop.publisher.publish(make_package(files, version="1.1.0", python=python))
    with pytest.raises(InstallError, match="could not be installed") as caught:
        shop.update()
    assert not isinstance(caught.value, RolledBackError), "nothing was stopped or switched"
    assert (shop.has(), shop.site.state().version) == ("1.0", "1.0.0")
    shop.release("1.2.0", "2.0")
    shop.update()
    assert shop.has() == "2.0"


@pytest.mark.parametrize("link", [False, True], ids=["a folder", "a link elsewhere"])
def test_an_environment_of_the_owners_own_is_not_replaced(tmp_path: Path, link: bool):
    shop = Shop(tmp_path, "in-place")
    own = tmp_path / "0123456789abcdef-own" if link else shop.site.path / "venv"
    own.mkdir()
    if link:
        (shop.site.path / "venv").symlink_to(own)
    with pytest.raises(BlockedError, match="not a link that Tagship made"):
        shop.install()
    assert (shop.site.path / "venv").samefile(own) and own.is_dir()


def test_a_link_that_somebody_made_meanwhile_stays(shop: Shop, tmp_path: Path):
    lists = (Requirements("requirements.lock", "0" * 64),)
    config, link = shop.site.config().python, shop.site.path / "venv"
    first = EnvironmentChange(None, "0123456789abcdef-cpython-311.7", lists)
    link.unlink()
    link.symlink_to(tmp_path)
    for back in (False, True):
        switch(shop.site, config, first, back=back)
        assert os.readlink(link) == str(tmp_path)


def test_doctor_says_beforehand_what_would_refuse_it(shop: Shop):
    def found() -> tuple[str, str]:
        (finding,) = [one for one in shop.updater.doctor() if one.check == "requirements"]
        return finding.level, finding.message

    assert found() == ("ok", "Updates install the app's packages themselves, behind venv.")
    (shop.site.path / "venv").unlink()
    (shop.site.path / "venv").mkdir()
    level, message = found()
    assert level == "error" and "not a link that Tagship made" in message


def test_a_half_made_environment_is_made_anew(shop: Shop):
    shop.release("1.1.0", "2.0")
    manifest = shop.updater.plan().manifest
    assert manifest.python is not None
    digest = hashlib.sha256(f"greeting==2.0 --hash=sha256:{hashlib.sha256(wheel('2.0')[1]).hexdigest()}\n".encode())
    tag = shop.environments()[0].partition("-")[2]
    half = shop.site.path / ".environments" / f"{digest.hexdigest()[:16]}-{tag}"
    (half / "bin").mkdir(parents=True)
    (half / "bin" / "python").write_text("#!/bin/sh\nexit 1\n")
    shop.update()
    assert shop.has() == "2.0"


def test_a_site_without_the_table_keeps_its_own_ways(tmp_path: Path):
    shop = Shop(tmp_path, "in-place")
    shop.site.config_path.write_text(f'[feed]\nurl = "{shop.publisher.url}"\n')
    shop.install()
    assert not (shop.site.path / "venv").exists() and not (shop.site.path / ".environments").exists()
    shop.release("1.1.0", "2.0")
    assert not shop.updater.plan().requirements
    shop.update()
    assert shop.site.state().version == "1.1.0"


def test_a_list_that_somebody_edited_is_not_installed_from(shop: Shop):
    text = shop.site.config_path.read_text()
    shop.site.config_path.write_text(text + '[policy]\nedited = "keep"\n')
    shop.release("1.1.0", "2.0")
    (shop.site.path / "requirements.lock").write_text("evil==1\n")
    with pytest.raises(InstallError, match="only installed from the list that was signed"):
        shop.update()
    assert shop.has() == "1.0"


def test_a_plugin_that_is_a_distribution_comes_into_the_same_environment(shop: Shop):
    plugin = SitePublisher("shop", component="invoices")
    name, data = wheel("1.0", package="invoices")
    files = {
        f"wheels/{name}": data,
        "lock.txt": f"invoices==1.0 --hash=sha256:{hashlib.sha256(data).hexdigest()}\n".encode(),
    }
    python = PythonRequirements("lock.txt", "wheels")
    plugin.publish(make_package(files, component="invoices", python=python), directory="plugins/invoices")
    with plugin.serving() as other, shop.publisher.serving() as server:
        text = shop.site.config_path.read_text()
        shop.site.config_path.write_text(text.replace(shop.publisher.url, f"{server.url}stable.json"))
        updater = Updater(shop.site)
        follow_component(updater, f"{other.url}stable.json", root=plugin.root)
        plan = updater.plan(components=["invoices"])
        assert plan.requirements == "plugins/invoices/lock.txt"
        updater.install(plan)
        assert (shop.has(), shop.has("invoices")) == ("1.0", "1.0")
        shop.release("1.1.0", "2.0")
        updater.install(updater.plan())
        assert (shop.has(), shop.has("invoices")) == ("2.0", "1.0")
        updater.install(updater.plan_removal("invoices"))
    assert shop.has() == "2.0"
    with pytest.raises(subprocess.CalledProcessError):
        shop.has("invoices")
    updater.rollback()
    assert (shop.has(), shop.has("invoices")) == ("2.0", "1.0")


def test_packages_that_the_update_brings_need_not_be_there(shop: Shop):
    shop.release("1.1.0", "2.0", requires=Requires(packages=("greeting>=2",)))
    shop.update()
    assert shop.has() == "2.0"


def test_a_python_that_is_not_there_is_told(shop: Shop):
    text = shop.site.config_path.read_text().replace(json.dumps(sys.executable), '"/no/python"')
    shop.site.config_path.write_text(text)
    shop.release("1.1.0", "2.0")
    with pytest.raises(CommandError, match="/no/python"):
        shop.update()
    assert shop.has() == "1.0"


def test_a_release_without_requirements_leaves_the_packages_alone(shop: Shop):
    assert plan_environment(shop.site, None, os.environ) is None
    shop.release("1.1.0", None, wants="1.0")
    shop.update()
    assert shop.has() == "1.0"


def test_the_record_of_a_change_is_read_back():
    from updater.schema.document import Reader

    lists = (Requirements("requirements.lock", "0" * 64), Requirements("plugins/x/lock", "1" * 64))
    change = EnvironmentChange(None, "0123456789abcdef-cpython-311.7", lists, ("wheels",))
    reader = Reader(change.to_json(), "x")
    assert EnvironmentChange.read(reader) == change
    for name in ("../x", "0123456789abcdef-../x", "", "0123456789abcde-x"):
        reader = Reader({**change.to_json(), "new": name}, "x")
        EnvironmentChange.read(reader)
        assert reader.problems
