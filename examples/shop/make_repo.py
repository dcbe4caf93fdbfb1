#!/usr/bin/env python3
"""Make a git repository of the example shop: one commit and one annotated tag for each version.

Author, dates and contents are fixed, so the same files always give the same commit ids, whoever runs this and however
their git is configured.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

VERSIONS_DIR = Path(__file__).resolve().parent / "versions"
RELEASES = {
    "1.0.0": ("2026-01-12T09:00:00+00:00", "A small shop"),
    "1.1.0": ("2026-02-16T09:00:00+00:00", "Discount codes, order references and prices in cents"),
    "1.2.0": ("2026-03-23T09:00:00+00:00", "Warehouses"),
}
AUTHOR = ("Juniper Goods", "shop@juniper-goods.example")
SITE_FILES = shutil.ignore_patterns("__pycache__", "*.pyc", "db.sqlite3*", "secret_key.txt", "media", "staticfiles")


class RepoError(Exception):
    """The repository could not be made; the message is one line for people."""


def make_repo(directory: Path, upto: str = "1.2.0") -> None:
    """Create the repository in `directory`, which must be new or empty, with all versions up to `upto`."""
    directory = Path(directory)
    if upto not in RELEASES:
        raise RepoError(f"there is no version {upto}; choose one of {', '.join(RELEASES)}")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise RepoError(f"{directory} is not empty")
        _git(directory, "init", "--quiet", "--template=", "--object-format=sha1", "--initial-branch=main")
        for version in list(RELEASES)[: list(RELEASES).index(upto) + 1]:
            _lay(directory, version)
            _commit(directory, version)
    except OSError as error:
        raise RepoError(f"{error.filename or directory}: {error.strerror or error}") from error


def _lay(directory: Path, version: str) -> None:
    """Put the version's files over the previous version's and remove what it deletes."""
    shutil.copytree(
        VERSIONS_DIR / version, directory, dirs_exist_ok=True, ignore=SITE_FILES, copy_function=shutil.copyfile
    )
    (directory / "manage.py").chmod(0o755)
    deleted = VERSIONS_DIR / f"{version}.deleted"
    if deleted.exists():
        for line in deleted.read_text(encoding="utf-8").split():
            (directory / line).unlink()


def _commit(directory: Path, version: str) -> None:
    date, subject = RELEASES[version]
    _git(directory, "add", "--all")
    _git(directory, "add", "--chmod=+x", "manage.py")
    _git(directory, "commit", "--quiet", f"--message={subject}", date=date)
    _git(directory, "tag", "--annotate", f"--message={version}: {subject}", f"v{version}", date=date)


def _git(directory: Path, *arguments: str, date: str = "") -> None:
    """Run git deaf to everything but this repository: no user or system settings, hooks, signing or GIT_*."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    for role in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{role}_NAME": AUTHOR[0], f"GIT_{role}_EMAIL": AUTHOR[1], f"GIT_{role}_DATE": date}
    settings = ("core.autocrlf=false", "core.fileMode=false", "core.excludesFile=", "core.attributesFile=")
    command = ["git", *(part for setting in settings for part in ("-c", setting)), *arguments]
    try:
        subprocess.run(command, cwd=directory, env=environment, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise RepoError("git is not installed, or not on the PATH") from error
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip() or f"exit status {error.returncode}").splitlines()[0]
        raise RepoError(f"git {arguments[0]} failed: {reason}") from error


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("directory", metavar="DIR", type=Path, help="a new or empty directory")
    parser.add_argument("--upto", metavar="VERSION", default="1.2.0", choices=RELEASES, help="the last version")
    options = parser.parse_args(arguments)
    try:
        make_repo(options.directory, options.upto)
    except RepoError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
