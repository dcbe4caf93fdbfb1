"""Keep a build of the client as test data: ``python tools/keep_client.py COMMIT tests/data/clients/client-N.zip``.

The zip holds ``updater/`` as it was at the commit, in git's order and with one fixed time, so that whoever runs this
again gets the same members. The tests update, crash and recover with it, long after its code has changed.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

MOMENT = (2026, 1, 1, 0, 0, 0)


def keep(commit: str, target: Path) -> int:
    """Write the zip; the number of its files."""
    listed = _git("ls-tree", "-r", "--name-only", "-z", commit, "updater").decode().split("\0")
    names = [name for name in listed if name]
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in names:
            member = zipfile.ZipInfo(name, MOMENT)
            member.external_attr = 0o100644 << 16
            archive.writestr(member, _git("show", f"{commit}:{name}"), zipfile.ZIP_DEFLATED, 9)
    return len(names)


def _git(*words: str) -> bytes:
    return subprocess.run(["git", *words], check=True, capture_output=True).stdout


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print(__doc__)
        return 2
    print(f"{keep(arguments[0], Path(arguments[1]))} files of {arguments[0]} in {arguments[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
