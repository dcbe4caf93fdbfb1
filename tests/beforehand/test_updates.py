"""Through the client and the command line: what is refused before anything is fetched, and what a plan shows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.sites import run_program
from tests.support.packages import make_package
from tests.support.require import require
from tests.support.site_publisher import SitePublisher
from updater import Updater, set_up_site
from updater.cli.exits import Exit
from updater.errors import BlockedError
from updater.schema.feed import Requires

FILES = {"manage.py": b"1", "shop/a.py": b"A", "shop/b.py": b"B", "shop/same.py": b"S"}


@pytest.fixture
def publisher() -> SitePublisher:
    found = SitePublisher()
    found.publish(make_package(FILES, version="1.0.0"))
    return found


@pytest.fixture
def site(publisher: SitePublisher, tmp_path: Path) -> Path:
    set_up_site(publisher.url, tmp_path / "site", transport=publisher)
    publisher.publish(make_package(FILES | {"shop/a.py": b"A2"}, version="1.1.0"))
    publisher.repository.asked()
    return tmp_path / "site"


def configure(site: Path, text: str) -> None:
    with (site / "updater.toml").open("a") as file:
        file.write(f"\n{text}\n")


def commit(site: Path) -> None:
    git = [require("git", "git"), "-C", str(site), "-c", "user.name=O", "-c", "user.email=o@example.org"]
    for words in (["init", "-q"], ["add", "manage.py", "shop"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], check=True)


def test_a_checkout_is_refused_before_anything_is_fetched(site: Path, publisher: SitePublisher) -> None:
    commit(site)
    updater = Updater(site, transport=publisher)
    with pytest.raises(BlockedError) as caught:
        updater.plan()
    assert f"git -C {site}" in str(caught.value.reasons)
    asked = publisher.repository.asked()
    assert asked
    assert [path for path in asked if path.startswith("packages/")] == []
    assert list((site / ".updater/downloads").rglob("*")) == []
    configure(site, '[policy]\nmanaged = "allow"')
    plan = updater.plan()
    assert "is a git checkout" in str(plan.warnings)
    assert updater.install(plan).result == "done"


def test_the_exit_code_and_the_command_are_told(publisher: SitePublisher, tmp_path: Path) -> None:
    with publisher.serving() as server:
        set_up_site(server.url + "stable.json", tmp_path / "site")
        publisher.publish(make_package(FILES | {"shop/a.py": b"A2"}, version="1.1.0"))
        commit(tmp_path / "site")
        done = run_program("update", "--yes", "--site", tmp_path / "site")
        assert done.code == Exit.BLOCKED, done.err
        assert f"git -C {tmp_path}/site" in done.err
        assert '[policy] managed = "allow"' in done.err
        looked = run_program("doctor", "--json", "--site", tmp_path / "site")
    told = {finding["check"]: finding for finding in json.loads(looked.out)["findings"]}
    assert told["managed"]["level"] == "error"
    assert f"git -C {tmp_path}/site" in told["managed"]["advice"]


def test_missing_files_are_listed_and_brought_back(site: Path, publisher: SitePublisher) -> None:
    for name in ("shop/b.py", "shop/a.py"):
        (site / name).unlink()
    (site / "shop/same.py").write_bytes(b"mine")
    updater = Updater(site, transport=publisher)
    found = {finding.check: finding for finding in updater.doctor()}
    assert "1 file is changed on this site: shop/same.py" in found["files"].message
    assert "2 files are missing" in str([f.message for f in updater.doctor()])
    plan = updater.plan()
    assert plan.changes.missing == ("shop/a.py", "shop/b.py")
    assert plan.to_json()["missing"] == ["shop/a.py", "shop/b.py"]
    assert plan.changes.edited == ("shop/same.py",)
    updater.install(plan)
    assert (site / "shop/b.py").read_bytes() == b"B"
    assert updater.verify().ok


def test_required_packages_hold_a_release_back(site: Path, publisher: SitePublisher) -> None:
    configure(site, f'[commands]\nrunner = ["{sys.executable}", "manage.py"]')
    publisher.publish(
        make_package(FILES | {"shop/a.py": b"A3"}, version="1.2.0"), requires=Requires(packages=("packaging>=9999",))
    )
    updater = Updater(site, transport=publisher)
    check = updater.check()
    assert check.release is not None
    assert check.release.version == "1.1.0"
    assert "1.2.0: needs packaging>=9999, the app's Python has packaging" in str(check.reasons)
    with pytest.raises(BlockedError, match="No update can be installed now"):
        updater.plan("1.2.0")
    found = [finding for finding in updater.doctor() if finding.check == "requirements"]
    assert found[0].level == "warning"
    assert f"{sys.executable} -m pip install 'packaging>=9999'" in found[0].advice
    publisher.change("1.2.0", requires=Requires(packages=("packaging>=1", "pip")))
    plan = updater.plan()
    assert plan.to_version == "1.2.0"
    assert [(row.required, row.ok) for row in plan.packages] == [("packaging>=1", True), ("pip", True)]
    assert updater.check().to_json()["compatibility"]["packages"][0]["ok"] is True


def test_without_a_runner_packages_are_not_known_and_that_is_told(site: Path, publisher: SitePublisher) -> None:
    publisher.change("1.1.0", requires=Requires(packages=("packaging>=9999",)))
    updater = Updater(site, transport=publisher)
    plan = updater.plan()
    assert "whether the app has it cannot be told" in str(plan.warnings)
    assert plan.packages[0].ok is None
    assert updater.install(plan).result == "done"


def test_the_app_s_python_decides_not_the_updater_s(site: Path, publisher: SitePublisher, tmp_path: Path) -> None:
    """A site may run another Python than its updater."""
    python = tmp_path / "python3.7"
    python.write_text(
        f'#!/bin/sh\n{sys.executable} "$@" | sed \'s/"python_full_version": "[^"]*"/"python_full_version": "3.7.1"/\'\n'
    )
    python.chmod(0o755)
    publisher.change("1.1.0", requires=Requires(python=">=3.11"))
    updater = Updater(site, transport=publisher)
    assert updater.check().update_available
    configure(site, f'[commands]\nrunner = ["{python}", "manage.py"]')
    assert "needs Python >=3.11, this site runs 3.7.1" in str(updater.check().reasons)


def test_an_app_of_another_version_is_refused(site: Path, publisher: SitePublisher) -> None:
    answering = SitePublisher()
    answering.files["health"] = b'{"version": "0.9.0"}'
    with answering.serving() as server:
        configure(site, f'[health]\nurl = "{server.url}health"')
        updater = Updater(site, transport=publisher)
        with pytest.raises(BlockedError) as caught:
            updater.plan()
        assert "answers 0.9.0, but 1.0.0 is installed" in str(caught.value.reasons)
        assert {f.check: f.level for f in updater.doctor()}["running"] == "error"
        text = (site / "updater.toml").read_text()
        (site / "updater.toml").write_text(text + '\n[policy]\nrunning = "allow"\n')
        assert "answers 0.9.0" in str(updater.plan().warnings)
        answering.files["health"] = b'{"version": "1.0.0"}'
        assert updater.plan().warnings == ()
    assert "cannot be told" in str(updater.plan().warnings)
