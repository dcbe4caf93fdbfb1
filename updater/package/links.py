"""Whether the symlinks of a tree, followed through each other, stay inside it."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["find_escapes"]

_MAX_STEPS = 4096


def find_escapes(links: Mapping[str, str]) -> list[str]:
    """The problems of ``links`` (path to target) taken together, as sentences.

    Each link alone may stay inside by its text (docs/formats.md 1.2) and still leave the tree when its target leads
    through another link: ``up -> ..`` inside a folder, and ``x -> folder/up/..``.
    """
    return [
        f"{path!r} links to {target!r}, which leaves the tree through another link"
        for path, target in links.items()
        if _escapes(path, links)
    ]


def _escapes(path: str, links: Mapping[str, str]) -> bool:
    """Walk as a kernel would. A loop leads nowhere, and so not outside."""
    here: list[str] = []
    ahead = path.split("/")[::-1]
    for _ in range(_MAX_STEPS):
        if not ahead:
            return False
        segment = ahead.pop()
        if segment == "..":
            if not here:
                return True
            here.pop()
        elif segment not in ("", "."):
            target = links.get("/".join((*here, segment)))
            if target is None:
                here.append(segment)
            else:
                ahead.extend(target.split("/")[::-1])
    return False
