"""The commands of a page of the documentation, taken from it word by word."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def commands(page: str, kind: str, name: str = "") -> list[str]:
    """The ``sh`` blocks that the comment ``<!-- kind: name -->`` (or ``<!-- kind -->``) stands before."""
    mark = f"{kind}: {name}" if name else kind
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.findall(rf"^<!-- {re.escape(mark)} -->\n+```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert found, f"{page} has no block {mark!r}"
    return [str(block) for block in found]


def follow(block: str, folder: Path, programs: Path | None = None, **variables: str) -> str:
    """Type a block into a shell. ``programs``: a folder that goes before everything in PATH."""
    path = [str(Path(sys.executable).parent), os.environ["PATH"]]
    environment = os.environ | {"PATH": os.pathsep.join([str(programs), *path] if programs else path)} | variables
    done = subprocess.run(
        ["sh", "-eu"],
        input=block,
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}"
    return done.stdout
