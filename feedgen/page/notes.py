"""Release notes as HTML that is safe to show: markdown in, a short list of harmless elements out.

Two independent walls: the renderer does not pass raw HTML, and what it writes is cleaned by a list of what may stay.
"""

from __future__ import annotations

from functools import lru_cache

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

__all__ = ["MOST_CHARACTERS", "first_words", "notes_html"]

MOST_CHARACTERS = 100_000
"""Longer notes are cut: a page is no place for them, and rendering has to end."""

FIRST_HEADING = 3
"""Notes stand below a heading of the second level, everywhere."""

_TAGS = set(
    "a blockquote br code del em h3 h4 h5 h6 hr li ol p pre s strong table tbody td th thead tr ul".split()  # noqa: SIM905
)
_SCHEMES = {"https", "http", "mailto"}


@lru_cache(maxsize=512)  # the same notes stand on the release's page, in the changelog and in the Atom feeds
def notes_html(markdown: str) -> str:
    """Notes as HTML. Images become links, because a page asks nobody else for anything; headings are fitted in."""
    tokens = _renderer().parse(_cut(markdown))
    _fit_headings(tokens)
    for token in tokens:
        if token.children:
            token.children = _only_text(token.children)
    html = _renderer().renderer.render(tokens, _renderer().options, {})
    return nh3.clean(
        html,
        tags=_TAGS,
        attributes={"a": {"href"}, "ol": {"start"}},
        attribute_filter=_absolute_links,
        url_schemes=_SCHEMES,
        link_rel="noopener noreferrer nofollow",
    ).strip()


def first_words(markdown: str, limit: int = 160) -> str:
    """The beginning of the notes as plain text, for a one-line description."""
    words: list[str] = []
    before = ""
    for token in _renderer().parse(markdown[: limit * 8]):
        if token.type == "inline" and before != "heading_open":
            words += [child.content for child in token.children or () if child.type in ("text", "code_inline")]
        before = token.type
        if sum(map(len, words)) > limit:
            break
    text = " ".join(" ".join(words).split())
    return text if len(text) <= limit else text[:limit].rsplit(" ", 1)[0].rstrip(" .,;:") + " …"


@lru_cache(maxsize=1)
def _renderer() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def _cut(markdown: str) -> str:
    if len(markdown) <= MOST_CHARACTERS:
        return markdown
    return markdown[:MOST_CHARACTERS].rsplit("\n", 1)[0] + "\n\n(These notes are longer; the feed holds all of them.)"


def _fit_headings(tokens: list[Token]) -> None:
    """Number headings from ``FIRST_HEADING`` on without gaps, whatever level the author began with."""
    used = sorted({token.tag for token in tokens if token.type == "heading_open"})
    before = FIRST_HEADING - 1
    for token in tokens:
        if token.type == "heading_open":
            before = min(FIRST_HEADING + used.index(token.tag), before + 1, 6)
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{before}"


def _only_text(children: list[Token]) -> list[Token]:
    """The tokens with images as links to them, and without links that show nothing."""
    result: list[Token] = []
    depth = 0
    for token in children:
        if token.type == "link_open":
            depth += 1
        elif token.type == "link_close":
            depth -= 1
            if result[-1].type == "link_open":
                result.append(_text(str(result[-1].attrs.get("href", "")) or "link"))
        if token.type != "image":
            result.append(token)
        elif depth:
            result.append(_text(token.content or "image"))
        else:
            opening = Token("link_open", "a", 1, attrs={"href": token.attrs.get("src", "")})
            result += [opening, _text(token.content or "image"), Token("link_close", "a", -1)]
    return result


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)


def _absolute_links(element: str, attribute: str, value: str) -> str | None:
    """Links that do not name their place would lead to somewhere else on every page that shows the notes."""
    if (element, attribute) == ("a", "href") and value.partition(":")[0].lower() not in _SCHEMES:
        return None
    return value
