"""Where benchmarks keep what they fetch and make: ``build/bench/`` of the repository, which git ignores."""

from __future__ import annotations

import subprocess
import sys
import venv
from functools import cache
from pathlib import Path

__all__ = ["HOME", "PROGRAMS", "ROOT", "peers_python", "program"]

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "build" / "bench"
PROGRAMS = Path(sys.executable).parent
_PEERS = ("tufup==0.10.0", "hdiffpatch==2.6.0", "backports.zstd>=1.0; python_version < '3.14'", "matplotlib>=3.9")


@cache
def peers_python() -> Path:
    """The Python of a virtual environment of their own, with the peers: tufup wants another python-tuf than we do."""
    home = HOME / "peers"
    python = home / "bin" / "python"
    ready = home / ".installed"
    if not ready.exists() or ready.read_text(encoding="utf-8") != "\n".join(_PEERS):
        venv.create(home, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *_PEERS], check=True)
        subprocess.run([str(python), "-m", "compileall", "-q", str(home / "lib")], check=False)
        ready.write_text("\n".join(_PEERS), encoding="utf-8")
    return python


@cache
def program(name: str, package: str) -> str:
    """The path of a program of the system, installed by the repository's own tool if it is missing."""
    subprocess.run([str(ROOT / "tools" / "system_packages"), f"{name}:{package}"], check=True, capture_output=True)
    return name
