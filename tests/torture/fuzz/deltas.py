"""Targets: a delta as it comes, and one whose packed parts are right though their content lies."""

from __future__ import annotations

import hashlib
import io
import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from tests.support.catalogs import make_catalog, make_record
from tests.support.deltas import make_delta, tree_of
from tests.support.packages import Built, Symlink, make_package
from tests.torture.fuzz.documents import must_be_inside
from tests.torture.fuzz.mutations import byte_level
from tests.torture.fuzz.target import Target, Wrong, stateless
from updater.delta import DeltaReader, complete
from updater.delta.outline import head_prefix
from updater.delta.reader import MAGIC
from updater.errors import FeedError
from updater.schema.manifest import ManifestFile
from updater.schema.varints import unsigned

__all__ = ["TARGETS"]

_LINES = [b"line %d is here for everyone to read\n" % number for number in range(30)]
_OLD: dict[str, bytes | Symlink] = {
    "a.txt": b"".join(_LINES),
    "b.mo": make_catalog({b"one": b"eins", b"two": b"zwei"}),
    "c.js": b";".join(b"f(%d)" % number for number in range(100)),
    "link": Symlink("a.txt"),
    "m-1.0.0.dist-info/RECORD": make_record({"a.txt": b"".join(_LINES)}, "m-1.0.0.dist-info"),
}
_CHANGED = b"".join([*_LINES[:9], b"new\n", *_LINES[10:]])
_NEW: dict[str, bytes | Symlink] = {
    "a.txt": _CHANGED,
    "b.mo": make_catalog({b"one": b"eins", b"two": b"zwei", b"three": b"drei"}),
    "c.js": b";".join(b"f(%d)" % number for number in range(1, 101)),
    "added": Symlink("c.js"),
    "m-1.1.0.dist-info/RECORD": make_record({"a.txt": _CHANGED}, "m-1.1.0.dist-info"),
}


@lru_cache(maxsize=1)
def _releases() -> tuple[Built, Built, bytes]:
    old, new = make_package(_OLD), make_package(_NEW, version="1.1.0", executable=["c.js"])
    with tempfile.TemporaryDirectory() as folder:
        return old, new, make_delta(Path(folder), old, new).path.read_bytes()


@lru_cache(maxsize=1)
def _tree() -> dict[str, bytes]:
    return tree_of(_releases()[0])


def _apply(data: bytes) -> None:
    """Everything that a client does with a delta; old files are what they must be."""
    old, _, _ = _releases()
    delta = DeltaReader.open(io.BytesIO(data), old.manifest)
    for path in delta.outline.files:
        must_be_inside(path)
    digests: dict[str, str] = {}

    @contextmanager
    def create(file: ManifestFile) -> Iterator[io.BytesIO]:
        if delta.outline.files.get(file.path) != file or file.sha256:
            raise Wrong(f"writes {file.path!r}, which it does not build")
        sink = io.BytesIO()
        yield sink
        if len(sink.getvalue()) != file.size:
            raise Wrong(f"builds {file.path!r} in another size than it says")
        digests[file.path] = hashlib.sha256(sink.getvalue()).hexdigest()

    for group in sorted(delta.groups, key=lambda group: group.dependent):
        delta.decode(group, lambda file: io.BytesIO(_tree()[file.path]), create, digests)
    complete(delta.outline, digests).to_bytes()


def _unpacked(data: bytes) -> bytes:
    """The head of a delta, not packed, before its groups."""
    old, _, _ = _releases()
    delta = DeltaReader.open(io.BytesIO(data), old.manifest)
    head, length = delta._read_packed(len(MAGIC), len(data), head_prefix(old.manifest), 1 << 20)
    return MAGIC + unsigned(len(head)) + unsigned(0) + head + data[len(MAGIC) + length :]


def _seeds() -> list[bytes]:
    delta = _releases()[2]
    return [delta, _unpacked(delta)]


def _head_level(rng: random.Random, data: bytes, pool: Sequence[bytes]) -> bytes:
    """A change within the first half, where the head is, keeping the length more often than not."""
    if rng.randrange(3) == 0 or len(data) < 20:
        return byte_level(rng, data, pool)
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        changed[rng.randrange(len(MAGIC), len(data))] = rng.choice((0, 1, 2, 3, 127, 128, 255, rng.randrange(256)))
    return bytes(changed)


TARGETS = [
    Target("delta", "a delta from a release to another", _seeds, _head_level, stateless(_apply), (FeedError,), 20_000)
]
