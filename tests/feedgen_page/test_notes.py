"""Notes are shown, and nothing in them acts."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedgen.page.notes import MOST_CHARACTERS, first_words, notes_html

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<style>body{display:none}</style>",
    "<iframe src=https://evil.example></iframe>",
    "<a href='javascript:alert(1)' style='color:red' id=main onclick=x>x</a>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:x)",
    "![x](javascript:alert(1))",
    '![x](https://evil.example/p.png "onerror=alert(1)")',
    "[x]: javascript:alert(1)\n\n[x]",
    "<javascript:alert(1)>",
    '[x](https://a.example/"onmouseover="alert(1))',
    '```"><script>alert(1)</script>\n</code></pre><script>alert(1)</script>\n```',
    "| <script>x</script> |\n|---|\n| <img src=x> |",
    "</div></main><form action=https://evil.example><input name=q>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<base href=https://evil.example/>",
]
ALLOWED = re.compile(
    r"<(/?(?:a|blockquote|br|code|del|em|h[3-6]|hr|li|ol|p|pre|s|strong|table|tbody|td|th|thead|tr|ul))"
    r'((?: (?:href="(?:https?|mailto):[^"<>]*"|rel="noopener noreferrer nofollow"|start="\d+"))*)>'
)


def is_harmless(html: str) -> bool:
    """Every element is on the list, with no attribute but the address of a link and the start of a list."""
    return "<" not in ALLOWED.sub("", html)


@pytest.mark.parametrize("markdown", HOSTILE)
def test_hostile_notes_cannot_inject(markdown: str) -> None:
    html = notes_html(markdown)
    assert is_harmless(html), html
    assert is_harmless(notes_html(f"- {markdown}\n\n> {markdown}\n")), html


@given(st.lists(st.sampled_from([*HOSTILE, "\n\n", "> ", "- ", "`", "**", "[", "](", ")", "<", '"', "# "]), max_size=8))
def test_no_mixture_injects(parts: list[str]) -> None:
    assert is_harmless(notes_html("".join(parts)))


@given(st.text(max_size=300))
def test_any_text_is_harmless(text: str) -> None:
    assert is_harmless(notes_html(text))
    assert len(first_words(text)) <= 163


def test_markdown_is_rendered() -> None:
    html = notes_html(
        "### Added\n\n- **Coupons**, see [the guide](https://acme.example/guide)\n\n| a |\n|---|\n| b |\n"
    )
    assert "<h3>Added</h3>" in html
    assert "<strong>Coupons</strong>" in html
    assert '<a href="https://acme.example/guide" rel="noopener noreferrer nofollow">the guide</a>' in html
    assert "<td>b</td>" in html


@pytest.mark.parametrize(
    ("markdown", "levels"),
    [("# A\n\n## B\n\n# C", "343"), ("### A\n\n###### B", "34"), ("#### A", "3"), ("## A\n\n# B\n\n### C", "334")],
)
def test_headings_fit_below_the_pages(markdown: str, levels: str) -> None:
    """Below a heading of the second level, and without a gap going down."""
    assert "".join(re.findall(r"<h(\d)>", notes_html(markdown))) == levels


def test_images_become_links() -> None:
    html = notes_html("![A screen](https://a.example/x.png) [![Build](https://b.example/b.svg)](https://c.example)")
    assert "<img" not in html
    assert ">A screen</a>" in html
    assert 'href="https://c.example"' in html
    assert "b.example" not in html


def test_links_without_a_place_lead_nowhere() -> None:
    assert "href" not in notes_html("[x](guide.md) [y](/etc) [z](//evil.example)")


def test_links_without_text_show_their_address() -> None:
    assert ">https://a.example<" in notes_html("[](https://a.example)")


def test_endless_notes_are_cut() -> None:
    html = notes_html("word\n" * MOST_CHARACTERS)
    assert "These notes are longer" in html
    assert len(html) < 2 * MOST_CHARACTERS


def test_deep_nesting_ends() -> None:
    assert is_harmless(notes_html("> " * 5000 + "x"))
    assert is_harmless(notes_html("[" * 20000 + "x"))


def test_first_words() -> None:
    assert first_words("### Added\n\n- Coupons\n- Prices in `cents`") == "Coupons Prices in cents"
    assert first_words("word " * 100).endswith("word …")
    assert first_words("") == ""
