"""From a version back to the git tag that it was published from."""

from __future__ import annotations

from pathlib import Path

from feedgen.errors import SourceError
from feedgen.source import Repository, parse_tag

__all__ = ["tag_of"]


def tag_of(repo: Path, version: str, prefix: str) -> str:
    """The tag in ``repo`` that names ``version``; the usual spelling when there is none, or no repository."""
    usual = f"{prefix}{version}"
    try:
        tags = Repository(repo).tags()
    except SourceError:
        return usual
    named = [tag for tag in tags if _version(tag, prefix) == version]
    return usual if usual in named or not named else max(named)


def _version(tag: str, prefix: str) -> str | None:
    try:
        return parse_tag(tag, prefix)
    except SourceError:
        return None
