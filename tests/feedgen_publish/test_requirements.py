"""Releases that bring their Python packages: what is refused, and an app that is nothing but a distribution."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from feedgen.build.requirements import check_requirements
from feedgen.cli.check import local_transport
from feedgen.config import load_project
from feedgen.errors import BuildError
from tests.feedgen_publish.conftest import BASE_URL, App, git
from updater import Updater, set_up_site

HASH = "--hash=sha256:" + "0" * 64
BUILD = """\
import hashlib, pathlib, subprocess, zipfile
version = pathlib.Path("VERSION").read_text().strip()
home = f"shop-{version}.dist-info"
members = {
    "shop.py": f"VERSION = {version!r}\\ndef main():\\n    print(VERSION)\\n",
    f"{home}/METADATA": f"Metadata-Version: 2.1\\nName: shop\\nVersion: {version}\\n",
    f"{home}/WHEEL": "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    f"{home}/entry_points.txt": "[console_scripts]\\nshop = shop:main\\n",
}
members[f"{home}/RECORD"] = "".join(f"{name},,\\n" for name in (*members, f"{home}/RECORD"))
pathlib.Path("wheels").mkdir()
wheel = pathlib.Path("wheels") / f"shop-{version}-py3-none-any.whl"
with zipfile.ZipFile(wheel, "w") as archive:
    for name, text in members.items():
        archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), text)
digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
pathlib.Path("requirements.lock").write_text(f"shop=={version} \\\\\\n    --hash=sha256:{digest}\\n")
"""


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (f"a==1 {HASH}\n", 0),
        (f"# a comment\na==1 \\\n    {HASH} \\\n    {HASH}\n    # via b\nb==2 ; python_version > '3' {HASH}\n\n", 0),
        ("a==1\n", 1),
        (f"a==1 {HASH}\nb==2\n", 1),
        (f"--index-url https://x.example/\na==1 {HASH}\n", 1),
        (f"-r other.txt\n-e .\na==1 {HASH}\n", 2),
        ("a==1 --hash=md5:00\n", 1),
    ],
)
def test_every_package_is_pinned_by_hash(text: str, wrong: int) -> None:
    if not wrong:
        check_requirements("requirements.lock", text.encode())
        return
    with pytest.raises(BuildError) as caught:
        check_requirements("requirements.lock", text.encode())
    assert len(caught.value.problems) == wrong


def configure(app: App, text: str) -> None:
    """Other settings, for the same app, keys and address."""
    path = app.folder / "feedgen.toml"
    publish = tomllib.loads(path.read_text())["publish"]
    lines = [f"{name} = {json.dumps(value)}" for name, value in publish.items()]
    path.write_text("\n".join(['[app]\nname = "shop"\n[publish]', *lines, text]))


def test_what_is_named_has_to_be_in_the_package(app: App) -> None:
    configure(app, '\n[release]\nrequirements = "requirements.lock"\nwheelhouse = "wheels"\n')
    app.release("v1.0.0")
    output = app.run("publish", "v1.0.0", code=1).output
    assert "requirements.lock" in output and "wheels/" in output
    (app.folder / "requirements.lock").write_text("shop==1.0\n")
    (app.folder / "wheels").mkdir()
    (app.folder / "wheels" / "x.whl").write_bytes(b"")
    git(app.folder, "add", "-A")
    app.release("v1.1.0")
    assert "has no --hash" in app.run("publish", "v1.1.0", code=1).output


def test_an_app_that_is_a_distribution(app: App, tmp_path: Path) -> None:
    configure(
        app,
        f'\n[build]\ninclude = ["VERSION"]\ncommand = [{json.dumps(sys.executable)}, "build.py"]\n'
        'outputs = ["requirements.lock", "wheels/*"]\n'
        '\n[release]\nrequirements = "requirements.lock"\nwheelhouse = "wheels"\n',
    )
    (app.folder / "build.py").write_text(BUILD)
    for version in ("1.0.0", "1.1.0"):
        (app.folder / "VERSION").write_text(version)
        git(app.folder, "add", "-A")
        app.release(f"v{version}")
        app.run("publish", f"v{version}")
    site = tmp_path / "site"
    site.mkdir()
    (site / "updater.toml").write_text(
        f'[feed]\nurl = "{BASE_URL}stable.json"\n'
        f'[python]\nenvironment = "venv"\npython = {json.dumps(sys.executable)}\nindex = false\n'
    )
    transport = local_transport(load_project(app.folder).config, app.site, None)
    root = (app.site / "metadata" / "1.root.json").read_bytes()
    set_up_site(f"{BASE_URL}stable.json", site, root=root, version="1.0.0", transport=transport)

    def runs() -> str:
        return subprocess.run([site / "venv/bin/shop"], check=True, capture_output=True, text=True).stdout.strip()

    assert runs() == "1.0.0"
    updater = Updater(site, transport=transport)
    updater.install(updater.plan())
    assert runs() == "1.1.0"
    assert sorted(path.name for path in (site / "wheels").iterdir()) == ["shop-1.1.0-py3-none-any.whl"]
    shutil.rmtree(app.site)  # the way back needs nobody
    updater.rollback()
    assert runs() == "1.0.0"
