"""What both layouts have in common (standard library only)."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from updater.install.restore_points import SavedFile

__all__ = ["LayoutChange"]


class LayoutChange(Protocol):
    """How one transaction changes the tree: implemented by each layout."""

    tree: Path

    def prepare(self) -> None: ...
    def saved(self) -> tuple[SavedFile, ...]: ...
    def apply(self) -> None: ...
    def undo(self) -> None: ...
    def clean_undone(self) -> None: ...
    def discard(self) -> None: ...
    def clean(self) -> None: ...
