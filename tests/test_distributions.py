"""The two distributions as users get them: built from a clean copy, looked into, and installed."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PUBLISHER_ONLY = {"click", "deflate", "jinja2", "markdown-it-py", "nh3", "pygithub", "rich", "cryptography"}
pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def source_files(*under: str) -> list[str]:
    """What belongs to the repository: tracked files, and new ones that are not ignored."""
    listed = run(
        "git",
        "-c",
        "safe.directory=*",
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
        "--",
        *under,
        cwd=ROOT,
    )
    return sorted({name for name in listed.split("\0") if name and (ROOT / name).is_file()})


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both wheels and both sdists, the wheels built from the sdists; made once for all test processes."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    output = shared / "distributions"
    with (shared / "distributions.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (output / "copied").exists():
            build(tmp_path_factory.mktemp("copy"), output)
    return output


def build(copy: Path, output: Path) -> None:
    """Copy the sources, build from the copy, and note at the end what was copied."""
    names = source_files("updater", "feedgen", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", ".gitignore")
    for name in names:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, copy / name)
    run("git", "init", "-q", copy)  # as in a checkout, where .gitignore has a say
    output.mkdir(exist_ok=True)
    for project in (copy, copy / "feedgen"):
        run(sys.executable, "-P", "-m", "build", "--no-isolation", "--outdir", output, project, cwd=output)
    (output / "copied").write_text("\0".join(names))


def copied(built: Path, package: str) -> list[str]:
    """The source files of a package that the distributions were built from."""
    return [name for name in (built / "copied").read_text().split("\0") if name.startswith(f"{package}/")]


def wheel(built: Path, name: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(next(built.glob(f"{name}-*.whl")))


def metadata(archive: zipfile.ZipFile) -> Message:
    name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(archive.read(name).decode())


@pytest.mark.parametrize(("name", "package"), [("tagship", "updater"), ("tagship_feedgen", "feedgen")])
def test_a_wheel_holds_its_package_and_nothing_else(built, name, package):
    with wheel(built, name) as archive:
        members = [member for member in archive.namelist() if ".dist-info/" not in member]
        licenses = [member for member in archive.namelist() if member.endswith("/licenses/LICENSE")]
        about = metadata(archive)
    not_code = {"feedgen/pyproject.toml", "feedgen/README.md", "feedgen/LICENSE"}
    assert sorted(members) == [file for file in copied(built, package) if file not in not_code]
    assert f"{package}/py.typed" in members
    assert len(licenses) == 1
    assert about["License-Expression"] == "MIT"
    assert about["Requires-Python"] == ">=3.11"
    assert about.get_payload()


def test_the_schemas_are_shipped(built):
    with wheel(built, "tagship") as archive:
        found = [name for name in archive.namelist() if name.startswith("updater/schema/json/")]
        for name in found:
            json.loads(archive.read(name))
    kinds = ("archive", "feed", "feedgen", "manifest", "updater", "version")
    assert sorted(found) == [f"updater/schema/json/{kind}.schema.json" for kind in kinds]


def test_the_client_requires_nothing_of_the_publisher(built):
    with wheel(built, "tagship") as archive:
        requirements = [Requirement(text) for text in metadata(archive).get_all("Requires-Dist", [])]
    always = {found.name.lower() for found in requirements if "extra" not in str(found.marker)}
    assert always & PUBLISHER_ONLY == set()


def test_the_publisher_needs_exactly_this_client(built):
    with wheel(built, "tagship") as client, wheel(built, "tagship_feedgen") as publisher:
        assert f"tagship=={metadata(client)['Version']}" in metadata(publisher).get_all("Requires-Dist", [])
        assert metadata(client)["Version"] == metadata(publisher)["Version"]


def test_source_distributions_are_complete(built):
    for name, package, prefix in (("tagship", "updater", ""), ("tagship_feedgen", "feedgen", "feedgen/")):
        with tarfile.open(next(built.glob(f"{name}-[0-9]*.tar.gz"))) as archive:
            members = {member.split("/", 1)[1] for member in archive.getnames()}
        expected = {file.removeprefix(prefix) for file in copied(built, package)}
        assert expected <= members
        assert {"LICENSE", "README.md", "pyproject.toml"} <= members


def test_both_carry_the_same_license():
    assert (ROOT / "feedgen" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_console_scripts_lead_somewhere():
    for file in ("pyproject.toml", "feedgen/pyproject.toml"):
        scripts = tomllib.loads((ROOT / file).read_text(encoding="utf-8"))["project"]["scripts"]
        for target in scripts.values():
            module, _, function = target.partition(":")
            run(sys.executable, "-c", f"import {module} as module; assert callable(module.{function})")


@pytest.mark.network
def test_installing_the_client_brings_no_publisher(built, tmp_path):
    """Into a fresh virtual environment, with dependencies, as a site owner does it."""
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    bin_ = tmp_path / "venv" / "bin"
    run(bin_ / "pip", "install", "--quiet", next(built.glob("tagship-*.whl")))
    installed = {found["name"].lower() for found in json.loads(run(bin_ / "pip", "list", "--format", "json"))}
    assert {"tagship", "tuf", "requests"} <= installed
    assert installed & {*PUBLISHER_ONLY, "tagship-feedgen"} == set()
    assert not list((tmp_path / "venv").rglob("site-packages/feedgen"))
    assert "usage: updater" in run(bin_ / "updater", "--help")
    run(bin_ / "python", "-c", "import updater, updater.schema, updater.trust, updater.transport")
