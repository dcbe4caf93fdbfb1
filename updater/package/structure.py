"""The three records of the one zip structure that we read and write (docs/formats.md section 3).

Field names follow APPNOTE 6.3.10 sections 4.3.7, 4.3.12 and 4.3.16. Everything not needed is fixed: a record has
exactly one form for a member, so a reader compares instead of interpreting.
"""

from __future__ import annotations

import stat
import struct
from dataclasses import dataclass

__all__ = [
    "CENTRAL",
    "CENTRAL_SIGNATURE",
    "DEFLATE",
    "END",
    "END_SIGNATURE",
    "LOCAL",
    "LOCAL_SIGNATURE",
    "MADE_BY",
    "MAX_MEMBERS",
    "MAX_SIZE",
    "STORE",
    "SYMLINK_MODE",
    "UTF8_FLAG",
    "VERSION_NEEDED",
    "Member",
    "pack_central",
    "pack_end",
    "pack_local",
]

LOCAL = struct.Struct("<4sHHHHHIIIHH")
CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
END = struct.Struct("<4sHHHHIIH")
LOCAL_SIGNATURE = b"PK\x03\x04"
CENTRAL_SIGNATURE = b"PK\x01\x02"
END_SIGNATURE = b"PK\x05\x06"

STORE = 0
DEFLATE = 8
VERSION_NEEDED = 20
MADE_BY = 3 << 8 | VERSION_NEEDED
UTF8_FLAG = 0x800
SYMLINK_MODE = stat.S_IFLNK | 0o777
MAX_MEMBERS = 0xFFFE
MAX_SIZE = 0xFFFFFFFE


@dataclass(frozen=True)
class Member:
    """One member. Sizes and offsets in bytes; ``mode`` is ``st_mode``; ``stamp`` is the DOS (time, date)."""

    path: str
    offset: int
    method: int
    crc32: int
    packed_size: int
    size: int
    mode: int
    stamp: tuple[int, int]

    @property
    def raw_name(self) -> bytes:
        return self.path.encode("utf-8")

    @property
    def data_offset(self) -> int:
        """Where the content begins."""
        return self.offset + LOCAL.size + len(self.raw_name)

    @property
    def end(self) -> int:
        """Where the next record begins."""
        return self.data_offset + self.packed_size

    @property
    def is_symlink(self) -> bool:
        return stat.S_ISLNK(self.mode)


def pack_local(member: Member) -> bytes:
    """The local file header of a member, its name included."""
    name = member.raw_name
    return (
        LOCAL.pack(
            LOCAL_SIGNATURE,
            VERSION_NEEDED,
            UTF8_FLAG,
            member.method,
            *member.stamp,
            member.crc32,
            member.packed_size,
            member.size,
            len(name),
            0,
        )
        + name
    )


def pack_central(member: Member) -> bytes:
    """The directory entry of a member, its name included."""
    name = member.raw_name
    return (
        CENTRAL.pack(
            CENTRAL_SIGNATURE,
            MADE_BY,
            VERSION_NEEDED,
            UTF8_FLAG,
            member.method,
            *member.stamp,
            member.crc32,
            member.packed_size,
            member.size,
            len(name),
            0,
            0,
            0,
            0,
            member.mode << 16,
            member.offset,
        )
        + name
    )


def pack_end(count: int, directory_offset: int, directory_size: int) -> bytes:
    """The end record of an archive with ``count`` members."""
    return END.pack(END_SIGNATURE, 0, 0, count, count, directory_size, directory_offset, 0)
