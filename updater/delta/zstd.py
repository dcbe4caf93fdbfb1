"""Zstandard frames with a prefix.

Frames are kept without their magic number (the first four bytes of every frame are the same).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from updater.zstd import zstd

__all__ = ["MAGIC", "SHORTEST_PREFIX", "ZstdError", "decompress", "zstd"]

MAGIC = (0xFD2FB528).to_bytes(4, "little")
CHUNK = 1 << 18
SHORTEST_PREFIX = 8
"""Bytes: a shorter prefix is none."""

ZstdError = zstd.ZstdError

_WINDOW = zstd.DecompressionParameter.window_log_max


def decompress(frame: Iterable[bytes], prefix: bytes | bytearray, *, window_log: int, limit: int) -> Iterator[bytes]:
    """The content of one frame that comes in pieces, itself in pieces of at most CHUNK bytes.

    ``window_log``: the frame may ask for no more than 2**window_log bytes of memory. Stops one byte after ``limit``, so
    that a caller sees that there are too many. Raises ZstdError when the frame is damaged, does not end or is followed
    by something; what was given out before is only good when the iterator ends normally.
    """
    dictionary = zstd.ZstdDict(prefix, is_raw=True).as_prefix if len(prefix) >= SHORTEST_PREFIX else None
    del prefix  # the dictionary has a copy
    decompressor = zstd.ZstdDecompressor(zstd_dict=dictionary, options={_WINDOW: window_log})
    decompressor.decompress(MAGIC, 0)
    left = limit + 1
    for packed in frame:
        if decompressor.eof:
            raise ZstdError("data after the end of the frame")
        piece = decompressor.decompress(packed, min(CHUNK, left))
        while piece:
            left -= len(piece)
            yield piece
            if not left or decompressor.eof or decompressor.needs_input:
                break
            piece = decompressor.decompress(b"", min(CHUNK, left))
        if not left:
            return
    if not decompressor.eof or decompressor.unused_data:
        raise ZstdError("the frame does not end where it should")
