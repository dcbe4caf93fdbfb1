"""``page.json``: what the pages need to know and no feed says. It lies in the site, so that every change can render."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from updater.schema import dump_json, parse_json
from updater.schema.document import Reader
from updater.schema.text import check_url_reference

__all__ = ["PAGE_FILE", "PageSettings"]

PAGE_FILE = "page.json"


def _check_link(text: str) -> None:
    check_url_reference(text)
    if not urlsplit(text).hostname:
        raise ValueError("must be an https URL")


def _check_contact(text: str) -> None:
    if not re.fullmatch(r"mailto:[^\s\x00-\x1f\x7f<>\"]+@[^\s\x00-\x1f\x7f<>\"]+", text):
        _check_link(text)


def _unless_empty(check: Callable[[str], None]) -> Callable[[str], None]:
    return lambda text: check(text) if text else None


def _check_base(text: str) -> None:
    _check_link(text)
    if not text.endswith("/"):
        raise ValueError("must end in '/'")


@dataclass(frozen=True)
class PageSettings:
    """Where the site is served, and what the maintainer says about the app. Only ``base_url`` is needed."""

    base_url: str
    name: str = ""
    description: str = ""
    homepage: str = ""
    security_contact: str = ""
    enabled: bool = True

    @classmethod
    def parse(cls, data: bytes) -> PageSettings:
        """Read and check the file. Raises ``SchemaError`` with every problem."""
        reader = Reader(parse_json(data, PAGE_FILE), PAGE_FILE)
        reader.schema(default="1.0")
        settings = cls(
            base_url=reader.text("base_url", check=_check_base),
            name=reader.text("name", default="", empty=True),
            description=reader.text("description", default="", empty=True),
            homepage=reader.text("homepage", default="", empty=True, check=_unless_empty(_check_link)),
            security_contact=reader.text(
                "security_contact", default="", empty=True, check=_unless_empty(_check_contact)
            ),
            enabled=reader.flag("enabled", default=True),
        )
        reader.finish()
        return settings

    def to_bytes(self) -> bytes:
        """The file; what says nothing is left out."""
        said = {
            "schema": "1.0",
            "base_url": self.base_url,
            "name": self.name,
            "description": self.description,
            "homepage": self.homepage,
            "security_contact": self.security_contact,
        }
        document: dict[str, object] = {key: value for key, value in said.items() if value}
        return dump_json(document if self.enabled else {**document, "enabled": False}, indent=1)
