"""A published shop, a site that follows it, and ways to run the command line on it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.packages import Built, make_package
from tests.support.site_publisher import SitePublisher
from updater.cli import main
from updater.schema.feed import Migrations, Notes

ROOT = Path(__file__).parents[2]

RELEASES = {
    "1.0.0": {"manage.py": b"print(1)\n", "shop/a.py": b"A = 1\n", "shop/old.py": b"OLD = 1\n"},
    "1.1.0": {"manage.py": b"print(2)\n", "shop/a.py": b"A = 2\n", "shop/new.py": b"NEW = 1\n"},
    "1.2.0": {"manage.py": b"print(3)\n", "shop/a.py": b"A = 3\n", "shop/new.py": b"NEW = 1\n", "shop/b.py": b"B\n"},
}
LARGEST = 2**28
OWN = {"media/photo.jpg": b"the owner's", "shop.db": b"the owner's as well"}


def package(version: str, **more: Any) -> Built:
    """The shop's package of one version."""
    return make_package(RELEASES[version], version=version, notes=f"What is new in {version}.", **more)


def publish(publisher: SitePublisher, *versions: str) -> None:
    """Publish these versions; the last is said to be critical."""
    for version in versions:
        publisher.publish(
            package(version, migrations=["shop.0002_x"] if version == "1.2.0" else []),
            notes=Notes(f"What is new in {version}.", f"https://acme.example/{version}"),
            migrations=Migrations(("shop.0002_x",), False, True) if version == "1.2.0" else None,
        )


@dataclass
class Result:
    """What a command line did."""

    code: int
    out: str
    err: str


class Runner:
    """Runs the command line in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *argv: str | os.PathLike[str]) -> Result:
        self._capsys.readouterr()
        code = main([os.fspath(word) for word in argv])
        told = self._capsys.readouterr()
        return Result(code, told.out, told.err)


def run_program(*argv: str | os.PathLike[str], env: dict[str, str] | None = None, **options: Any) -> Result:
    """Run it as a program of its own, without a terminal."""
    command = [sys.executable, "-m", "updater", *map(os.fspath, argv)]
    clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    clean |= {"PYTHONPATH": str(ROOT), **(env or {})}
    options = {"stdin": subprocess.DEVNULL, "timeout": 60, "cwd": "/"} | options
    done = subprocess.run(command, capture_output=True, check=False, env=clean, **options)
    return Result(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))


def live_tree(site: Path) -> dict[str, str]:
    """Everything of a site but the updater's own state: path to what lies there."""
    found = {}
    for path in sorted(site.rglob("*")):
        name = path.relative_to(site).as_posix()
        if name.split("/")[0] in (".updater", "updater.toml") or "__pycache__" in name:
            continue
        if path.is_symlink():
            found[name] = f"-> {os.readlink(path)}"
        elif path.is_file():
            status = path.stat()
            # a file of 20 GiB without a byte in it is told by its size: reading it would take the machine's memory
            content = str(status.st_size) if status.st_size > LARGEST else hashlib.sha256(path.read_bytes()).hexdigest()
            found[name] = f"{content} {status.st_mode:o}"
    return found


def copy_site(source: Path, target: Path) -> Path:
    """An independent copy, hard links included as copies."""
    shutil.copytree(source, target, symlinks=True)
    return target
