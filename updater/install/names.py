"""Filesystems that find a file under other names than its own (standard library only).

Where ``README.md`` and ``Readme.md`` are one file (Windows, macOS, casefolded ext4, many network shares), deleting the
one deletes the other. Nobody guesses here which filesystem does so: of two names that may be one, the directory is
asked which of them it lists.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path

from updater.site.looking import exists

__all__ = ["as_given", "is_listed", "names_in"]


def is_listed(tree: Path, path: str) -> bool:
    """Whether ``path`` lies below ``tree`` under that very name, and every directory above it too. Raises OSError."""
    full = tree
    for part in path.split("/"):
        try:
            if part not in names_in(full):
                return False
        except (FileNotFoundError, NotADirectoryError):
            return False
        full /= part
    return True


def names_in(folder: Path) -> list[str]:
    """The names in a directory, sorted, each `as_given`. Raises OSError."""
    present = {entry.name for entry in folder.iterdir()}
    return sorted(as_given(folder, name, present) for name in present)


def as_given(folder: Path, name: str, present: set[str]) -> str:
    """One of the names that a directory lists; when the filesystem has normalised it, in the normal form C that
    manifests have."""
    composed = unicodedata.normalize("NFC", name)
    if composed == name or composed in present or not exists(folder / composed):
        return name  # usual, or two files that differ by nothing else, which only some filesystems can have
    return composed
