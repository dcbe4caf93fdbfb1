"""The feed: which releases a channel has (docs/formats.md section 2). Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from datetime import datetime
from typing import Any

from updater.frozen import frozen
from updater.schema.document import Extra, Reader, dump_json, format_time, parse_json
from updater.schema.licenses import Licensing, read_licensing
from updater.schema.notices import Advisory, EndOfLife, read_advisories, read_ends
from updater.schema.release import (
    MAX_COHORT,
    Delta,
    Migrations,
    Notes,
    Package,
    PackageIndex,
    Release,
    Requires,
    Rollout,
    RolloutStep,
    Yank,
    read_releases,
)
from updater.schema.text import CHANNELS, check_digest, check_name, check_url_reference, check_version

__all__ = [
    "LARGEST_PAGE",
    "MAX_COHORT",
    "Advisory",
    "ArchiveLink",
    "ArchivePage",
    "Delta",
    "EndOfLife",
    "Feed",
    "Migrations",
    "Notes",
    "Package",
    "PackageIndex",
    "Release",
    "Requires",
    "Rollout",
    "RolloutStep",
    "Yank",
]

LARGEST_PAGE = 1 << 24
"""Bytes of an archive page."""

_MOST_LINKS = 1000
_MOST_ON_A_PAGE = 1000


@frozen
class ArchiveLink:
    """Where older releases of a feed are: a page of ``count`` releases, whose versions lie from ``oldest`` to
    ``newest``. ``size`` in bytes; ``url`` absolute or relative to the feed's."""

    url: str
    size: int
    sha256: str
    newest: str
    oldest: str
    count: int
    extra: Extra = field(default_factory=dict, hash=False)

    def to_json(self) -> dict[str, Any]:
        """The link as it stands in the feed."""
        return {
            "url": self.url,
            "size": self.size,
            "sha256": self.sha256,
            "newest": self.newest,
            "oldest": self.oldest,
            "count": self.count,
            **self.extra,
        }


@frozen
class ArchivePage:
    """Older releases of one channel, newest version first."""

    app: str
    channel: str
    releases: tuple[Release, ...]
    component: str = "core"
    schema: str = "1.0"
    extra: Extra = field(default_factory=dict, hash=False)

    @classmethod
    def parse(cls, data: bytes, document: str = "archive page") -> ArchivePage:
        """Read and check a page. Raises SchemaError (UnsupportedSchemaError for a newer major)."""
        reader = Reader(parse_json(data, document), document)
        page = cls(
            schema=reader.schema(),
            app=reader.text("app", check=check_name),
            component=reader.text("component", default="core", check=check_name),
            channel=reader.choice("channel", CHANNELS),
            releases=read_releases(reader),
            extra=reader.extra(),
        )
        reader.finish()
        return page

    def to_bytes(self) -> bytes:
        """The document as bytes: the same page gives the same bytes."""
        return dump_json(
            {
                "schema": self.schema,
                "app": self.app,
                "component": self.component,
                "channel": self.channel,
                "releases": [release.to_json() for release in self.releases],
                **self.extra,
            },
            indent=1,
        )


@frozen
class Feed:
    """The releases of one channel, newest version first; of many, the older ones are on archive pages."""

    app: str
    channel: str
    sequence: int
    generated: datetime
    releases: tuple[Release, ...]
    archive: tuple[ArchiveLink, ...] = ()
    component: str = "core"
    advisories: tuple[Advisory, ...] = ()
    end_of_life: tuple[EndOfLife, ...] = ()
    licensing: Licensing | None = None
    schema: str = "1.0"
    extra: Extra = field(default_factory=dict, hash=False)

    @classmethod
    def parse(cls, data: bytes, document: str = "feed") -> Feed:
        """Read and check a feed. Raises SchemaError (UnsupportedSchemaError for a newer major)."""
        reader = Reader(parse_json(data, document), document)
        feed = cls(
            schema=reader.schema(),
            app=reader.text("app", check=check_name),
            component=reader.text("component", default="core", check=check_name),
            channel=reader.choice("channel", CHANNELS),
            sequence=reader.integer("sequence", minimum=1),
            generated=reader.time("generated"),
            releases=read_releases(reader),
            archive=_read_links(reader),
            advisories=read_advisories(reader),
            end_of_life=read_ends(reader),
            licensing=read_licensing(reader),
            extra=reader.extra(),
        )
        reader.finish()
        return feed

    def to_bytes(self) -> bytes:
        """The document as bytes: the same feed gives the same bytes."""
        return dump_json(
            {
                "schema": self.schema,
                "app": self.app,
                "component": self.component,
                "channel": self.channel,
                "sequence": self.sequence,
                "generated": format_time(self.generated),
                "releases": [release.to_json() for release in self.releases],
                **_listed("advisories", self.advisories),
                **_listed("end_of_life", self.end_of_life),
                **({} if self.licensing is None else {"licensing": self.licensing.to_json()}),
                **_listed("archive", self.archive),
                **self.extra,
            },
            indent=1,
        )

    def release(self, version: str) -> Release | None:
        """The release of that version, if the feed itself has it."""
        return next((release for release in self.releases if release.version == version), None)


def _listed(name: str, items: Sequence[Advisory | EndOfLife | ArchiveLink]) -> dict[str, Any]:
    return {name: [item.to_json() for item in items]} if items else {}


def _read_links(reader: Reader) -> tuple[ArchiveLink, ...]:
    links = tuple(
        ArchiveLink(
            url=child.text("url", check=check_url_reference),
            size=child.integer("size", minimum=1, maximum=LARGEST_PAGE),
            sha256=child.text("sha256", check=check_digest),
            newest=child.text("newest", check=check_version),
            oldest=child.text("oldest", check=check_version),
            count=child.integer("count", minimum=1, maximum=_MOST_ON_A_PAGE),
            extra=child.extra(),
        )
        for child in reader.children("archive")
    )
    if len(links) > _MOST_LINKS:
        reader.problem("archive", f"has {len(links)} links; at most {_MOST_LINKS} are read")
    return links
