"""Release notes as HTML that is safe to show: markdown in, a short list of harmless elements out.

Two independent walls: the renderer does not pass raw HTML, and what it writes is cleaned by a list of what may stay.
"""

from __future__ import annotations

from functools import lru_cache

from django.utils.safestring import SafeString, mark_safe

__all__ = ["notes_html"]

_TAGS = set(
    "a blockquote br code del em h3 h4 h5 h6 hr li ol p pre s strong table tbody td th thead tr ul".split()  # noqa: SIM905
)
_SCHEMES = {"https", "http", "mailto"}
_MOST = 50_000
_FIRST_HEADING = 3


@lru_cache(maxsize=128)
def notes_html(markdown: str) -> SafeString:
    """Notes as HTML. Pictures are left out, because a page asks nobody else for anything; headings are fitted in."""
    import nh3
    from markdown_it import MarkdownIt

    renderer = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    tokens = renderer.parse(markdown[:_MOST])
    used = sorted({token.tag for token in tokens if token.type == "heading_open"})
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(_FIRST_HEADING + used.index(token.tag), 6)}"
    html = renderer.renderer.render(tokens, renderer.options, {})
    cleaned = nh3.clean(
        html,
        tags=_TAGS,
        attributes={"a": {"href"}, "ol": {"start"}},
        attribute_filter=_absolute_links,
        url_schemes=_SCHEMES,
        link_rel="noopener noreferrer nofollow",
    )
    return mark_safe(cleaned.strip())  # noqa: S308 - cleaned by nh3 just above


def _absolute_links(element: str, attribute: str, value: str) -> str | None:
    """Links that do not name their place would lead to somewhere else in the admin."""
    if (element, attribute) == ("a", "href") and value.partition(":")[0].lower() not in _SCHEMES:
        return None
    return value
