"""Writing the outline of a new release in terms of an old one (docs/formats.md section 12.2)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from updater.delta.outline import DERIVED_DELETIONS, EXECUTABLE, EXTRA, RENAMED, Content, base_of
from updater.schema.document import dump_json
from updater.schema.manifest import Manifest, ManifestFile
from updater.schema.varints import signed, unsigned

__all__ = ["Changes", "changes_between", "gaps", "write_outline"]


@dataclass(frozen=True)
class Changes:
    """What a delta between two releases has to say.

    ``base``: what lies at a new path in the old release, under the name that it would have in the new one. ``new``:
    files whose content the old release does not hold, in order of path. ``copies``: old files with the content of new
    ones.
    """

    old: Manifest
    new_manifest: Manifest
    renamed: bool
    base: Mapping[str, ManifestFile]
    new: Mapping[str, ManifestFile]
    copies: Mapping[str, ManifestFile]


def changes_between(old: Manifest, new: Manifest) -> Changes:
    """Compare two releases."""
    base = base_of(old, new.version)
    kept = len(base.keys() & new.files.keys())
    renamed = len(base) == len(old.files) and kept > len(old.files.keys() & new.files.keys())
    if not renamed:
        base = base_of(old, None)
    by_content = {file.sha256: file for file in reversed(list(old.files.values())) if file.symlink is None}
    fresh, copies = {}, {}
    for path, file in new.files.items():
        if file.symlink is not None or _same_content(file, base.get(path)):
            continue
        if file.sha256 in by_content:
            copies[path] = by_content[file.sha256]
        else:
            fresh[path] = file
    return Changes(old, new, renamed, base, fresh, copies)


def _same_content(file: ManifestFile, base: ManifestFile | None) -> bool:
    return base is not None and base.symlink is None and base.sha256 == file.sha256


def write_outline(changes: Changes) -> bytes:
    """The outline, before it is compressed."""
    old, new, base = changes.old, changes.new_manifest, changes.base
    gone = [path for path in old.files if path not in new.files]
    derived = bool(gone) and tuple(sorted(gone, key=str.encode)) == new.deleted and not new.deleted_extra
    flags = RENAMED * changes.renamed | DERIVED_DELETIONS * derived
    header = dataclasses.replace(new, files={}, deleted=() if derived else new.deleted).to_bytes()
    kept = [path for path in base if path in new.files]
    changed = {path for path in kept if _differs(new.files[path], base[path])}
    added = [path for path in new.files if path not in base]
    described = [path for path in new.files if path not in base or path in changed]
    return b"".join(
        (
            unsigned(flags),
            unsigned(len(header)),
            header,
            _positions([index for index, path in enumerate(base) if path not in new.files]),
            _positions([index for index, path in enumerate(kept) if path in changed]),
            _added(kept, added),
            _files(changes, described),
        )
    )


def gaps(positions: Iterable[int]) -> bytes:
    """Rising positions, each as its distance to the one after the last."""
    encoded, after = bytearray(), 0
    for position in positions:
        encoded += unsigned(position - after)
        after = position + 1
    return bytes(encoded)


def _positions(positions: list[int]) -> bytes:
    return unsigned(len(positions)) + gaps(positions)


def _differs(file: ManifestFile, base: ManifestFile) -> bool:
    return dataclasses.replace(base, path=file.path) != file


def _added(kept: list[str], added: list[str]) -> bytes:
    """Each added path: how many kept ones come before it, what it shares with the one before, and its own end."""
    encoded = bytearray(unsigned(len(added)))
    names = [path.encode() for path in kept]
    position, before = 0, b""
    for path in added:
        name = path.encode()
        start = position
        while position < len(names) and names[position] < name:
            before = names[position]
            position += 1
        shared = 0
        while shared < min(len(before), len(name)) and before[shared] == name[shared]:
            shared += 1
        encoded += unsigned(position - start) + unsigned(shared) + unsigned(len(name) - shared) + name[shared:]
        before = name
    return bytes(encoded)


def _files(changes: Changes, described: list[str]) -> bytes:
    flags, contents, extras = bytearray(), bytearray(), bytearray()
    positions = {path: index for index, path in enumerate(changes.old.files)}
    for path in described:
        file, base = changes.new_manifest.files[path], changes.base.get(path)
        flag = EXECUTABLE if file.mode & 0o111 else 0
        if file.symlink is not None:
            flag |= Content.SYMLINK
            target = file.symlink.encode()
            contents += unsigned(len(target)) + target
        elif path in changes.new:
            flag |= Content.NEW
            contents += unsigned(file.size) if base is None else signed(file.size - base.size)
        elif path in changes.copies:
            flag |= Content.COPY
            contents += unsigned(positions[changes.copies[path].path])
        else:
            flag |= Content.SAME
        if file.extra:
            flag |= EXTRA
            extra = dump_json(file.extra, indent=None)
            extras += unsigned(len(extra)) + extra
        flags.append(flag)
    return bytes(flags + contents + extras)
