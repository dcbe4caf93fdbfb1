"""Where the files of a package lie: by its index, in few bytes, or by its own directory at the end of the zip."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from updater.acquire.addresses import Addresses
from updater.acquire.ranges import Located, locate
from updater.errors import DownloadError, FeedError, RangesIgnoredError, TargetMismatchError
from updater.frozen import frozen
from updater.package import read_tail
from updater.package.index import IndexHead, rebuild
from updater.package.structure import STORE
from updater.schema.feed import PackageIndex, Release
from updater.schema.manifest import Manifest, ManifestFile
from updater.transport import Transport
from updater.transport.patience import Patience

__all__ = ["Contents", "read_directory", "read_indexed"]

_AHEAD = 8 * 1024
"""Bytes behind the head that are asked for with it: often all the blocks that are needed."""

_LARGEST_INDEX = 1 << 25


@frozen
class Contents:
    """What a package holds, as far as it was read. ``manifest`` is whole (with its signed bytes) or an outline.

    ``members``: by path where the file lies. ``complete``: of all files of the package. ``size`` and ``requests``: what
    it took to learn that.
    """

    manifest: Manifest
    manifest_bytes: bytes | None
    members: Mapping[str, Located]
    complete: bool
    size: int
    requests: int

    def locate(self, files: Iterable[ManifestFile]) -> list[Located] | None:
        """Where ``files`` lie, each content once; None when one of them is not among the members. What they must be is
        said by this manifest or by the given file, by whichever knows more."""
        found: dict[tuple[str, int], Located] = {}
        for file in files:
            member = self.members.get(file.path)
            if member is None or member.file.size != file.size:
                return None
            if len(file.sha256) > len(member.file.sha256):
                member = Located(file, member.start, member.packed_size, member.stored)
            found.setdefault((member.file.sha256, member.file.size), member)
        return list(found.values())


def read_indexed(
    transport: Transport,
    addresses: Addresses,
    index: PackageIndex,
    installed: Manifest | None,
    patience: Patience,
    *,
    whole: bool,
    name: str,
) -> Contents:
    """What the index says: of the files that changed since ``installed``, or of all (``whole``).

    Raises DownloadError when no address serves it, FeedError when it is not the signed one or breaks its format.
    """
    if index.size > _LARGEST_INDEX:
        raise FeedError(f"the index of {name} has {index.size} bytes; at most {_LARGEST_INDEX} are read")
    first = min(index.size, index.size if whole else index.head_size + _AHEAD)
    data, requests = _read(transport, addresses, patience, start=0, end=first, total=index.size), 1
    head_data = data[: index.head_size]
    if hashlib.sha256(head_data).hexdigest() != index.head_sha256:
        raise TargetMismatchError(f"the index of {name} has not the signed SHA-256")
    head = IndexHead.parse(head_data, index.size, f"the index of {name}")
    blocks = head.blocks if whole or installed is None else head.needed(installed.version)
    end = blocks[-1].end if blocks else index.head_size
    if end > len(data):
        data += _read(transport, addresses, patience, start=len(data), end=end, total=index.size)
        requests += 1
    contents = [head.read_block(number, data[block.offset : block.end]) for number, block in enumerate(blocks)]
    rebuilt = rebuild(head, contents, installed)
    members = {
        path: locate(rebuilt.outline.files[path], offset, member.packed_size, stored=member.stored)
        for path, (offset, member) in rebuilt.members.items()
    }
    return Contents(rebuilt.outline, None, members, rebuilt.whole, len(data), requests)


def read_directory(transport: Transport, addresses: Addresses, release: Release) -> Contents:
    """What the last bytes of the package say: its whole manifest, and where every member lies.

    One attempt at each address. Raises RangesIgnoredError when a server sends whole files only, DownloadError,
    FeedError.
    """
    package = release.package
    while True:
        url = addresses.next()
        try:
            data = _read_once(transport, url, package.tail_offset, package.size, package.size)
            tail = read_tail(
                data,
                package.tail_offset,
                manifest_sha256=release.manifest_sha256,
                manifest_size=release.manifest_size,
                name=f"the package of {release.version}",
            )
            break
        except (DownloadError, FeedError) as error:
            addresses.fail(url, error)
    members = {
        member.path: locate(
            tail.manifest.files[member.path], member.offset, member.packed_size, stored=member.method == STORE
        )
        for member in tail.members
        if member.path in tail.manifest.files
    }
    return Contents(tail.manifest, tail.manifest_bytes, members, True, len(data), 1)


def _read(transport: Transport, addresses: Addresses, patience: Patience, *, start: int, end: int, total: int) -> bytes:
    """Bytes of a small file, from the first address that serves them; a server without ranges gives all of it."""
    while True:
        url, waits = addresses.next(), patience.begin()
        while True:
            try:
                return _read_once(transport, url, start, end, total, or_all=True)
            except DownloadError as error:
                if not waits.wait(error):
                    addresses.fail(url, error)
                    break


def _read_once(transport: Transport, url: str, start: int, end: int, total: int, *, or_all: bool = False) -> bytes:
    with transport.open(url, max_bytes=total if or_all else end - start, start=start, end=end) as response:
        if response.total not in (None, total):
            raise DownloadError(f"{url} has {response.total} bytes on the server, but {total} were signed", url=url)
        if response.status == 206:
            data = b"".join(response.chunks)
        elif or_all:
            data = b"".join(response.chunks)[start:end]
        else:
            raise RangesIgnoredError(f"{url} was asked for a part of the file, and answers with all of it", url=url)
    if len(data) != end - start:
        raise DownloadError(f"{url} ended {end - start - len(data)} bytes early", url=url)
    return data
