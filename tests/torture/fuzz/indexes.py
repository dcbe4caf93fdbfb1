"""Target: a block of a package index that is signed and packed rightly though its content lies."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import lru_cache

from tests.support.packages import Built, Symlink, make_package
from tests.torture.fuzz.documents import must_be_inside
from tests.torture.fuzz.mutations import byte_level
from tests.torture.fuzz.target import Target, Wrong, stateless
from updater.errors import FeedError
from updater.package.index import IndexHead, rebuild
from updater.zstd import decode_frame, encode_frame

__all__ = ["TARGETS"]


@lru_cache(maxsize=1)
def _releases() -> tuple[Built, Built]:
    files: dict[str, bytes | Symlink] = {f"lib/m{number}.py": b"A = %d\n" % number * 50 for number in range(20)}
    old = make_package({**files, "gone": b"x", "link": Symlink("lib/m1.py")})
    new = make_package(
        {**files, "lib/m3.py": b"B = 3\n", "added": b""}, version="1.1.0", executable=["added"], before=[old]
    )
    return old, new


@lru_cache(maxsize=1)
def _head() -> IndexHead:
    index = _releases()[1].index
    assert index is not None
    return IndexHead.parse(index.data[: index.head_size], len(index.data))


def _content() -> list[bytes]:
    index = _releases()[1].index
    assert index is not None
    return [decode_frame(index.data[block.offset : block.end], 1 << 20) for block in _head().blocks]


def _read(data: bytes) -> None:
    """The first block holds ``data``; with and without an installed release."""
    packed = encode_frame(data, level=1)
    head = _head()
    block = replace(head.blocks[0], size=len(packed), sha256=hashlib.sha256(packed).hexdigest())
    head = replace(head, blocks=(block, *head.blocks[1:]))
    content = head.read_block(0, packed)
    rebuilt = rebuild(head, [content], _releases()[0].manifest)
    offsets = [offset for offset, _ in rebuilt.members.values()]
    if offsets != sorted(offsets):
        raise Wrong("members that overlap")
    for path in rebuilt.outline.files:
        must_be_inside(path)


TARGETS = [Target("index", "a block of a package index", _content, byte_level, stateless(_read), (FeedError,), 20_000)]
