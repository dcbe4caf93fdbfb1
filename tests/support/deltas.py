"""Deltas between two trees, made by the publisher and applied by the reader alone."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from feedgen.delta import create_delta
from tests.support.packages import Built, Symlink
from updater.delta import DeltaReader, complete
from updater.schema.manifest import Manifest, ManifestFile

__all__ = ["Tree", "apply", "make_delta"]

Tree = Mapping[str, bytes | Symlink]


def make_delta(folder: Path, old: Built, new: Built, workers: int | None = None) -> bytes:
    """The delta between two packages, as bytes."""
    for built in (old, new):
        (folder / built.file_name).write_bytes(built.package)
    path = folder / "a.delta"
    created = create_delta(folder / old.file_name, folder / new.file_name, path, workers=workers)
    data = path.read_bytes()
    assert (created.size, created.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    return data


def apply(delta: bytes, old: Manifest, tree: Tree) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest that a delta leads to, and the files that it builds; references come out of ``tree``."""
    reader = DeltaReader.open(io.BytesIO(delta), old)
    built: dict[str, bytes] = {}

    def reference(file: ManifestFile) -> io.BytesIO:
        content = tree[file.path]
        assert not isinstance(content, Symlink)
        return io.BytesIO(content)

    @contextmanager
    def create(file: ManifestFile) -> Iterator[io.BytesIO]:
        sink = io.BytesIO()
        yield sink
        built[file.path] = sink.getvalue()

    for group in reader.groups:
        reader.decode(group, reference, create)
    digests = {path: hashlib.sha256(data).hexdigest() for path, data in built.items()}
    return complete(reader.outline, digests), built
