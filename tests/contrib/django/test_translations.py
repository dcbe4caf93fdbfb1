"""German is complete, what is compiled is what was translated, and every text of the app can be translated."""

from __future__ import annotations

import gettext
import io
import re

import pytest
from django.template import engines
from django.utils import translation

from tests.support.require import require
from tools.messages import APP, catalogs, compiled, fresh_catalog, read_catalog

SMALL = r"""
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\n"

msgid "one"
msgid_plural "%d many"
msgstr[0] "ein\"s"
msgstr[1] "%d viele"

msgctxt "c"
msgid "a"
msgstr "ä"
"""


@pytest.mark.parametrize("path", catalogs(), ids=lambda path: path.parent.parent.name)
def test_a_translation_is_complete_and_compiled(path):
    text = path.read_text(encoding="utf-8")
    assert [key for key, value in read_catalog(text).items() if not value.strip("\0")] == []
    assert "fuzzy" not in text
    assert path.with_suffix(".mo").read_bytes() == compiled(text)


@pytest.mark.parametrize("path", catalogs(), ids=lambda path: path.parent.parent.name)
def test_translations_keep_the_placeholders(path):
    for key, value in read_catalog(path.read_text(encoding="utf-8")).items():
        if key:
            asked = set(re.findall(r"%\(\w+\)[sd]", key))
            assert set(re.findall(r"%\(\w+\)[sd]", value)) <= asked, key
            if "\0" not in key:
                assert set(re.findall(r"%\(\w+\)[sd]", value)) == asked, key


@pytest.mark.parametrize("path", catalogs(), ids=lambda path: path.parent.parent.name)
def test_nothing_is_missing_in_a_catalog(path):
    require("xgettext", "gettext")
    language = path.parent.parent.name
    assert set(fresh_catalog(language)) == set(read_catalog(path.read_text(encoding="utf-8")))


def test_the_compiler_writes_what_gettext_reads():
    found = gettext.GNUTranslations(io.BytesIO(compiled(SMALL)))
    assert found.ngettext("one", "%d many", 1) == 'ein"s'
    assert found.ngettext("one", "%d many", 2) == "%d viele"
    assert found.pgettext("c", "a") == "ä"


def test_pages_speak_german(shared_site, admin):
    page = admin.get("/admin/updates/availableupdate/", headers={"accept-language": "de"}).content.decode()
    assert "Jetzt suchen" in page and "Check now" not in page
    assert "Aktualisierungen" in page
    with translation.override("de"):
        engines["django"].get_template("updates/mail.txt")


def test_no_text_in_a_template_is_left_out():
    """Letters between tags that stand in no translation."""
    left = []
    for path in sorted((APP / "templates").rglob("*.html")):
        text = path.read_text(encoding="utf-8")
        text = re.sub(r"\{% (blocktranslate)\b.*?\{% end\1 %\}|\{%.*?%\}|\{\{.*?\}\}", "", text, flags=re.S)
        text = re.sub(r"<(code|script|style)\b.*?</\1>|<[^>]*>", "", text, flags=re.S)
        left += [(path.name, word) for word in re.findall(r"[A-Za-z]{3,}", text)]
    assert left == []
