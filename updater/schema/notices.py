"""What a maintainer has to say about versions that are out already: advisories, and when support ends (docs/formats.md
section 2.2). Standard library only."""

from __future__ import annotations

import re
from dataclasses import field
from datetime import datetime
from typing import Any, Literal, cast

from updater.frozen import frozen
from updater.schema.document import Extra, Reader, format_time
from updater.schema.text import check_id, check_line, check_url_reference

__all__ = [
    "SEVERITIES",
    "Advisory",
    "EndOfLife",
    "Severity",
    "check_affected",
    "read_advisories",
    "read_ends",
]

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")
_PART = re.compile(r"\s*(~=|==|!=|<=|>=|<|>)\s*[0-9][0-9A-Za-z.*]*\s*")
_MOST = 200
"""Entries of each kind."""

_LONGEST = 200
"""Characters of a comparison."""


@frozen
class Advisory:
    """Versions that should not run. ``affected``: a PEP 440 specifier. ``workaround``: what helps without an update."""

    id: str
    severity: Severity
    affected: str
    title: str
    published: datetime
    workaround: str = ""
    url: str | None = None
    extra: Extra = field(default_factory=dict, hash=False)

    def to_json(self) -> dict[str, Any]:
        """As it stands in the feed."""
        optional = {"workaround": self.workaround, "url": self.url}
        return {
            "id": self.id,
            "severity": self.severity,
            "affected": self.affected,
            "title": self.title,
            "published": format_time(self.published),
            **{key: value for key, value in optional.items() if value},
            **self.extra,
        }


@frozen
class EndOfLife:
    """From ``at`` on, ``affected`` versions (a PEP 440 specifier) get no more fixes."""

    affected: str
    at: datetime
    message: str = ""
    extra: Extra = field(default_factory=dict, hash=False)

    def to_json(self) -> dict[str, Any]:
        """As it stands in the feed."""
        said = {"message": self.message} if self.message else {}
        return {"affected": self.affected, "at": format_time(self.at), **said, **self.extra}


def read_advisories(reader: Reader) -> tuple[Advisory, ...]:
    """The ``advisories`` of a feed; each id once."""
    found = tuple(
        Advisory(
            id=child.text("id", check=check_id),
            severity=cast(Severity, child.choice("severity", SEVERITIES)),
            affected=child.text("affected", check=check_affected),
            title=child.text("title", check=check_line),
            published=child.time("published"),
            workaround=child.text("workaround", default="", empty=True),
            url=child.optional_text("url", check=check_url_reference),
            extra=child.extra(),
        )
        for child in reader.children("advisories")
    )
    if len({advisory.id for advisory in found}) < len(found):
        reader.problem("advisories", "list an id twice")
    if len(found) > _MOST:
        reader.problem("advisories", f"are {len(found)}; at most {_MOST} are read")
    return found


def read_ends(reader: Reader) -> tuple[EndOfLife, ...]:
    """The ``end_of_life`` of a feed."""
    found = tuple(
        EndOfLife(
            affected=child.text("affected", check=check_affected),
            at=child.time("at"),
            message=child.text("message", default="", check=check_line, empty=True),
            extra=child.extra(),
        )
        for child in reader.children("end_of_life")
    )
    if len(found) > _MOST:
        reader.problem("end_of_life", f"has {len(found)} entries; at most {_MOST} are read")
    return found


def check_affected(text: str) -> None:
    """Raise ValueError unless ``text`` compares versions."""
    if len(text) > _LONGEST or not all(_PART.fullmatch(part) for part in text.split(",")):
        raise ValueError('must compare versions, such as ">=1.2,<1.4.3"')
