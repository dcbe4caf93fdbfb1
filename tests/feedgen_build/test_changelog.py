"""Release notes out of the changelog styles that are in use."""

from __future__ import annotations

import pytest

from feedgen.source.changelog import release_notes

KEEP = """\ufeff# Changelog

## [Unreleased]

- Soon

## [1.1.0] - 2026-01-20

### Added

- Coupons, see [#12] and [the guide][guide] and [docs](https://acme.example/docs)

### 3.0 support

```python
# 1.0.0 is not a heading here
x = rows[#12]
[#12]: no-link
```

## [1.0.0] - 2025-12-01

- First

[Unreleased]: https://acme.example/compare/v1.1.0...HEAD
[1.1.0]: https://acme.example/compare/v1.0.0...v1.1.0
[#12]: https://acme.example/12
[guide]: <https://acme.example/guide> "The guide"
"""


def test_keep_a_changelog() -> None:
    assert release_notes(KEEP, "1.1.0") == (
        "### Added\n\n"
        "- Coupons, see [#12](https://acme.example/12) and [the guide](https://acme.example/guide)"
        " and [docs](https://acme.example/docs)\n\n"
        "### 3.0 support\n\n"
        "```python\n# 1.0.0 is not a heading here\nx = rows[#12]\n[#12]: no-link\n```"
    )
    assert release_notes(KEEP, "1.0.0") == "- First"
    assert release_notes(KEEP, "1.2.0") is None
    assert release_notes(KEEP.replace("\n", "\r\n"), "1.1.0") == release_notes(KEEP, "1.1.0")


@pytest.mark.parametrize(
    "heading",
    [
        "## 1.1.0",
        "## v1.1.0 (2026-01-20)",
        "## [v1.1.0](https://acme.example) (2026-01-20)",
        "## Version 1.1.0",
        "## Release 1.1.0: the big one",
        "## 1.1.0 The big one",
        "## 1.1 ##",
        "# 1.1.0",
        "### 1.1.0 / 2026-01-20",
        "1.1.0 (2026-01-20)\n==================",
        "v1.1.0\n------",
    ],
)
def test_headings(heading: str) -> None:
    older = "1.0.0\n-----" if "\n" in heading else heading.replace("1.1", "1.0").split(" (")[0]
    text = f"Changes\n\n## 1.10.0\n\nNot this\n\n{heading}\n\nThis\n\n#### More\n\n- that\n\n{older}\n\nNor this\n"
    assert release_notes(text, "1.1.0") == "This\n\n#### More\n\n- that"


def test_a_patch_under_a_minor_heading_ends_it() -> None:
    assert release_notes("# [1.1.0]\nminor\n## [1.0.9] (2026-01-01)\npatch\n", "1.1.0") == "minor"


def test_pre_releases_are_versions_of_their_own() -> None:
    text = "## 1.1.0-rc.1\n\ncandidate\n\n## 1.0.0\n"
    assert release_notes(text, "1.1.0rc1") == "candidate"
    assert release_notes(text, "1.1.0") is None


def test_an_empty_section_is_not_a_missing_one() -> None:
    assert release_notes("## 1.1.0\n\n## 1.0.0\nx\n", "1.1.0") == ""
