"""Packages made by an independent, tiny writer, straight from docs/formats.md section 3.

It shares no code with the publisher, so that a package it makes and one the publisher makes check each other.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from updater.package.index import NewBlock, PackedMember, WrittenIndex, write_index
from updater.schema.feed import Package, PackageIndex, Release
from updater.schema.manifest import MANIFEST_NAME, Manifest, ManifestFile, PythonRequirements
from updater.schema.text import channel_of
from updater.schema.version_file import VERSION_FILE_NAME, VersionFile

__all__ = ["Built", "Symlink", "deflate", "make_package", "zip_bytes"]

RELEASED = datetime(2026, 1, 20, 10, 0, 0, tzinfo=UTC)


class Symlink(str):
    """The target of a symlink, where ``make_package`` otherwise takes a file's bytes."""

    __slots__ = ()


@dataclass(frozen=True)
class Built:
    """A package and everything the feed says of it. Sizes and offsets in bytes."""

    package: bytes
    manifest: Manifest
    manifest_bytes: bytes
    tail_offset: int
    index: WrittenIndex | None = None

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.package).hexdigest()

    @property
    def size(self) -> int:
        return len(self.package)

    @property
    def tail_size(self) -> int:
        return self.size - self.tail_offset

    @property
    def tail(self) -> bytes:
        return self.package[self.tail_offset :]

    @property
    def manifest_sha256(self) -> str:
        return hashlib.sha256(self.manifest_bytes).hexdigest()

    @property
    def file_name(self) -> str:
        return f"{self.manifest.app}-{self.manifest.version}.zip"

    @property
    def index_name(self) -> str:
        return f"{self.manifest.app}-{self.manifest.version}.index"

    def to_release(self, urls: Sequence[str] = ()) -> Release:
        """The release as a feed would list it."""
        index = self.index
        return Release(
            version=self.manifest.version,
            published=self.manifest.release_date,
            package=Package(
                urls=tuple(urls) or (f"packages/{self.file_name}",),
                size=self.size,
                sha256=self.sha256,
                tail_offset=self.tail_offset,
                tail_size=self.tail_size,
                index=None
                if index is None
                else PackageIndex(
                    (f"packages/{self.index_name}",), len(index.data), index.head_size, index.head_sha256
                ),
            ),
            manifest_sha256=self.manifest_sha256,
            manifest_size=len(self.manifest_bytes),
        )


def make_package(
    files: Mapping[str, bytes | Symlink],
    *,
    app: str = "shop",
    component: str = "core",
    version: str = "1.0.0",
    released: datetime = RELEASED,
    executable: Collection[str] = (),
    preserve: Sequence[str] = (),
    commands: Sequence[str] = (),
    migrations: Sequence[str] = (),
    deleted: Sequence[str] = (),
    notes: str = "",
    before: Sequence[Built] = (),
    history_cut: bool = False,
    python: PythonRequirements | None = None,
) -> Built:
    """A package of ``files`` (path to bytes, or to a Symlink); ``version.json`` is added unless it is given.

    ``before``: the releases before this one, newest first; then the members come in order of their last change, and
    there is an index. ``history_cut``: there were older ones than those.
    """
    tree: dict[str, bytes | Symlink] = dict(files)
    identity = VersionFile(app=app, component=component, version=version, channel=channel_of(version), date=released)
    tree.setdefault(VERSION_FILE_NAME, identity.to_bytes())
    ordered = dict(sorted(tree.items(), key=lambda item: item[0].encode()))
    manifest = Manifest(
        app=app,
        component=component,
        version=version,
        channel=channel_of(version),
        release_date=released,
        release_notes=notes,
        files={path: _manifest_file(path, content, path in executable) for path, content in ordered.items()},
        deleted=tuple(deleted),
        migrations=tuple(migrations),
        post_update_commands=tuple(commands),
        preserve=tuple(preserve),
        python=python,
    )
    manifest_bytes = manifest.to_bytes()
    blocks = _blocks(manifest, [built.manifest for built in before], cut=history_cut)
    order = [path for block in blocks for path in block.paths] if before else list(ordered)
    members = [(path, _unix_mode(manifest.files[path]), _content(ordered[path])) for path in order]
    members.append((MANIFEST_NAME, 0o100644, manifest_bytes))
    package, offsets = zip_bytes(members, released)
    index = write_index(manifest, _packed(manifest, order, offsets), blocks) if before else None
    return Built(package, manifest, manifest_bytes, tail_offset=offsets[-1], index=index)


def _blocks(manifest: Manifest, before: Sequence[Manifest], *, cut: bool) -> list[NewBlock]:
    """The blocks of an index, newest first, straight from docs/formats.md sections 3 and 11."""
    releases = [manifest, *before]
    since: dict[int, list[str]] = {number: [] for number in range(len(releases))}
    for path, file in manifest.files.items():
        number = 0
        while number + 1 < len(releases):
            older = releases[number + 1].files.get(path)
            if older is None or not older.same_content(file):
                break
            number += 1
        since[number].append(path)
    blocks = []
    for number, release in enumerate(releases):
        before_it = releases[number + 1].files if number + 1 < len(releases) else {}
        gone = [path for path in before_it if path not in manifest.files]
        last = number + 1 == len(releases)
        if since[number] or gone or last:
            blocks.append(NewBlock(None if last and cut else release.version, since[number], gone))
    return blocks


def _packed(manifest: Manifest, order: Sequence[str], offsets: Sequence[int]) -> dict[str, PackedMember]:
    found = {}
    for number, path in enumerate(order):
        size = offsets[number + 1] - offsets[number] - 30 - len(path.encode())
        found[path] = PackedMember(size, stored=size == manifest.files[path].size)
    return found


def zip_bytes(members: Sequence[tuple[str, int, bytes]], moment: datetime = RELEASED) -> tuple[bytes, list[int]]:
    """A zip of (path, Unix mode, content) in exactly the package structure, and where each local header begins."""
    time = moment.hour << 11 | moment.minute << 5 | moment.second // 2
    date = (moment.year - 1980) << 9 | moment.month << 5 | moment.day
    out, directory, offsets = bytearray(), bytearray(), []
    for path, mode, content in members:
        name, packed = path.encode(), deflate(content)
        method = 8 if len(packed) < len(content) else 0
        data = packed if method else content
        common = struct.pack(
            "<HHHHIIIHH", 0x800, method, time, date, zlib.crc32(content), len(data), len(content), len(name), 0
        )
        offsets.append(len(out))
        directory += b"PK\x01\x02" + struct.pack("<HH", 3 << 8 | 20, 20) + common
        directory += struct.pack("<HHHII", 0, 0, 0, mode << 16, len(out)) + name
        out += b"PK\x03\x04" + struct.pack("<H", 20) + common + name + data
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), len(out), 0)
    return bytes(out + directory + b"PK\x05\x06" + end), offsets


def deflate(content: bytes, level: int = 9) -> bytes:
    """A raw deflate stream."""
    packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


def _content(content: bytes | Symlink) -> bytes:
    return content.encode() if isinstance(content, Symlink) else content


def _manifest_file(path: str, content: bytes | Symlink, executable: bool) -> ManifestFile:
    data = _content(content)
    link = str(content) if isinstance(content, Symlink) else None
    mode = 0 if link is not None else 0o755 if executable else 0o644
    return ManifestFile(path, hashlib.sha256(data).hexdigest(), len(data), mode, link)


def _unix_mode(file: ManifestFile) -> int:
    return 0o120777 if file.symlink is not None else 0o100000 | file.mode
