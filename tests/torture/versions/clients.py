"""Builds of the client: the earlier ones, kept in tests/data/clients, and the present one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["EARLIER", "Client", "Ended", "earlier", "present", "vendored"]

ROOT = Path(__file__).resolve().parents[3]
_DRIVER = Path(__file__).with_name("driver.py")
EARLIER = sorted((ROOT / "tests" / "data" / "clients").glob("client-*.zip"))
_MARK = """

import sys as _sys
if getattr(_sys, "_build", {build!r}) != {build!r}:
    raise ImportError("a module of build {build} was loaded into a process of build " + _sys._build)
"""


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code (-9 when it was killed), and what it printed."""

    code: int
    output: str

    @property
    def result(self) -> str:
        """The last line."""
        return self.output.splitlines()[-1] if self.output else ""


@dataclass(frozen=True)
class Client:
    """A build: its files below ``directory`` (which holds ``updater/``), and what it is called."""

    name: str
    directory: Path

    def run(self, *words: str, die: str = "never", cwd: Path = Path("/")) -> Ended:
        """One verb of `driver` in a process of its own."""
        environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        command = [sys.executable, str(_DRIVER), str(self.directory), die, self.name, *words]
        done = subprocess.run(
            command, cwd=cwd, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        if die != "never":
            assert done.returncode == -signal.SIGKILL, f"{die} never came: {done.stdout}"
        return Ended(done.returncode, done.stdout)


def earlier(archive: Path, home: Path) -> Client:
    """Unpack an earlier build into ``home``."""
    directory = home / archive.stem
    with zipfile.ZipFile(archive) as source:
        source.extractall(directory)
    return Client(archive.stem, directory)


def present() -> Client:
    """The code of this checkout."""
    return Client("present", ROOT)


def vendored(source: Mapping[str, bytes], build: str) -> dict[str, bytes]:
    """Files of a client, marked: a module of this build refuses to be loaded into a process of another.

    So an updater that replaces itself and then loads one more of its modules, a new one by then, does not go unnoticed.
    """
    return {
        f"vendor/{path}": content + _MARK.format(build=build).encode() if path.endswith(".py") else content
        for path, content in source.items()
    }


def files_of(client: Path) -> dict[str, bytes]:
    """``updater/...`` to content, of a zip or of the checkout."""
    if client.is_file():
        with zipfile.ZipFile(client) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    home = client / "updater"
    return {
        path.relative_to(client).as_posix(): path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
