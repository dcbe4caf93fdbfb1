"""``RECORD`` files, with which Python packages list their files, without the digests that the release's manifest has.

A line ``path,sha256=<43 characters>,<size>`` whose digest and size are the manifest's becomes ``path,=``
(docs/formats.md section 12.6). Paths in it are relative to the folder that holds the ``.dist-info`` folder.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

__all__ = ["Lookup", "RecordError", "expand", "is_record", "shrink"]

Lookup = Callable[[str], tuple[str, int] | None]
"""From a path to the SHA-256 (hex) and the size of the file there, when both are known."""

_LINE = re.compile(rb"^([^\n\",]+),sha256=([A-Za-z0-9_-]{43}),(\d{1,13})$", re.MULTILINE)
_SHORT = re.compile(rb"^([^\n\",]+),=$", re.MULTILINE)


class RecordError(ValueError):
    """A list that cannot be shortened, or made whole again."""


def is_record(path: str) -> bool:
    """Whether a file of this name is such a list."""
    return path.endswith(".dist-info/RECORD")


def shrink(data: bytes, path: str, lookup: Lookup) -> bytes:
    """The list at ``path`` without what ``lookup`` knows. Raises RecordError when that could not be undone."""
    if _SHORT.search(data):
        raise RecordError("holds short lines already")
    root = _root(path)

    def shorten(match: re.Match[bytes]) -> bytes:
        return match[1] + b",=" if _line(match[1], root, lookup) == match[0] else match[0]

    return _LINE.sub(shorten, data)


def expand(data: bytes, path: str, lookup: Lookup) -> bytes:
    """The list again. Raises RecordError for a short line of a file that ``lookup`` does not know."""
    root = _root(path)

    def lengthen(match: re.Match[bytes]) -> bytes:
        line = _line(match[1], root, lookup)
        if line is None:
            raise RecordError(f"names {match[1][:200]!r}, whose digest is not known")
        return line

    return _SHORT.sub(lengthen, data)


def _root(path: str) -> str:
    folder = path.rpartition("/")[0].rpartition("/")[0]
    return f"{folder}/" if folder else ""


def _line(name: bytes, root: str, lookup: Lookup) -> bytes | None:
    try:
        found = lookup(root + name.decode())
    except UnicodeDecodeError:
        return None
    if found is None:
        return None
    digest = base64.urlsafe_b64encode(bytes.fromhex(found[0])).rstrip(b"=")
    return b"%s,sha256=%s,%d" % (name, digest, found[1])
