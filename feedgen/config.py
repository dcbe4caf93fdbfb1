"""Where ``feedgen.toml`` is, what it says, and the one that ``feedgen init`` writes (docs/formats.md section 6)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from feedgen.errors import ConfigError
from updater.schema import PUBLISHER_CONFIG_NAME, PublisherConfig

__all__ = ["Project", "default_keys_directory", "git_work_tree", "load_project", "project_folder", "template"]


@dataclass(frozen=True)
class Project:
    """An app's repository: the folder that holds ``feedgen.toml``, and what the file says."""

    folder: Path
    config: PublisherConfig

    @property
    def site(self) -> Path:
        """Where the static site is kept, unless a command is told otherwise."""
        return self.folder / self.config.site


def load_project(start: Path) -> Project:
    """Read the ``feedgen.toml`` of ``start`` or of the nearest folder above it.

    Raises ``ConfigError`` of this package when there is none, that of ``updater`` when it has mistakes.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        path = folder / PUBLISHER_CONFIG_NAME
        if path.is_file():
            return Project(folder, PublisherConfig.parse(_read(path), str(path)))
    raise ConfigError(
        f"There is no {PUBLISHER_CONFIG_NAME} in {start} or above it",
        hint="Go to your app's repository. If it does not publish with feedgen yet, run 'feedgen init' there.",
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text", hint="Save the file in UTF-8.") from error


def git_work_tree(path: Path) -> Path | None:
    """The git work tree that ``path`` (which need not exist) lies in, symbolic links followed; None outside."""
    resolved = path.resolve()
    return next((folder for folder in (resolved, *resolved.parents) if (folder / ".git").exists()), None)


def project_folder(start: Path) -> Path | None:
    """The folder to set up from ``start``: the nearest with a ``feedgen.toml``, else the git work tree; None outside.

    A component has its settings in a folder of its own, below that of the repository.
    """
    top = git_work_tree(start)
    if top is None:
        return None
    start = start.resolve()
    inside = [folder for folder in (start, *start.parents) if folder.is_relative_to(top)]
    return next((folder for folder in inside if (folder / PUBLISHER_CONFIG_NAME).is_file()), top)


def default_keys_directory(app: str, environ: Mapping[str, str], component: str = "core") -> Path:
    """``$XDG_CONFIG_HOME/tagship/<app>/keys``, by default below ``~/.config``; of others than the core, one deeper."""
    configured = environ.get("XDG_CONFIG_HOME", "")
    base = Path(configured) if Path(configured).is_absolute() else Path.home() / ".config"
    return base / "tagship" / app / ("" if component == "core" else component) / "keys"


def template(app: str, base_url: str, *, django: bool, root_sha256: str | None = None) -> str:
    """A commented ``feedgen.toml``: what must be said, and the rest as suggestions."""
    on = "" if django else "# "
    root = f"root_sha256 = {json.dumps(root_sha256)}\n" if root_sha256 else ""
    return f"""\
# How feedgen publishes this app. Commit this file. Every key is explained in docs/formats.md, section 6.
schema = "1.0"

[app]
name = {json.dumps(app)}
# tag_prefix = "v"              # tags are called v1.2.0; "" when they are called 1.2.0

[build]
# The package holds the files that git tracks at the tag. Globs choose among them.
# include = ["**"]
exclude = ["/tests/", "/.github/", "/.gitignore", "/{PUBLISHER_CONFIG_NAME}"]
# A command that runs in a clean checkout of the tag, and what it makes for the package:
# command = ["npm", "run", "build"]
# outputs = ["static/dist/**"]

[release]
# changelog = "CHANGELOG.md"    # the section of the tag becomes the release notes
# What a site runs after the new files are in place{_django_note(django)}:
{on}post_update_commands = ["migrate --noinput", "collectstatic --noinput"]
# What belongs to each site and is never replaced or deleted:
{on}preserve = ["/media/", "/db.sqlite3", "/db.sqlite3-*", "/.env"]
# What a site needs before it may install a release:
# python = ">=3.11"
# packages = ["django>=5.2"]
# from = "1.0.0"                # older sites must go through this version first
# notes_url = "https://acme.example/releases/{{version}}"

[publish]
base_url = {json.dumps(base_url)}
# The first root of the site; a site folder that begins with another one is refused, not signed:
{root}# site = ".feedgen/site"        # where the static site is kept until it is uploaded
# store_url = ""                # where packages are served, when that is not <base_url>packages/
# grace_days = 7                # superseded feed copies and metadata are kept this long
"""


def _django_note(django: bool) -> str:
    return " (manage.py was found: this is the usual for Django)" if django else ", for example for Django"
