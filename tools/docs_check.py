"""Run the commands that the documentation shows, so that they keep working: ``make docs-check``.

A fenced ``sh`` or ``console`` block is run when the comment ``<!-- check -->`` stands right before it. In a ``console``
block only the lines that begin with ``$ `` are commands. All blocks of a page run in one shell, as a reader would type
them, in an empty folder that is also HOME; they must end with status 0. What they print is not compared. The port
8765, which the pages use for a server on loopback, is replaced by one that is free.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^<!-- check -->\n+```(sh|console)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
TIMEOUT = 600  # seconds for a page
PORT = 8765


@dataclass(frozen=True)
class Block:
    """Commands of a page, and the line where they begin."""

    line: int
    commands: str


def blocks(text: str) -> list[Block]:
    """The blocks of a page that are marked to be run."""
    found = []
    for match in BLOCK.finditer(text):
        lines = match[2].splitlines()
        if match[1] == "console":
            lines = [line[2:] for line in lines if line.startswith("$ ")]
        found.append(Block(text.count("\n", 0, match.start(2)) + 1, "\n".join(lines)))
    return found


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def check(page: Path) -> bool:
    """Run the marked blocks of one page; say how it went."""
    name = page.relative_to(ROOT).as_posix()
    todo = blocks(page.read_text(encoding="utf-8"))
    if not todo:
        return True
    with tempfile.TemporaryDirectory(prefix="docs-check-") as folder:
        here, progress = Path(folder, "empty"), Path(folder, "progress")
        here.mkdir()
        script = "\n".join(f"echo {block.line} > {progress}\n{block.commands}" for block in todo)
        script = re.sub(rf"\b{PORT}\b", str(free_port()), script)
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": folder}
        for role in ("AUTHOR", "COMMITTER"):  # a reader's git knows its user; an empty HOME does not
            environment |= {f"GIT_{role}_NAME": "Reader", f"GIT_{role}_EMAIL": "reader@example.org"}
        began = time.monotonic()
        output = Path(folder, "output")
        with output.open("wb") as log, Path(folder, "script").open("w+", encoding="utf-8") as file:
            file.write(script)
            file.seek(0)
            shell = subprocess.Popen(
                ["sh", "-eu"],
                cwd=here,
                env=environment,
                stdin=file,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                status = str(shell.wait(TIMEOUT))
            except subprocess.TimeoutExpired:
                status = f"no end after {TIMEOUT} s"
            finally:
                with suppress(ProcessLookupError):  # what a page left in the background ends with it
                    os.killpg(shell.pid, signal.SIGKILL)
                shell.wait()
        if status == "0":
            print(f"ok      {name}: {len(todo)} blocks in {time.monotonic() - began:.1f} s")
            return True
        print(f"FAILED  {name}:{progress.read_text().strip()}: status {status}\n{output.read_text()}")
        return False


def main(arguments: Sequence[str]) -> int:
    """Check the given pages, or all."""
    pages = [Path(name).resolve() for name in arguments]
    results = [check(page) for page in pages or [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
