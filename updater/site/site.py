"""A site: one install of an app, its settings and its state directory (docs/formats.md section 9)."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Literal, cast

from updater.errors import ConfigError, SchemaError, StateError
from updater.frozen import frozen
from updater.schema.assembly import Parts, take_apart
from updater.schema.document import Reader, dump_json
from updater.schema.layers import Settings, variables
from updater.schema.manifest import Manifest
from updater.schema.site_config import CONFIG_NAME, SECTIONS, SiteConfig
from updater.schema.text import check_name, check_version
from updater.site.files import write_atomic
from updater.site.looking import real_path
from updater.site.reading import MOST_MANIFEST, read_file, read_json

__all__ = ["Layout", "Site", "SiteState", "find_site"]

Layout = Literal["in-place", "slots"]
_STATE_FORMAT = 1
_LARGEST_CONFIG = 2**20  # bytes

ORGANISATION = Path("/etc/tagship/updater.toml")
"""Settings of whoever administers the machine: they win over every site's own."""

ORGANISATION_VARIABLE = "UPDATER_ORGANISATION_FILE"
"""Names one more such file; that of the machine wins over it."""


@frozen
class SiteState:
    """``site.json``: what this site is. ``version`` is None before the first install has been committed."""

    app: str
    component: str
    layout: Layout
    site_id: str
    version: str | None = None

    @classmethod
    def new(cls, app: str, component: str, layout: Layout) -> SiteState:
        """The state of a site to be; the random id decides its cohort in rollouts."""
        return cls(app, component, layout, secrets.token_hex(16))

    def with_version(self, version: str | None) -> SiteState:
        """The same site at another version."""
        return replace(self, version=version)

    def to_bytes(self) -> bytes:
        """The document."""
        return dump_json({"format": _STATE_FORMAT, **self.__dict__})


@frozen
class Site:
    """Where everything of a site lies. Paths only: opening one reads nothing. ``environ`` may override settings."""

    path: Path
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, compare=False, repr=False)

    @property
    def config_path(self) -> Path:
        return self.path / CONFIG_NAME

    @property
    def directory(self) -> Path:
        """The state directory."""
        return self.path / ".updater"

    @property
    def state_path(self) -> Path:
        return self.directory / "site.json"

    @property
    def manifest_path(self) -> Path:
        return self.directory / "manifest.json"

    @property
    def trust(self) -> Path:
        return self.directory / "trust"

    @property
    def downloads(self) -> Path:
        return self.directory / "downloads"

    @property
    def staging(self) -> Path:
        return self.directory / "staging"

    @property
    def backups(self) -> Path:
        return self.directory / "backups"

    @property
    def journal_path(self) -> Path:
        return self.directory / "journal"

    @property
    def lock_path(self) -> Path:
        return self.directory / "lock"

    @property
    def status_path(self) -> Path:
        return self.directory / "status.json"

    @property
    def history_path(self) -> Path:
        return self.directory / "history.jsonl"

    @property
    def failed_path(self) -> Path:
        return self.directory / "failed.json"

    @property
    def probation_path(self) -> Path:
        return self.directory / "probation.json"

    @property
    def license_path(self) -> Path:
        return self.directory / "license.json"

    @property
    def adoption_path(self) -> Path:
        return self.directory / "adoption.json"

    @property
    def components(self) -> Path:
        """What the updater keeps of components besides the core. Not there on a site that never had any."""
        return self.directory / "components"

    def component(self, name: str) -> Path:
        """Of one of them: its trust, its feed's sequence, its downloads."""
        return self.components / name

    @property
    def documents(self) -> tuple[Path, ...]:
        """The small files that are replaced as a whole while an update runs."""
        return (self.journal_path, self.manifest_path, self.state_path, self.failed_path, self.probation_path)

    @property
    def ballast(self) -> Path:
        """Space that is given up when an update has to be undone."""
        return self.directory / "ballast"

    @property
    def bin(self) -> Path:
        return self.directory / "bin"

    @property
    def releases(self) -> Path:
        """Slots layout: one directory for each installed release."""
        return self.path / "releases"

    @property
    def shared(self) -> Path:
        """Slots layout: the site's own data."""
        return self.path / "shared"

    @property
    def current(self) -> Path:
        """Slots layout: the symlink to the slot in use."""
        return self.path / "current"

    @property
    def exists(self) -> bool:
        """Whether this directory is a site."""
        return self.state_path.is_file()

    def config(self) -> SiteConfig:
        """The owner's settings, as far as nothing above them decides. Raises ConfigError."""
        return SiteConfig.of(self.settings(), str(self.config_path))

    def settings(self) -> Settings:
        """All that is set, by the owner and above. Raises ConfigError when something cannot be read."""
        try:
            text = read_file(self.config_path, most=_LARGEST_CONFIG).decode("utf-8")
        except FileNotFoundError:
            raise ConfigError(
                f"{self.config_path} does not exist.",
                hint="Give the site's directory with --site DIR, or make a site with `updater install FEED_URL DIR`.",
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{self.config_path} cannot be read: {error}",
                hint="It must be a UTF-8 text file that this user may read.",
            ) from error
        named = self.environ.get(ORGANISATION_VARIABLE)
        files = [*([Path(named)] if named else []), *([ORGANISATION] if ORGANISATION.exists() else [])]
        organisation = tuple((str(path), _organisation(path)) for path in files)
        return Settings(text, variables(self.environ, SECTIONS), organisation)

    def state(self) -> SiteState:
        """What this site is. Raises StateError."""
        try:
            found = read_json(self.state_path)
            if found["format"] != _STATE_FORMAT:
                raise StateError(
                    f"{self.state_path} has format {found['format']}, this updater knows {_STATE_FORMAT}.",
                    hint="Update Tagship (pip install --upgrade tagship).",
                )
            reader = Reader(found, str(self.state_path))
            state = SiteState(
                app=reader.text("app", check=check_name),
                component=reader.text("component", check=check_name),
                layout=cast(Layout, reader.choice("layout", ("in-place", "slots"))),
                site_id=reader.text("site_id", check=_check_site_id),
                version=reader.optional_text("version", check=check_version),
            )
            reader.finish()
            return state
        except FileNotFoundError:
            raise StateError(
                f"{self.path} is not a site: it has no {self.state_path.relative_to(self.path)}.",
                hint="Make one with `updater install FEED_URL DIR`.",
            ) from None
        except (OSError, ValueError, KeyError, TypeError, SchemaError) as error:
            raise StateError(
                f"{self.state_path} cannot be read: {error}",
                hint="Restore the file from a backup of the site, or install the app anew beside it.",
            ) from error

    def write_state(self, state: SiteState) -> None:
        """Replace ``site.json`` durably."""
        write_atomic(self.state_path, state.to_bytes())

    def manifest(self) -> Manifest | None:
        """The installed release's manifest, or None before the first install. Raises StateError."""
        data = self.manifest_bytes()
        try:
            return None if data is None else Manifest.parse(data, str(self.manifest_path))
        except SchemaError as error:
            raise StateError(
                f"The record of the installed release is damaged. {error}",
                hint="Restore the file from a backup of the site, or install the app anew beside it.",
            ) from error

    def parts(self) -> Parts | None:
        """What is installed of each component, or None before the first install. Raises StateError."""
        manifest = self.manifest()
        return None if manifest is None else self.take_apart(manifest)

    def take_apart(self, manifest: Manifest) -> Parts:
        """The components of one that is, or was, this site's. Raises StateError."""
        try:
            return take_apart(manifest)
        except SchemaError as error:
            raise StateError(
                f"What is installed of which component cannot be told. {error}",
                hint="Restore .updater/manifest.json from a backup of the site, or install the app anew beside it.",
            ) from error

    def manifest_bytes(self) -> bytes | None:
        """The installed manifest byte for byte, or None before the first install."""
        try:
            return read_file(self.manifest_path, most=MOST_MANIFEST)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateError(
                f"{self.manifest_path} cannot be read: {error.strerror}",
                hint="Run the command as the user who owns the site.",
            ) from error

    def tree(self, layout: Layout) -> Path:
        """The directory that holds the running release: the site itself, or the real path of its current slot."""
        if layout == "in-place":
            return self.path
        return real_path(self.current)


def _organisation(path: Path) -> str:
    """What the organisation says. That it cannot be read lets nothing through."""
    try:
        return read_file(path, most=_LARGEST_CONFIG).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"The organisation's settings in {path} cannot be read: {error}",
            hint="Ask whoever administers this machine; without them nothing is decided.",
        ) from error


def _check_site_id(text: str) -> None:
    if len(text) > 64 or not text.isascii() or not text.isalnum():
        raise ValueError("must be at most 64 letters and digits")


def find_site(start: Path) -> Site:
    """The nearest site at or above ``start``. Raises ConfigError when there is none."""
    start = start.resolve()
    for directory in (start, *start.parents):
        if (directory / CONFIG_NAME).is_file():
            return Site(directory)
    raise ConfigError(
        f"No {CONFIG_NAME} in {start} or any folder above it.",
        hint="Change into a site, name one with --site DIR, or make one with `updater install FEED_URL DIR`.",
    )
