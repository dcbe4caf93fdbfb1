"""``version.json``: what an installed tree says of itself (docs/formats.md section 5). Standard library only."""

from __future__ import annotations

import re
from dataclasses import field
from datetime import datetime

from updater.frozen import frozen
from updater.schema.document import Extra, Reader, dump_json, format_time, parse_json
from updater.schema.text import CHANNELS, check_name, check_version

__all__ = ["VERSION_FILE_NAME", "VersionFile"]

VERSION_FILE_NAME = "version.json"
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def _check_commit(text: str) -> None:
    if not _COMMIT.fullmatch(text):
        raise ValueError("must be a git commit: 40 or 64 lower-case hex digits")


@frozen
class VersionFile:
    """The identity of an installed tree. ``commit`` is None when it was not built from git."""

    app: str
    version: str
    channel: str
    date: datetime
    component: str = "core"
    commit: str | None = None
    schema: str = "1.0"
    extra: Extra = field(default_factory=dict, hash=False)

    @classmethod
    def parse(cls, data: bytes, document: str = VERSION_FILE_NAME) -> VersionFile:
        """Read and check it. Raises SchemaError."""
        reader = Reader(parse_json(data, document), document)
        found = cls(
            schema=reader.schema(),
            app=reader.text("app", check=check_name),
            component=reader.text("component", default="core", check=check_name),
            version=reader.text("version", check=check_version),
            channel=reader.choice("channel", CHANNELS),
            commit=reader.optional_text("commit", check=_check_commit),
            date=reader.time("date"),
            extra=reader.extra(),
        )
        reader.finish()
        return found

    def to_bytes(self) -> bytes:
        """The document as bytes."""
        return dump_json(
            {
                "schema": self.schema,
                "app": self.app,
                "component": self.component,
                "version": self.version,
                "channel": self.channel,
                "commit": self.commit,
                "date": format_time(self.date),
                **self.extra,
            }
        )
