"""Damage to archives that keeps the rest of the structure right: each lie is told on purpose, not by accident."""

from __future__ import annotations

import hashlib
import json
import random
import struct
import zlib
from collections.abc import Sequence

from tests.package.crafted import Raw, craft
from tests.support.packages import deflate
from tests.torture.fuzz.mutations import LARGEST, byte_level, hostile_text
from tests.torture.fuzz.structured import json_document

__all__ = ["archive", "parse"]

_MODES = (
    0o100644,
    0o100755,
    0o120777,
    0o040755,
    0o060644,
    0o104755,
    0o010644,
    0o140777,
    0,
    0o100000,
    0o177777,
    0o120644,
)
_NUMBERS = (0, 1, 8, 9, 10, 12, 14, 20, 45, 93, 0x800, 0x801, 0x808, 0xFFFF, 0xFFFE, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)
_FIELDS = ("needed", "flags", "method", "time", "date", "crc", "packed", "size", "name_len", "extra_len")
_CENTRAL_ONLY = ("made_by", "comment_len", "disk", "internal", "external", "offset")
_EXTRAS = (
    b"\x01\0\0\0",
    struct.pack("<HHQQ", 1, 16, 5, 5),
    struct.pack("<HHBII", 0x7075, 9, 1, 0, 0),
    b"\xff" * 40,
    b"UT\x05\0\x03" + b"\0" * 4,
)
_BOMBS = tuple(deflate(b"\0" * size) for size in (1000, 300_000, 3_000_000))
_ZIP64_END = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 5, 5, 1, 1) + b"PK\x06\x07" + bytes(16)


def parse(data: bytes) -> list[Raw] | None:
    """The members of an archive in our structure, in the directory's order; None when it is not one."""
    try:
        end = struct.unpack_from("<4sHHHHIIH", data, len(data) - 22)
        position, raws = end[6], []
        for _ in range(min(end[4], 200)):
            fields = struct.unpack_from("<4sHHHHHHIIIHHHHHII", data, position)
            name = data[position + 46 : position + 46 + fields[10]]
            start = fields[16] + 30 + len(name)
            packed = data[start : start + fields[8]]
            content = zlib.decompressobj(-15).decompress(packed, LARGEST) if fields[4] == 8 else packed
            raws.append(Raw(name, content, fields[15] >> 16))
            position += 46 + fields[10] + fields[11] + fields[12]
    except (struct.error, zlib.error, IndexError):
        return None
    return raws or None


def archive(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """One to three lies about members; sometimes told byte by byte."""
    raws = parse(data)
    if raws is None or rng.randrange(5) == 0:
        return byte_level(rng, data, others)
    end: dict[str, int] = {}
    options: dict[str, bytes] = {}
    for _ in range(rng.choice((1, 1, 2, 3))):
        _lie(rng, raws, end, options, others)
    if rng.randrange(2):
        _list_again(raws)
    try:
        made = craft(raws, end=end, **options)
    except struct.error:
        return byte_level(rng, data, others)
    return made[:LARGEST]


def _lie(
    rng: random.Random, raws: list[Raw], end: dict[str, int], options: dict[str, bytes], others: Sequence[bytes]
) -> None:
    raw = rng.choice(raws)
    text = raw.name.decode("utf-8", "replace")
    match rng.randrange(17):
        case 0 | 1:
            raw.name = hostile_text(rng, text).encode("utf-8", "surrogatepass")[:0xFFFF]
        case 2:
            raw.name = rng.choice(
                (raw.name.swapcase(), raw.name + b"/", b"files/" + raw.name, raw.name.replace(b"/", b"\\"))
            )
        case 3:
            raws.insert(rng.randrange(len(raws)), Raw(raw.name, raw.content, raw.mode))
        case 4:
            raws.sort(key=lambda other: other.name if rng.randrange(2) else other.content[:9])
        case 5 if len(raws) > 1:
            raws.remove(raw)
        case 6:
            raw.mode = rng.choice(_MODES)
        case 7:
            raw.mode, raw.content = 0o120777, hostile_text(rng, "../" + text).encode("utf-8", "surrogatepass")
        case 8:
            raw.content = byte_level(rng, raw.content, others)
        case 9 | 10:
            raws[-1].content = json_document(rng, raws[-1].content, [])
        case 11:
            raw.both(**{rng.choice(_FIELDS): rng.choice(_NUMBERS) & 0xFFFF})
        case 12:
            field = rng.choice((*_FIELDS, *_CENTRAL_ONLY))
            raw.central[field] = rng.choice(_NUMBERS) & (
                0xFFFF if field not in ("crc", "packed", "size", "external", "offset") else ~0
            )
        case 13:
            raw.local[rng.choice(_FIELDS)] = rng.choice(_NUMBERS) & 0xFFFF
        case 14:
            bomb = rng.choice(_BOMBS)
            raw.data, raw.method = rng.choice((bomb, bomb[:-3], deflate(raw.content) + b"x", b"\xff" * 20)), 8
        case 15:
            setattr(
                raw, rng.choice(("extra", "local_extra", "comment", "gap", "after", "local_name")), rng.choice(_EXTRAS)
            )
        case _:
            end[rng.choice(("disk", "start_disk", "here", "count", "comment_len"))] = rng.choice(_NUMBERS) & 0xFFFF
            options[rng.choice(("prefix", "middle"))] = rng.choice((b"", b"x", b"MZ" * 50, _ZIP64_END))


def _list_again(raws: list[Raw]) -> None:
    """An exported restore point lists its members unsigned: let the list fit, so that the lie itself is judged."""
    try:
        index = json.loads(raws[-1].content)
        listed = {member["path"]: member for member in index["members"]}
        for raw in raws[:-1]:
            path = raw.name.decode()
            member = listed.setdefault(path, {"path": path, "mode": f"{raw.mode & 0o7777:04o}"})
            member |= {"sha256": hashlib.sha256(raw.content).hexdigest(), "size": len(raw.content)}
            if raw.mode & 0o170000 == 0o120000:
                member["symlink"] = raw.content.decode()
                member.pop("mode", None)
        present = {raw.name.decode() for raw in raws}
        index["members"] = [member for path, member in listed.items() if path in present]
        raws[-1].content = json.dumps(index).encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return
