"""Writing the table of groups (docs/formats.md section 12.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from feedgen.delta.outline import Changes, gaps
from feedgen.delta.pack import Packed
from updater.delta.groups import CATALOGS, CHOSEN, SLICED
from updater.delta.varints import unsigned
from updater.schema.manifest import ManifestFile

__all__ = ["write_table"]


def write_table(changes: Changes, groups: Sequence[Packed]) -> bytes:
    """The table of ``groups``, which lie behind the head in this order."""
    table = bytearray(unsigned(len(groups)))
    left = list(changes.new)
    positions = {path: index for index, path in enumerate(changes.old.files)}
    for number, group in enumerate(groups, 1):
        paths = [file.path for file in group.plan.targets]
        last = number == len(groups)
        default = _is_default(changes, group)
        flags = CATALOGS * bool(group.catalogs) | CHOSEN * (not default) | SLICED * group.plan.large
        table += unsigned(group.codec) + unsigned(flags)
        taken = set(paths)
        if not last:
            table += unsigned(len(paths)) + gaps(index for index, path in enumerate(left) if path in taken)
        if group.catalogs:
            catalogs = [paths.index(path) for path in group.catalogs]
            table += unsigned(len(catalogs)) + gaps(catalogs)
        if not default:
            table += _references(changes, group, positions)
        table += _pieces(group, last=last)
        left = [path for path in left if path not in taken]
    return bytes(table)


def _base(changes: Changes, path: str) -> tuple[ManifestFile, ...]:
    base = changes.base.get(path)
    return (base,) if base is not None and base.symlink is None and base.size else ()


def _is_default(changes: Changes, group: Packed) -> bool:
    return all(old == _base(changes, path) for path, old in group.plan.chosen.items())


def _references(changes: Changes, group: Packed, positions: Mapping[str, int]) -> bytes:
    """For each target the first of its references; then the others, which the reader puts behind all of these."""
    encoded = bytearray()
    firsts: set[str] = set()
    for file in group.plan.targets:
        old = group.plan.chosen[file.path][:1]
        firsts.update(file.path for file in old)
        encoded += unsigned(0 if old == _base(changes, file.path) else 1 if not old else positions[old[0].path] + 2)
    others = sorted(positions[file.path] for file in group.plan.references if file.path not in firsts)
    return bytes(encoded) + unsigned(len(others)) + gaps(others)


def _pieces(group: Packed, *, last: bool) -> bytes:
    encoded = bytearray()
    for piece in group.pieces:
        if group.plan.large:
            encoded += unsigned(piece.size) + unsigned(piece.start) + unsigned(piece.length)
        if group.plan.large or not last:
            encoded += unsigned(len(piece.data))
    return bytes(encoded)
