"""Release notes: the section of a changelog that is about one version."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

__all__ = ["release_notes"]

_ATX = re.compile(r"(#{1,6})[ \t]+(.*?)[ \t#]*")
_SETEXT = re.compile(r"(=+|-+)[ \t]*")
_FENCE = re.compile(r"[ ]{0,3}(`{3,}|~{3,})")
_TITLE_VERSION = re.compile(r"\[?(?:version[ ]+|release[ ]+)?v?([0-9][0-9A-Za-z.+_-]*[0-9A-Za-z])(?![0-9A-Za-z])", re.I)
_NOTHING_BUT_VERSION = re.compile(r"\]|\s*$|\s*[-\u2013\u2014(:,|/]|\s+\d{4}")
_LINK_DEFINITION = re.compile(r"[ ]{0,3}\[([^\]]+)\]:[ \t]+<?(\S+?)>?(?:[ \t]+[\"'(].*)?[ \t]*")
_LINK_USE = re.compile(r"(?<!!)\[([^\]\[]+)\](?:\[([^\]\[]*)\])?(?![\[(:])")


@dataclass(frozen=True)
class _Heading:
    line: int
    end: int
    level: int
    version: Version | None
    only_version: bool


def release_notes(changelog: str, version: str) -> str | None:
    """The text below the heading of ``version``, without the heading; None when there is no such heading.

    Headings look like ``## [1.1.0] - 2026-01-20``, ``## 1.1.0``, ``## v1.1.0 (2026-01-20)`` or underlined text. The
    section ends at the next heading of a version, or of the same or a higher level. Link definitions
    (``[1.1.0]: https://…``) are taken out, and links that use them are given their target.
    """
    lines = changelog.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    code = _code_lines(lines)
    headings = list(_headings(lines, code))
    wanted = Version(version)
    for index, heading in enumerate(headings):
        if heading.version == wanted:
            later = (other for other in headings[index + 1 :] if other.only_version or other.level <= heading.level)
            return _section(lines, code, heading.end, next((other.line for other in later), len(lines)))
    return None


def _code_lines(lines: list[str]) -> set[int]:
    """Lines inside fenced code, where ``#`` is a comment and ``[x]`` an index."""
    found: set[int] = set()
    fence = ""
    for number, line in enumerate(lines):
        match = _FENCE.match(line)
        if fence:
            found.add(number)
            if match and match[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
        elif match:
            fence = match[1]
            found.add(number)
    return found


def _headings(lines: list[str], code: set[int]) -> Iterator[_Heading]:
    for number, line in enumerate(lines):
        if number in code:
            continue
        if match := _ATX.fullmatch(line):
            yield _Heading(number, number + 1, len(match[1]), *_title_version(match[2]))
        elif number + 1 < len(lines) and line.strip() and (under := _SETEXT.fullmatch(lines[number + 1])):
            version, only = _title_version(line.strip())
            if version or len(under[1]) >= 3:
                yield _Heading(number, number + 2, 1 if under[1][0] == "=" else 2, version, only)


def _title_version(title: str) -> tuple[Version | None, bool]:
    """The version that a heading begins with, and whether the heading is about nothing else ("3.0 support" is)."""
    match = _TITLE_VERSION.match(title)
    if not match:
        return None, False
    only = bool(_NOTHING_BUT_VERSION.match(title, match.end()))
    try:
        return (Version(match[1]) if only or "." in match[1] else None), only
    except InvalidVersion:
        return None, False


def _section(lines: list[str], code: set[int], start: int, end: int) -> str:
    targets: dict[str, str] = {}
    for number, line in enumerate(lines):
        if number not in code and (match := _LINK_DEFINITION.fullmatch(line)):
            targets.setdefault(match[1].casefold(), match[2])

    def inline(match: re.Match[str]) -> str:
        target = targets.get((match[2] or match[1]).casefold())
        return f"[{match[1]}]({target})" if target else match[0]

    kept = []
    for number in range(start, end):
        if number in code:
            kept.append(lines[number])
        elif not _LINK_DEFINITION.fullmatch(lines[number]):
            kept.append(_LINK_USE.sub(inline, lines[number]).rstrip())
    return "\n".join(kept).strip("\n")
