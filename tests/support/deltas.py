"""Deltas between two packages, made by the publisher and applied by the reader alone."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from feedgen.delta import CreatedDelta, create_delta
from tests.support.packages import Built
from updater.delta import DeltaReader, complete
from updater.schema.manifest import Manifest, ManifestFile

__all__ = ["apply", "make_delta", "tree_of"]


def tree_of(built: Built) -> dict[str, bytes]:
    """What a package holds, by path."""
    with zipfile.ZipFile(io.BytesIO(built.package)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def make_delta(
    folder: Path, old: Built, new: Built, *, workers: int | None = None, budget_seconds: float | None = None
) -> CreatedDelta:
    """The delta between two packages, in ``folder``."""
    for built in (old, new):
        (folder / built.file_name).write_bytes(built.package)
    created = create_delta(
        folder / old.file_name,
        folder / new.file_name,
        folder / "a.delta",
        workers=workers,
        budget_seconds=budget_seconds,
    )
    data = created.path.read_bytes()
    assert (created.size, created.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    return created


def apply(delta: bytes, old: Manifest, tree: Mapping[str, bytes]) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest that a delta leads to, and the files that it builds; old files come out of ``tree``."""
    reader = DeltaReader.open(io.BytesIO(delta), old)
    built: dict[str, bytes] = {}
    digests: dict[str, str] = {}

    @contextmanager
    def create(file: ManifestFile) -> Iterator[io.BytesIO]:
        sink = io.BytesIO()
        yield sink
        built[file.path] = sink.getvalue()
        digests[file.path] = hashlib.sha256(built[file.path]).hexdigest()

    for group in sorted(reader.groups, key=lambda group: group.dependent):
        reader.decode(group, lambda file: io.BytesIO(tree[file.path]), create, digests)
    return complete(reader.outline, digests), built
