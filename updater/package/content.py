"""A member's content as a stream that can never be longer than its entry says."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from updater.package.sources import ByteSource, Findings
from updater.package.structure import DEFLATE, Member

__all__ = ["CHUNK", "read_content"]

CHUNK = 1 << 18
"""Bytes held at a time, packed and unpacked."""


def read_content(source: ByteSource, member: Member, findings: Findings, *, checked: bool = True) -> Iterator[bytes]:
    """The content in chunks of at most CHUNK bytes, never more than ``member.size`` in total.

    Raises UnsafeArchiveError when it is longer, shorter, damaged, or (``checked``) its CRC differs; what was read
    before that is only good when the iterator ends normally.
    """
    where = f"{member.path!r} (byte {member.offset})"
    crc = size = 0
    chunks = _inflate(source, member, findings) if member.method == DEFLATE else _packed(source, member)
    for chunk in chunks:
        size += len(chunk)
        if size > member.size:
            findings.fail(where, f"unpacks to more than its {member.size} bytes")
        crc = zlib.crc32(chunk, crc) if checked else 0
        yield chunk
    if size != member.size:
        findings.fail(where, f"unpacks to {size} bytes instead of {member.size}")
    if checked and crc != member.crc32:
        findings.fail(where, "is damaged: its CRC differs")


def _packed(source: ByteSource, member: Member) -> Iterator[bytes]:
    for position in range(member.data_offset, member.end, CHUNK):
        yield source.read(position, min(CHUNK, member.end - position))


def _inflate(source: ByteSource, member: Member, findings: Findings) -> Iterator[bytes]:
    where = f"{member.path!r} (byte {member.offset})"
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    left = member.size
    consumed = 0
    try:
        for packed in _packed(source, member):
            if inflater.eof:
                break
            pending = packed
            while pending and not inflater.eof:
                # One byte more than is left: enough to see that there is more, and no more than that.
                chunk = inflater.decompress(pending, min(CHUNK, max(left, 0) + 1))
                pending = inflater.unconsumed_tail
                left -= len(chunk)
                yield chunk
            consumed += len(packed)
        while not inflater.eof:
            chunk = inflater.decompress(b"", min(CHUNK, max(left, 0) + 1))
            if not chunk:
                findings.fail(where, "its deflate stream ends early")
            left -= len(chunk)
            yield chunk
    except zlib.error as error:
        findings.fail(where, f"is not a deflate stream ({error})")
    if inflater.unused_data or consumed != member.packed_size:
        findings.fail(where, "holds data after its deflate stream")
