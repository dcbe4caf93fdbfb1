"""What a delta leads to, read as a client reads it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from updater.delta import DeltaReader, complete
from updater.package import PackageReader
from updater.schema.manifest import ManifestFile

__all__ = ["rebuilt_manifest"]


def rebuilt_manifest(
    patch: BinaryIO, before: PackageReader, *, name: str = "the delta", between: Callable[[], None] = lambda: None
) -> bytes:
    """The manifest that a site gets by applying ``patch`` to the release in ``before``; content is hashed, not kept.

    ``between`` is called before each group, and may raise to end it. Raises the client's errors for a delta that is
    damaged or is for another release.
    """
    digests: dict[str, str] = {}

    @contextmanager
    def create(target: ManifestFile) -> Iterator[_Hashing]:
        sink = _Hashing()
        yield sink
        digests[target.path] = sink.digest.hexdigest()

    reader = DeltaReader.open(patch, before.manifest, name=name)
    for group in sorted(reader.groups, key=lambda group: group.dependent):
        between()
        reader.decode(group, lambda file: io.BytesIO(before.read(file.path, file.size)), create, digests)
    return complete(reader.outline, digests).to_bytes()


class _Hashing:
    def __init__(self) -> None:
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self.digest.update(data)
