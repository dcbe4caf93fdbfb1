"""Just enough of a parser to see what a page would load, where it leads, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import PurePosixPath
from posixpath import normpath
from urllib.parse import unquote, urlsplit

VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "wbr", "line", "polyline", "rect"}


@dataclass
class Page(HTMLParser):
    """What stands in a page."""

    path: str
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    text: str = ""
    open: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, path: str, data: bytes) -> Page:
        page = cls(path)
        HTMLParser.__init__(page)
        page.feed(data.decode())
        page.close()
        if page.open:
            page.problems.append(f"never closed: {page.open}")
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.elements.append((tag, given))
        if tag not in VOID:
            self.open.append(tag)
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and given.get("rel") in ("stylesheet", "icon"):
            self.loads.append(given["href"])
        elif tag == "link" and given.get("rel") == "alternate":
            self.links.append(given["href"])
        for name in ("src", "srcset", "poster", "data", "action", "background"):
            if name in given:
                self.loads.append(given[name])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> does not fit at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        self.text += data

    def target(self, reference: str) -> str | None:
        """The file that a relative reference leads to; None for an absolute one."""
        parts = urlsplit(reference)
        if parts.scheme or parts.netloc:
            return None
        if not parts.path:
            return self.path
        joined = normpath(str(PurePosixPath(self.path).parent / unquote(parts.path)))
        return f"{joined}/index.html".removeprefix("./") if parts.path.endswith("/") else joined
