"""Real releases with all that they need, fetched through pip into one tree, as an app that vendors them ships it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["fetch", "same_size", "write_tree"]

Tree = Mapping[str, bytes]


def fetch(requirements: Sequence[str], folder: Path, *, dependencies: bool) -> Tree:
    """What the wheels of ``requirements`` hold, path to content."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--only-binary", ":all:", "--dest", str(folder)]
    subprocess.run([*command, *([] if dependencies else ["--no-deps"]), *requirements], check=True)
    found: dict[str, bytes] = {}
    for wheel in sorted(folder.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            found |= {info.filename: archive.read(info) for info in archive.infolist() if not info.is_dir()}
    return {path: content for path, content in found.items() if ".data/" not in path.partition("/")[0] + "/"}


def same_size(old: Tree, new: Tree) -> list[str]:
    """Modules that differ and are as long as before: for the size in a ``.pyc`` they are one."""
    return sorted(
        path
        for path in new
        if path.endswith(".py") and path in old and old[path] != new[path] and len(old[path]) == len(new[path])
    )


def write_tree(folder: Path, tree: Tree) -> None:
    """Lay the files out below ``folder``."""
    for name, content in tree.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
