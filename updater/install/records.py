"""Reading back what an update wrote for itself: plans, restore points and notes, each value checked before it is used
(standard library only).

A disk can give back something else than was written. What these records name is renamed, deleted and restored, so
that a damaged one is refused as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from updater.errors import SchemaError, StateError, shortened
from updater.schema.document import Reader
from updater.schema.paths import check_path
from updater.schema.text import check_digest
from updater.site.reading import MOST_MANIFEST, read_json

__all__ = [
    "check_own_name",
    "optional_path",
    "read_content",
    "read_migrations",
    "read_note",
    "read_record",
]

_LONGEST_NAME = 255  # bytes

T = TypeVar("T")


def read_record(path: Path, read: Callable[[Reader], T]) -> T:
    """What ``read`` makes of the JSON object in ``path``. Raises OSError, and ValueError for everything wrong in it."""
    value = read_json(path, most=MOST_MANIFEST)
    if not isinstance(value, dict):
        raise ValueError("it is not an object")  # noqa: TRY004 - one kind of error for everything wrong
    reader = Reader(value, path.name)
    try:
        found = read(reader)
        reader.finish()
    except SchemaError as error:
        raise ValueError(str(error)) from error
    return found


def read_note(path: Path, read: Callable[[Reader], T]) -> T:
    """A record that an interrupted update cannot be undone without. Raises OSError, StateError when it is damaged."""
    try:
        return read_record(path, read)
    except ValueError as error:
        raise StateError(
            f"{path} is damaged: {error}",
            hint="Everything is kept: compare the site with `updater verify`, and see docs/reliability.md.",
        ) from error


def check_own_name(text: str) -> None:
    """Raise ValueError unless ``text`` names an entry of one of our directories, and not one somewhere else."""
    if text in (".", "..") or "/" in text or len(text.encode("utf-8", "surrogatepass")) > _LONGEST_NAME:
        raise ValueError(f"{shortened(text, 80)!r} is not the name of a directory")


def optional_path(text: str) -> None:
    """`check_path`, but for the top of the tree itself, which is empty."""
    if text:
        check_path(text)


def read_migrations(reader: Reader | None) -> dict[str, Any] | None:
    """What is remembered of the migrations of an update (updater/install/migrations.py)."""
    if reader is None:
        return None
    return {
        "names": list(reader.texts("names")),
        "backward_compatible": reader.optional_flag("backward_compatible"),
    }


def read_content(reader: Reader) -> dict[str, Any]:
    """``sha256``, ``size`` in bytes, ``mode`` and ``symlink`` of a file, as a manifest, a plan or a restore point has
    them. The owner's own symlinks may lead anywhere."""
    return {
        "sha256": reader.text("sha256", default="", check=check_digest, empty=True),
        "size": reader.integer("size"),
        "mode": reader.integer("mode", maximum=0o7777),
        "symlink": reader.optional_text("symlink"),
    }
