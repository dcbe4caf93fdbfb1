"""The outline: a release's manifest without the digests of new content, said in terms of another release's manifest.

`read_outline` is the inverse of `feedgen.delta.outline.write_outline` (docs/formats.md section 12.2).
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from updater.delta.cursor import Cursor
from updater.errors import SchemaError
from updater.frozen import frozen
from updater.package.structure import MAX_MEMBERS
from updater.schema.document import Extra, parse_json
from updater.schema.manifest import Manifest, ManifestFile
from updater.schema.paths import check_path, check_symlink, find_collisions

__all__ = [
    "CONTENTS",
    "DERIVED_DELETIONS",
    "EXECUTABLE",
    "EXTRA",
    "MOST_FILES",
    "RENAMED",
    "Content",
    "Outline",
    "base_of",
    "complete",
    "head_prefix",
    "read_outline",
]

RENAMED = 1
"""Flag of an outline: the old version in an old path stands for the new version."""
DERIVED_DELETIONS = 2
"""Flag of an outline: the manifest's ``delete`` entries are the old paths that are gone, without unknown fields."""

CONTENTS = 3
EXECUTABLE = 4
EXTRA = 8

MOST_FILES = MAX_MEMBERS
_LONGEST_TEXT = 1 << 22
_LARGEST = 1 << 40


class Content:
    """Where a file's content comes from: the two low bits of its flags."""

    SAME = 0
    NEW = 1
    COPY = 2
    SYMLINK = 3


@frozen
class Outline:
    """``manifest``: new files have an empty sha256. ``new``: their paths, in order, and what lies at that path in the
    old release, if a file does."""

    manifest: Manifest
    new: Mapping[str, ManifestFile | None]


@dataclass
class _Entry:
    path: str
    base: ManifestFile | None
    changed: bool = False


def head_prefix(old: Manifest) -> bytes:
    """What the head is compressed against: the old manifest without its files, and the old paths, a line each."""
    paths = "\n".join(old.files)
    return dataclasses.replace(old, files={}, deleted=(), deleted_extra={}).to_bytes() + paths.encode() + b"\n"


def base_of(old: Manifest, version: str | None) -> dict[str, ManifestFile]:
    """The old files by the path that each would have in the release ``version`` (None: by their own), sorted by it."""
    if version is None:
        return dict(old.files)
    paths = ((path.replace(old.version, version), file) for path, file in old.files.items())
    return dict(sorted(paths, key=lambda item: item[0].encode()))


def complete(outline: Manifest, digests: Mapping[str, str]) -> Manifest:
    """The manifest with the digests (64 hex digits, by path) of what was built from new content. Raises KeyError."""
    files = {
        path: file if file.sha256 else dataclasses.replace(file, sha256=digests[path])
        for path, file in outline.files.items()
    }
    return dataclasses.replace(outline, files=files)


def read_outline(cursor: Cursor, old: Manifest) -> Outline:
    """The outline at the cursor. Raises UnsafeArchiveError for what breaks the format."""
    flags = cursor.unsigned(RENAMED | DERIVED_DELETIONS)
    header = _read_header(cursor)
    base = base_of(old, header.version if flags & RENAMED else None)
    if len(base) != len(old.files):
        raise cursor.fail("two old paths become one")
    gone = set(cursor.gaps(cursor.count(len(base)), len(base)))
    kept = [_Entry(path, file) for index, (path, file) in enumerate(base.items()) if index not in gone]
    for index in cursor.gaps(cursor.count(len(kept)), len(kept)):
        kept[index].changed = True
    entries = _merge(cursor, kept)
    files = _read_files(cursor, entries, list(old.files.values()))
    deleted, deleted_extra = header.deleted, header.deleted_extra
    if flags & DERIVED_DELETIONS:
        if deleted:
            raise cursor.fail("the deleted paths are given twice")
        deleted = tuple(path for path in old.files if path not in files)
    _check_paths(cursor, entries, files)
    manifest = dataclasses.replace(header, files=files, deleted=deleted, deleted_extra=deleted_extra)
    bases = {entry.path: entry.base for entry in entries}
    new = {path: _regular(bases[path]) for path, file in files.items() if not file.sha256}
    return Outline(manifest, new)


def _regular(base: ManifestFile | None) -> ManifestFile | None:
    return base if base is not None and base.symlink is None else None


def _read_header(cursor: Cursor) -> Manifest:
    try:
        header = Manifest.parse(cursor.bytes(cursor.unsigned(_LONGEST_TEXT)), "the head of the delta")
    except SchemaError as error:
        raise cursor.fail(str(error)) from error
    if header.files:
        raise cursor.fail("the manifest's fields list files")
    return header


def _merge(cursor: Cursor, kept: list[_Entry]) -> list[_Entry]:
    """The kept entries with the added ones among them, in order of path."""
    count = cursor.count(MOST_FILES)
    if count + len(kept) > MOST_FILES:
        raise cursor.fail(f"the release would have more than {MOST_FILES} files")
    entries: list[_Entry] = []
    position = 0
    for _ in range(count):
        passed = cursor.unsigned(len(kept) - position)
        entries += kept[position : position + passed]
        position += passed
        before = entries[-1].path.encode() if entries else b""
        shared = cursor.unsigned(len(before))
        path = before[:shared] + cursor.bytes(cursor.unsigned(1024))
        try:
            text = path.decode()
            check_path(text)
        except ValueError as error:
            raise cursor.fail(f"a path is not acceptable: {error}") from error
        if not before < path or (position < len(kept) and not path < kept[position].path.encode()):
            raise cursor.fail(f"{text!r} does not stand in order")
        entries.append(_Entry(text, None, changed=True))
    return entries + kept[position:]


def _read_files(cursor: Cursor, entries: list[_Entry], old: list[ManifestFile]) -> dict[str, ManifestFile]:
    changed = [entry for entry in entries if entry.changed]
    flags = cursor.bytes(len(changed))
    if any(flag > CONTENTS | EXECUTABLE | EXTRA for flag in flags):
        raise cursor.fail("a file has unknown flags")
    contents = [_read_content(cursor, entry, flag, old) for entry, flag in zip(changed, flags, strict=True)]
    extras = [_read_extra(cursor) if flag & EXTRA else {} for flag in flags]
    described = iter(zip(contents, extras, strict=True))
    return {entry.path: _file(entry, described) for entry in entries}


def _file(entry: _Entry, described: Iterator[tuple[ManifestFile, Extra]]) -> ManifestFile:
    if entry.changed or entry.base is None:
        file, extra = next(described)
        return dataclasses.replace(file, extra=extra) if extra else file
    return entry.base if entry.base.path == entry.path else dataclasses.replace(entry.base, path=entry.path)


def _read_content(cursor: Cursor, entry: _Entry, flag: int, old: list[ManifestFile]) -> ManifestFile:
    mode = 0o755 if flag & EXECUTABLE else 0o644
    base = entry.base
    match flag & CONTENTS:
        case Content.SAME:
            if base is None or base.symlink is not None:
                raise cursor.fail(f"{entry.path!r} is said to keep content that it never had")
            return ManifestFile(entry.path, base.sha256, base.size, mode)
        case Content.NEW:
            size = cursor.unsigned(_LARGEST) if base is None else base.size + cursor.signed(_LARGEST)
            if not 0 <= size <= _LARGEST:
                raise cursor.fail(f"{entry.path!r} would have {size} bytes")
            return ManifestFile(entry.path, "", size, mode)
        case Content.COPY:
            source = old[cursor.index(len(old))]
            if source.symlink is not None:
                raise cursor.fail(f"{entry.path!r} is said to be a copy of a symlink")
            return ManifestFile(entry.path, source.sha256, source.size, mode)
        case _:
            return _read_symlink(cursor, entry.path)


def _read_symlink(cursor: Cursor, path: str) -> ManifestFile:
    target = cursor.text(4096)
    try:
        check_symlink(path, target)
    except ValueError as error:
        raise cursor.fail(str(error)) from error
    data = target.encode()
    return ManifestFile(path, hashlib.sha256(data).hexdigest(), len(data), 0, target)


def _read_extra(cursor: Cursor) -> Extra:
    known = {"path", "action", "sha256", "size", "mode", "symlink"}
    try:
        extra = parse_json(cursor.bytes(cursor.unsigned(_LONGEST_TEXT)), "the unknown fields of a file")
    except SchemaError as error:
        raise cursor.fail(str(error)) from error
    if not extra.keys().isdisjoint(known):
        raise cursor.fail("known fields stand among the unknown ones")
    return extra


def _check_paths(cursor: Cursor, entries: list[_Entry], files: Mapping[str, ManifestFile]) -> None:
    """A name that the old release had is good where it was; moved and added ones have to be judged together with it."""
    moved = [entry for entry in entries if entry.base is None or entry.base.path != entry.path]
    if not moved:
        return
    try:
        for entry in moved:
            check_path(entry.path)
            link = files[entry.path].symlink
            if link is not None:
                check_symlink(entry.path, link)
    except ValueError as error:
        raise cursor.fail(f"a path is not acceptable: {error}") from error
    collisions = find_collisions(files)
    if collisions:
        raise cursor.fail("; ".join(collisions[:10]))
