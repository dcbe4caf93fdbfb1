"""From a git tag to a version (docs/formats.md section 1.1)."""

from __future__ import annotations

import re

from packaging.version import InvalidVersion, Version

from feedgen.errors import SourceError
from updater.schema.text import check_version

__all__ = ["parse_tag"]

_BARE_NUMBER_SUFFIX = re.compile(r"[0-9.]+-[0-9]+")


def parse_tag(tag: str, prefix: str = "v") -> str:
    """The PEP 440 version, in normal form, that ``tag`` names: ``v1.2.0-beta.1`` is ``1.2.0b1``.

    Raises SourceError, with advice, for a tag without the prefix, a tag that is not a version, epochs (``v1!1.0``),
    local versions (``v1.0+cpu``), and ``v1.0-1``, which SemVer and PEP 440 order differently.
    """
    text = tag.removeprefix(prefix)
    if not tag.startswith(prefix) or not text[:1].isdigit():
        raise SourceError(
            f"The tag {tag!r} is not {prefix!r} followed by a version.",
            hint=f"Tag releases like {prefix}1.2.0, or set tag_prefix under [app] in feedgen.toml.",
        )
    try:
        version = Version(text)
    except InvalidVersion:
        version = None
    if version is None or not text.isascii() or text != text.strip():
        raise SourceError(
            f"The tag {tag!r} does not name a version: {text!r} is not one.",
            hint=f"Use {prefix}1.2.0, {prefix}1.2.0-rc.1, {prefix}1.2.0-beta.1, {prefix}1.2.0-alpha.1 or PEP 440.",
        )
    _refuse_ambiguous(tag, text, version, prefix)
    normal = str(version)
    try:
        check_version(normal)
    except ValueError as error:
        raise SourceError(f"The tag {tag!r} cannot be used: {error}.", hint="Use fewer and smaller numbers.") from error
    return normal


def _refuse_ambiguous(tag: str, text: str, version: Version, prefix: str) -> None:
    if version.epoch or "!" in text:
        raise SourceError(
            f"The tag {tag!r} has an epoch, which sorts and prints in ways that site owners do not expect.",
            hint=f"Tag it without the epoch: {prefix}{version.public.partition('!')[2] or version.public}.",
        )
    if version.local is not None:
        raise SourceError(
            f"The tag {tag!r} has a local part (+{version.local}), which does not order releases.",
            hint=f"Tag it as {prefix}{version.public}, or raise the version.",
        )
    if _BARE_NUMBER_SUFFIX.fullmatch(text):
        raise SourceError(
            f"The tag {tag!r} is a pre-release in SemVer and a post-release in PEP 440.",
            hint=f"Say which: {prefix}{version.base_version}-rc.{version.post} or {prefix}{version}.",
        )
