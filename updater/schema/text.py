"""The small vocabularies of the formats: names, versions, digests, URLs (docs/formats.md section 1)."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from updater.errors import shortened

__all__ = [
    "CHANNELS",
    "CORE",
    "channel_of",
    "check_digest",
    "check_id",
    "check_line",
    "check_name",
    "check_url_reference",
    "check_version",
]

CORE = "core"
"""The component that is the app itself."""

CHANNELS = ("stable", "beta", "alpha")
"""From the most to the least settled; each feed also lists the releases of those before it."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LONGEST_LINE = 500
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NUMBER = r"(?:0|[1-9][0-9]{0,17})"
_VERSION = re.compile(
    rf"{_NUMBER}(?:\.{_NUMBER}){{0,9}}(?:(?P<pre>a|b|rc){_NUMBER})?(?:\.post{_NUMBER})?(?P<dev>\.dev{_NUMBER})?"
)


def check_name(text: str) -> None:
    """Raise ValueError unless ``text`` can name an app or a component."""
    if not _NAME.fullmatch(text):
        raise ValueError("must be 1 to 64 of a-z, 0-9, '.', '_', '-', and begin with a letter or digit")


def check_id(text: str) -> None:
    """Raise ValueError unless ``text`` can name an advisory or a licence."""
    if not _ID.fullmatch(text):
        raise ValueError(
            "must be 1 to 64 letters, digits, dots, dashes and underscores, and begin with a letter or digit"
        )


def check_line(text: str) -> None:
    """Raise ValueError unless ``text`` can be shown in one line."""
    if len(text) > _LONGEST_LINE or not text.isprintable():
        raise ValueError(f"must be one line of at most {_LONGEST_LINE} characters")


def check_digest(text: str) -> None:
    """Raise ValueError unless ``text`` is a SHA-256 in lower-case hex."""
    if not _DIGEST.fullmatch(text):
        raise ValueError("must be a SHA-256: 64 lower-case hex digits")


def check_version(text: str) -> None:
    """Raise ValueError unless ``text`` is a PEP 440 version in normal form, without epoch or local part."""
    if not _VERSION.fullmatch(text):
        raise ValueError(f"{shortened(text, 80)!r} is not a version in normal form, such as 1.2.0 or 1.2.0b1")


def channel_of(version: str) -> str:
    """The channel a version belongs to: ``1.2.0`` stable, ``1.2.0b1`` and ``rc1`` beta, ``a1`` and ``.dev1`` alpha."""
    match = _VERSION.fullmatch(version)
    if match is None:
        check_version(version)
        raise AssertionError("unreachable")
    if match["dev"] or match["pre"] == "a":
        return "alpha"
    return "beta" if match["pre"] else "stable"


def check_url_reference(text: str) -> None:
    """Raise ValueError unless ``text`` is an https URL, an http URL of this machine, or a relative reference."""
    if any(ord(char) <= 0x20 or ord(char) == 0x7F for char in text) or "\\" in text:
        raise ValueError("holds characters that a URL cannot have")
    parts = urlsplit(text)
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("has a port that is not a number from 0 to 65535") from None
    if parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1"):
        return
    if parts.scheme not in ("", "https") or (parts.scheme == "https" and not parts.hostname):
        raise ValueError("must be an https URL, or relative to the feed")
    if not parts.scheme and (parts.netloc or text.startswith("/") or ".." in unquote(parts.path).split("/")):
        raise ValueError("a relative URL must stay below the feed's folder")
