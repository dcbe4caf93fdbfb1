"""Writing the table of groups (docs/formats.md section 12.3)."""

from __future__ import annotations

from collections.abc import Sequence

from feedgen.delta.outline import Changes, gaps
from feedgen.delta.pack import Packed
from updater.delta.groups import CHOSEN, DEPENDENT, STORED, ZSTD
from updater.schema.manifest import ManifestFile
from updater.schema.varints import unsigned

__all__ = ["write_table"]


def write_table(changes: Changes, groups: Sequence[Packed]) -> bytes:
    """The table of ``groups``, which lie behind the head in this order."""
    table = bytearray(unsigned(len(groups)))
    left = list(changes.new)
    positions = {path: index for index, path in enumerate(changes.old.files)}
    for number, group in enumerate(groups, 1):
        plan = group.plan
        paths = {file.path for file in plan.targets}
        last = number == len(groups)
        named = any(plan.chosen[path] != _base(changes, path) for path in paths)
        table += unsigned(plan.codec) + unsigned(CHOSEN * named | DEPENDENT * plan.dependent)
        if not last:
            table += unsigned(len(paths)) + gaps(index for index, path in enumerate(left) if path in paths)
        for file in plan.targets if named else ():
            old = plan.chosen[file.path]
            default = old == _base(changes, file.path) and old
            table += unsigned(0 if default else len(old) + 1)
            table += b"".join(unsigned(positions[reference.path]) for reference in (() if default else old))
        for piece in group.pieces:
            if plan.codec in (STORED, ZSTD):
                table += unsigned(piece.size) + unsigned(piece.start) + unsigned(piece.length)
            if plan.codec in (STORED, ZSTD) or not last:
                table += unsigned(len(piece.data))
        left = [path for path in left if path not in paths]
    return bytes(table)


def _base(changes: Changes, path: str) -> tuple[ManifestFile, ...]:
    base = changes.base.get(path)
    return () if base is None or base.symlink is not None else (base,)
