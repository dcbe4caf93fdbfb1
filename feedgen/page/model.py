"""What the pages show, gathered from feeds and metadata: pure."""

from __future__ import annotations

import hashlib
import shlex
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import unquote, urlsplit, urlunsplit

from packaging.version import Version

from feedgen.page.adoption import History
from feedgen.page.settings import PageSettings
from feedgen.page.trust import Trust
from feedgen.publish.catalog import Catalog
from updater.schema import Feed, Release, channel_of

__all__ = [
    "Entry",
    "Mark",
    "Material",
    "absolute",
    "newest",
    "package_file",
    "short_digest",
    "signature_url",
]

_IDS = uuid.UUID("4ac5f1c6-5a3d-5d0e-9d5c-1f6d2a0f8f3b")


@dataclass(frozen=True)
class Mark:
    """Something that sets a release apart: the kind decides the colour, the words say it."""

    kind: str
    words: str


@dataclass(frozen=True)
class Entry:
    """A release on the pages: as the most settled feed that lists it describes it, and the feeds that do."""

    release: Release
    feeds: tuple[str, ...]

    @property
    def version(self) -> str:
        """The version, which also names the page."""
        return self.release.version

    @property
    def channel(self) -> str:
        """The channel it is offered in: the most settled of its feeds."""
        return self.feeds[0] if self.feeds else channel_of(self.version)

    @property
    def path(self) -> str:
        """The folder of its page."""
        return f"releases/{self.version}/"

    @property
    def offered(self) -> bool:
        """Whether a site may be led to it."""
        return self.release.yanked is None and not self.release.halted

    @property
    def updated(self) -> datetime:
        """When it last changed in a way that readers of an Atom feed should see."""
        yanked = self.release.yanked
        return max(self.release.published, yanked.at) if yanked and yanked.at else self.release.published

    @property
    def marks(self) -> tuple[Mark, ...]:
        """What a person must know before anything else, gravest first."""
        release = self.release
        said = (
            (release.yanked is not None, Mark("yanked", "Withdrawn")),
            (release.halted, Mark("halted", "Halted")),
            (release.critical, Mark("critical", "Critical")),
            (bool(release.security), Mark("security", "Security fix")),
            (release.stop, Mark("stop", "Required step")),
            (self.channel != "stable", Mark("channel", self.channel.capitalize())),
        )
        return tuple(mark for holds, mark in said if holds)


@dataclass(frozen=True)
class Material:
    """Everything that the pages are made from. ``catalog`` reads archive pages, when the feeds have some."""

    settings: PageSettings
    app: str
    component: str
    feeds: Mapping[str, Feed]
    trust: Trust
    minisign_public: str = ""
    history: History = field(default_factory=dict)
    catalog: Catalog | None = None

    @property
    def title(self) -> str:
        """What people call the app, or the component of it."""
        if self.settings.name or self.component == "core":
            return self.settings.name or self.app
        return f"{self.app} {self.component}"

    @property
    def minisign_key(self) -> str:
        """The key itself: the second line of ``minisign.pub``."""
        lines = self.minisign_public.splitlines()
        return lines[1].strip() if len(lines) > 1 else ""

    def identifier(self, *parts: str) -> str:
        """A URN that stays when the site moves to another address: it begins at the first root."""
        return uuid.uuid5(_IDS, "\0".join((self.trust.first_fingerprint, *parts))).urn


def newest(channel: str, listed: Sequence[Entry]) -> Entry | None:
    """The highest version that a channel offers; None while it offers nothing."""
    offered = [entry for entry in listed if channel in entry.feeds and entry.offered]
    return max(offered, key=lambda entry: Version(entry.version), default=None)


def package_file(material: Material, release: Release) -> str:
    """The file name of a download, quoted for a shell where it has to be."""
    name = unquote(urlsplit(release.package.urls[0]).path).rpartition("/")[2]
    part = "" if material.component == "core" else f"-{material.component}"
    return shlex.quote(name if name.endswith(".zip") else f"{material.app}{part}-{release.version}.zip")


def signature_url(url: str) -> str:
    """Where the minisign signature of a package lies: beside it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path}.minisig"))


def absolute(reference: str, base: str) -> str:
    """A package's URL seen from a page: ``base`` leads to the top of the site."""
    return reference if urlsplit(reference).scheme else base + reference


def short_digest(data: bytes) -> str:
    """For names of files whose content decides the name."""
    return hashlib.sha256(data).hexdigest()[:12]
