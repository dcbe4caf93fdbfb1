"""Writing a package: a zip whose bytes depend on its members and nothing else (docs/formats.md section 3).

The standard library's writer depends on the machine's zlib and sets fields by platform. This one compresses with
libdeflate at a pinned version and level, and packs the records with the code that the client compares them with.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from feedgen.build.compressor import check_compressor, compress
from feedgen.errors import BuildError
from updater.package.structure import (
    DEFLATE,
    MAX_MEMBERS,
    MAX_SIZE,
    STORE,
    SYMLINK_MODE,
    pack_central,
    pack_end,
    pack_local,
)
from updater.package.structure import Member as Record

__all__ = ["Member", "PackageLayout", "write_package"]

_EARLIEST = datetime(1980, 1, 1, tzinfo=UTC)
_LATEST = datetime(2107, 12, 31, 23, 59, 58, tzinfo=UTC)
_MAX_PENDING_BYTES = 64 << 20
_MAX_PENDING = 1024


@dataclass(frozen=True)
class Member:
    """One file of a package. ``mode`` is the permission bits of a file; a symlink's ``data`` is its target."""

    path: str
    data: bytes
    mode: int = 0o644
    symlink: bool = False

    @property
    def unix_mode(self) -> int:
        """Type and permissions as ``st_mode`` has them."""
        return SYMLINK_MODE if self.symlink else stat.S_IFREG | self.mode


@dataclass(frozen=True)
class PackageLayout:
    """A written package, in bytes: its tail begins with the local header of the last member, the manifest."""

    size: int
    sha256: str
    tail_offset: int
    tail_size: int


@dataclass(frozen=True)
class _Packed:
    member: Member
    method: int
    crc32: int
    data: bytes | bytearray


def write_package(path: Path, members: Iterable[Member], *, date: datetime) -> PackageLayout:
    """Write ``members``, in the order given, as the zip ``path``; it appears there whole or not at all.

    ``members`` is consumed once, and the last one is taken for the manifest: a generator may hash what it yields and
    yield the manifest at the end. ``date`` (aware) stands in every header. Raises BuildError for what a package cannot
    hold: no members, more than 65,534 of them, or 4 GiB.
    """
    check_compressor()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as out:
            layout = _write(out, members, _dos_stamp(date), path.name)
            out.flush()
            os.fsync(out.fileno())
        part.chmod(0o644)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return layout


class _Output:
    """A file that knows how much it holds and the digest of it."""

    def __init__(self, out: BinaryIO, name: str) -> None:
        self._out, self._name = out, name
        self.size = 0
        self.digest = hashlib.sha256()

    def write(self, *chunks: bytes | bytearray) -> None:
        for chunk in chunks:
            self.size += len(chunk)
            if self.size > MAX_SIZE:
                raise BuildError(
                    f"{self._name} would be 4 GiB or larger, which a package cannot be.",
                    hint="Exclude what sites do not need ([build] exclude in feedgen.toml).",
                )
            self._out.write(chunk)
            self.digest.update(chunk)


def _write(out: BinaryIO, members: Iterable[Member], stamp: tuple[int, int], name: str) -> PackageLayout:
    output = _Output(out, name)
    central = bytearray()
    count = last = 0
    for packed in _compress_all(members):
        count, last = count + 1, output.size
        if count > MAX_MEMBERS:
            raise BuildError(
                f"{name} would have more than {MAX_MEMBERS:,} members.",
                hint="Exclude what sites do not need ([build] exclude in feedgen.toml).",
            )
        record = _record(packed, last, stamp)
        output.write(pack_local(record), packed.data)
        central += pack_central(record)
    if not count:
        raise BuildError(f"{name} would have no members.")
    start = output.size
    output.write(central, pack_end(count, start, len(central)))
    return PackageLayout(output.size, output.digest.hexdigest(), last, output.size - last)


def _record(packed: _Packed, offset: int, stamp: tuple[int, int]) -> Record:
    return Record(
        path=packed.member.path,
        offset=offset,
        method=packed.method,
        crc32=packed.crc32,
        packed_size=len(packed.data),
        size=len(packed.member.data),
        mode=packed.member.unix_mode,
        stamp=stamp,
    )


def _compress_all(members: Iterable[Member]) -> Iterator[_Packed]:
    """Compress on all processors; results come in the order of the members, with bounded memory."""
    pending: deque[tuple[int, Future[_Packed]]] = deque()
    held = 0
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for member in members:
            pending.append((len(member.data), pool.submit(_compress, member)))
            held += len(member.data)
            while pending and (held > _MAX_PENDING_BYTES or len(pending) > _MAX_PENDING):
                size, future = pending.popleft()
                held -= size
                yield future.result()
        while pending:
            yield pending.popleft()[1].result()


def _compress(member: Member) -> _Packed:
    data = member.data
    if len(data) > MAX_SIZE:
        raise BuildError(f"{member.path!r} is 4 GiB or larger, which a package cannot hold.")
    squeezed = compress(data)
    if len(squeezed) < len(data):
        return _Packed(member, DEFLATE, zlib.crc32(data), squeezed)
    return _Packed(member, STORE, zlib.crc32(data), data)


def _dos_stamp(date: datetime) -> tuple[int, int]:
    """MS-DOS time and date, in UTC, in two-second steps."""
    at = min(max(date.astimezone(UTC), _EARLIEST), _LATEST)
    time = at.hour << 11 | at.minute << 5 | at.second // 2
    return time, (at.year - 1980) << 9 | at.month << 5 | at.day
