"""The one compressor beside deflate: zstd frames, bounded in both directions."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["decode_frame", "encode_frame", "zstd"]

_WINDOW_LOG = 25  # 32 MiB: what a decoder may have to hold, whatever a frame asks for


def encode_frame(data: bytes, level: int = 19) -> bytes:
    """One frame of ``data``, with its size and a checksum. The same bytes for the same version of zstd."""
    parameter = zstd.CompressionParameter
    options: dict[int, int] = {
        parameter.compression_level: level,
        parameter.checksum_flag: 1,
        parameter.content_size_flag: 1,
    }
    return zstd.compress(data, options=options)


def decode_frame(data: bytes, most: int) -> bytes:
    """The content of exactly one frame, which says its size (at most ``most`` bytes) and has a right checksum.

    Raises ValueError, with the reason as a clause.
    """
    try:
        size = zstd.get_frame_info(data).decompressed_size
        if size is None or size > most:
            raise ValueError(f"unpacks to {'an unknown number of' if size is None else size} bytes, not at most {most}")
        decoder = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})
        content = decoder.decompress(data, size + 1)
        if not decoder.eof or decoder.unused_data or len(content) != size:
            raise ValueError("is not exactly one zstd frame of the size that it says")
    except zstd.ZstdError as error:
        raise ValueError(f"is not a zstd frame: {error}") from error
    return content
