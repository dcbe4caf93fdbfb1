"""The digests that a reader of a delta knows: of all old files, and of ever more new ones."""

from __future__ import annotations

from collections.abc import Mapping

from updater.schema.manifest import Manifest

__all__ = ["Digests"]


class Digests:
    """``built``: SHA-256 by path of files that other groups built."""

    def __init__(self, old: Manifest, outline: Manifest, built: Mapping[str, str]) -> None:
        self._old = old
        self._outline = outline
        self._built = dict(built)

    def add(self, path: str, digest: str) -> None:
        """Another new file is there."""
        self._built[path] = digest

    def of_old(self, path: str) -> tuple[str, int] | None:
        """Digest and size of an old file."""
        file = self._old.files.get(path)
        return None if file is None or file.symlink is not None else (file.sha256, file.size)

    def of_new(self, path: str) -> tuple[str, int] | None:
        """Digest and size of a new file, when its digest is known."""
        file = self._outline.files.get(path)
        if file is None or file.symlink is not None:
            return None
        digest = file.sha256 or self._built.get(path)
        return None if digest is None else (digest, file.size)
