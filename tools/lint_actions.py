"""Check the shell scripts inside composite actions with shellcheck, which actionlint does for workflows only."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

_RUN = re.compile(
    r"^(?P<indent> *)(?:- )?run: (?:\|.*\n(?P<block>(?:(?P=indent) +.*\n|\n)+)|(?P<line>.+)\n)", re.MULTILINE
)


def scripts(text: str) -> Iterator[tuple[int, str]]:
    """Each ``run:`` of an action: the line it begins on, and the script."""
    for match in _RUN.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match["block"] or match["line"]


def main(arguments: Sequence[str]) -> int:
    """Lint the given action files."""
    shellcheck = Path(sys.executable).parent / "shellcheck"
    status = 0
    for name in arguments:
        for line, script in scripts(Path(name).read_text(encoding="utf-8")):
            done = subprocess.run(
                [shellcheck, "--shell=bash", "-"], input=script, text=True, capture_output=True, check=False
            )
            if done.returncode:
                print(f"{name}: the script at line {line}\n{done.stdout}{done.stderr}")
                status = 1
            if "${{" in script:
                print(f"{name}: the script at line {line} has an expression in it; pass it as a variable")
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
