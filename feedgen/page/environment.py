"""How values become text in the templates: escaping, dates, sizes."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from feedgen.page.notes import first_words, notes_html

__all__ = ["clean", "environment"]

_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]")
"""Control characters, which XML forbids, and overrides of the writing direction, which make text lie."""

_LANGUAGE = re.compile("[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")
_NAMES = {
    "cs": "Čeština",
    "de": "Deutsch",
    "es": "Español",
    "fr": "Français",
    "it": "Italiano",
    "ja": "日本語",
    "nl": "Nederlands",
    "pl": "Polski",
    "pt": "Português",
    "pt-BR": "Português (Brasil)",
    "ru": "Русский",
    "sv": "Svenska",
    "uk": "Українська",
    "zh": "中文",
}


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The templates. Everything is escaped; a name that is not given is an error and never an empty string."""
    made = Environment(
        loader=PackageLoader("feedgen.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_finalize,
    )
    made.filters |= {
        "day": _day,
        "moment": _moment,
        "iso": _iso,
        "size": _size,
        "notes": lambda markdown: Markup(notes_html(clean(markdown))),  # noqa: S704 - cleaned there
        "as_html": lambda text: escape(str(escape(clean(text)))),  # text inside HTML inside XML
        "first_words": lambda markdown: first_words(clean(markdown)),
        "language_name": lambda tag: _NAMES.get(tag, tag),
        "groups": _groups,
    }
    made.tests["language_tag"] = lambda text: _LANGUAGE.fullmatch(text) is not None
    return made


def clean(text: str) -> str:
    """Text without characters that no page should pass on."""
    return _UNWANTED.sub("", text)


def _finalize(value: object) -> object:
    if isinstance(value, str) and not isinstance(value, Markup):
        return clean(value)
    return value


def _groups(digits: str) -> Markup:
    """Digits in groups of eight to the eye; what is copied has no gaps."""
    return Markup("<wbr>").join(Markup("<span>{}</span>").format(group) for group in re.findall(".{1,8}", digits))


def _day(moment: datetime) -> str:
    moment = moment.astimezone(UTC)
    return f"{moment.day} {moment:%B %Y}"


def _moment(moment: datetime) -> str:
    moment = moment.astimezone(UTC)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def _iso(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _size(size: int) -> str:
    if size < 1000:
        return f"{size} bytes"
    amount = float(size)
    for unit in ("kB", "MB"):
        amount /= 1000
        if amount < 1000:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1000:.1f} GB"
