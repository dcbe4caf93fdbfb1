"""``.updater/container.json``: the image that runs, the one before it, and a change that was begun (docs/formats.md
section 9.5). Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from updater.errors import SchemaError, StateError
from updater.frozen import frozen
from updater.schema.container_config import check_image
from updater.schema.document import Reader, dump_json
from updater.schema.text import check_version
from updater.site.files import write_atomic
from updater.site.reading import read_json

__all__ = ["Containers", "Pinned", "read_containers", "write_containers"]

_FORMAT = 1


@frozen
class Pinned:
    """A release as it runs, or ran. ``backup``: the id of the database backup that was made when it was left."""

    version: str
    image: str
    backup: str = ""

    @classmethod
    def read(cls, reader: Reader) -> Pinned:
        """Read it back; what is wrong is noted in ``reader``."""
        return cls(
            reader.text("version", check=check_version),
            reader.text("image", check=check_image),
            reader.text("backup", default="", check=_check_id, empty=True),
        )


@frozen
class Containers:
    """``pending``: what a change that was begun and has not ended leads to; until then ``current`` holds, and its
    ``backup`` is what a way back restores."""

    current: Pinned
    previous: Pinned | None = None
    pending: Pinned | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            **{name: None if value is None else value.__dict__ for name, value in self.__dict__.items()},
        }


def _check_id(text: str) -> None:
    if not text.replace("-", "").isalnum() or not text.isascii() or len(text) > 64:
        raise ValueError("is not the id of a backup")


def read_containers(path: Path) -> Containers:
    """Raises StateError."""
    try:
        found: Mapping[str, Any] = read_json(path)
        reader = Reader(found, str(path))
        if reader.integer("format") != _FORMAT:
            raise ValueError(f"it has format {found['format']}, this updater knows {_FORMAT}")
        current = reader.child("current")
        others = {name: reader.child(name, required=False) for name in ("previous", "pending")}
        record = Containers(
            Pinned("0", "") if current is None else Pinned.read(current),
            *(None if other is None else Pinned.read(other) for other in others.values()),
        )
        reader.finish()
        return record
    except FileNotFoundError:
        raise StateError(
            "This site does not know which image runs.",
            hint="Tell it with `updater container adopt FEED_URL DIR --version V` (docs/containers.md).",
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SchemaError) as error:
        raise StateError(
            f"{path} cannot be read: {error}",
            hint="Remove it, and tell which version runs with `updater container adopt`.",
        ) from error


def write_containers(path: Path, record: Containers) -> None:
    """Replace it durably. Raises OSError."""
    write_atomic(path, dump_json(record.to_json()))
