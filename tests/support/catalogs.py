"""Gettext catalogs and lists of digests made by tiny independent writers, straight from their documentation."""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Mapping

__all__ = ["make_catalog", "make_record"]


def make_catalog(texts: Mapping[bytes, bytes], *, hashed: bool = True) -> bytes:
    """A compiled catalog as ``msgfmt`` writes it (plural forms: NULs within the texts)."""
    pairs = sorted(texts.items())
    count = len(pairs)
    size = _table_size(count) if hashed else 0
    start = 28 + 16 * count + 4 * size
    area, places = b"", []
    for column in (0, 1):
        for pair in pairs:
            places.append((len(pair[column]), start + len(area)))
            area += pair[column] + b"\0"
    table = [0] * size
    for number, (original, _) in enumerate(pairs if hashed else [], 1):
        value = 0
        for byte in original.split(b"\0")[0]:
            value = (value << 4) + byte
            if value & 0xF0000000:
                value ^= (value & 0xF0000000) >> 24
                value &= 0x0FFFFFFF
        place, step = value % size, 1 + value % (size - 2)
        while table[place]:
            place = (place + step) % size
        table[place] = number
    header = struct.pack("<7I", 0x950412DE, 0, count, 28, 28 + 8 * count, size, 28 + 16 * count)
    return header + b"".join(struct.pack("<2I", *place) for place in places) + struct.pack(f"<{size}I", *table) + area


def _table_size(count: int) -> int:
    size = count * 4 // 3 | 1
    while any(size % divisor == 0 for divisor in range(3, size, 2)):
        size += 2
    return max(size, 3 if count < 2 else 5)


def make_record(tree: Mapping[str, bytes], folder: str) -> bytes:
    """The ``RECORD`` of an installed package in ``folder`` (``x-1.0.dist-info``) that lists ``tree``."""
    lines = []
    for path, data in sorted(tree.items()):
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        lines.append(f"{path},sha256={digest},{len(data)}\n")
    return "".join([*lines, f"{folder}/RECORD,,\n"]).encode()
