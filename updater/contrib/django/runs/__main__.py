"""``python -m updater.contrib.django.runs --site DIR``: what a systemd service or the web process starts."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from updater.contrib.django.runs.folder import RunFolder
from updater.contrib.django.runs.supervisor import Supervisor
from updater.errors import UpdaterError
from updater.site import Site


def main(argv: list[str] | None = None) -> int:
    """Carry out what waits; returns the exit code of `updater` (docs/exit-codes.md)."""
    parser = argparse.ArgumentParser(
        prog="python -m updater.contrib.django.runs",
        description="Carry out the update that a person asked for in the admin. Does nothing when nobody did.",
    )
    parser.add_argument("--site", required=True, metavar="DIR", help="the folder that holds updater.toml")
    parser.add_argument("--folder", metavar="DIR", help="where requests and runs lie (default: SITE/.updater/web)")
    args = parser.parse_args(argv)
    site = Site(Path(args.site).absolute())
    folder = Path(args.folder).absolute() if args.folder else site.directory / "web"
    try:
        return Supervisor(site, RunFolder(folder)).run()
    except UpdaterError as error:
        print(f"error: {error}\nnext:  {error.hint}", file=sys.stderr)  # noqa: T201 - this is a command line
        return 1


if __name__ == "__main__":
    sys.exit(main())
