"""Which paths may stand in a manifest, a package or a restore point: refused, never repaired (docs/formats.md 1.2)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

__all__ = ["RESERVED_NAMES", "check_path", "check_symlink", "collision_key", "find_collisions", "twins"]

RESERVED_NAMES = frozenset({".updater", "updater.toml", "update_manifest.json"})
"""Names at the top of a tree that belong to the site and the updater."""

_MAX_SEGMENT = 255
_MAX_PATH = 1024
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)


def check_path(path: str) -> None:
    """Raise ValueError, with the reason, unless ``path`` is acceptable on every platform and inside the tree."""
    if not path:
        raise ValueError("is an empty path")
    try:
        encoded = path.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"{path[:40]!r} is not valid Unicode") from None
    if len(encoded) > _MAX_PATH:
        raise ValueError(f"{path[:40]!r}… is longer than {_MAX_PATH} bytes")
    if path.startswith("/"):
        raise ValueError(f"{path!r} is absolute")
    if "\\" in path or ":" in path:
        raise ValueError(f"{path!r} holds a backslash or a colon, which are drives and streams on Windows")
    if _CONTROL.search(path):
        raise ValueError(f"{path!r} holds a control character")
    if not path.isascii() and not unicodedata.is_normalized("NFC", path):
        raise ValueError(f"{path!r} is not in Unicode normal form C")
    segments = path.split("/")
    for segment in segments:
        if wrong := _wrong_segment(segment):
            raise ValueError(f"{path!r} has {wrong}")
    if segments[0].casefold() in RESERVED_NAMES:
        raise ValueError(f"{path!r} is a name that belongs to the site itself")


@lru_cache(maxsize=4096)  # the paths of a release have few different segments
def _wrong_segment(segment: str) -> str:
    """What is wrong with a part of a path, or nothing."""
    if segment in ("", ".", ".."):
        return "an empty, '.' or '..' segment"
    if len(segment.encode("utf-8")) > _MAX_SEGMENT:
        return f"a segment longer than {_MAX_SEGMENT} bytes"
    if segment[-1] in ". ":
        return "a segment that ends in a dot or a space"
    if _DEVICE.fullmatch(segment.split(".", 1)[0].rstrip(" ")):
        return "a segment that is a device name on Windows"
    return ""


def check_symlink(path: str, target: str) -> None:
    """Raise ValueError unless a symlink at ``path`` to ``target`` stays inside the tree, judged by text alone."""
    if not target or target.startswith("/") or "\\" in target or ":" in target or _CONTROL.search(target):
        raise ValueError(f"{path!r} links to {target!r}, which is not a relative path")
    segments = [segment for segment in target.split("/") if segment not in ("", ".")]
    upwards = next((index for index, segment in enumerate(segments) if segment != ".."), len(segments))
    if upwards > path.count("/"):
        raise ValueError(f"{path!r} links to {target!r}, which leaves the tree")
    if ".." in segments[upwards:]:
        # "name/.." is not where it seems to be when "name" is itself a symlink
        raise ValueError(f"{path!r} links to {target!r}: '..' may only stand at the beginning")


def collision_key(path: str) -> str:
    """Equal for two paths that are one file on some platform (case-insensitive or normalising)."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())


def twins(paths: Iterable[str]) -> dict[str, list[str]]:
    """Those of ``paths`` that another one of them equals but for case or normalisation, by what they have in common."""
    found: dict[str, list[str]] = {}
    for path in paths:
        found.setdefault(collision_key(path), []).append(path)
    return {key: names for key, names in found.items() if len(names) > 1}


def find_collisions(paths: Iterable[str]) -> list[str]:
    """What is wrong among ``paths`` together: equal ones, and files where another path needs a directory."""
    found: list[str] = []
    files: dict[str, str] = {}
    for path in paths:
        if len(path) > _MAX_PATH:
            continue  # refused by itself; what follows takes time with the square of its length
        key = collision_key(path)
        if key in files:
            same = files[key]
            found.append(f"{path!r} stands twice" if same == path else f"{path!r} and {same!r} collide")
        else:
            files[key] = path
    for key, path in files.items():
        parent = key.rpartition("/")[0]
        while parent:
            if parent in files:
                found.append(f"{files[parent]!r} is a file, but {path!r} needs it to be a directory")
            parent = parent.rpartition("/")[0]
    return found
