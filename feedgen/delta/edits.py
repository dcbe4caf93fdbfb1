"""Packing a group as edits of old files (docs/formats.md section 12.5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from feedgen.delta.matching import find_edits
from updater.delta.edits import TargetEdits, mark_prefix
from updater.delta.gettext import GettextError, pack, unpack
from updater.delta.record import Lookup, RecordError, expand, is_record, shrink
from updater.delta.views import Form, Tokens, view_of_old
from updater.schema.manifest import ManifestFile
from updater.schema.varints import signed, unsigned

__all__ = ["CONTEXT", "EditedGroup", "Known", "form_of", "write_control"]

CONTEXT = 8
"""How many lines around new text are part of the prefix: new text is often like what is near."""

_LONG_LINE = 200
_LEAST = {Form.LINES: 24, Form.STATEMENTS: 64, Form.CATALOG: 24, Form.RECORD: 24}


@dataclass(frozen=True)
class Known:
    """Digests by path: of old files, and of those new ones that a client knows when it builds a list of digests."""

    of_old: Lookup
    of_new: Lookup


@dataclass
class EditedGroup:
    """A group while it is told as edits: the edits of each target, all new text, and its prefix by base."""

    targets: list[TargetEdits] = field(default_factory=list)
    text: list[memoryview] = field(default_factory=list)
    _bases: dict[tuple[object, ...], tuple[Tokens, bytearray]] = field(default_factory=dict)
    _parts: dict[tuple[object, ...], bytes] = field(default_factory=dict)

    def add(
        self, file: ManifestFile, data: bytes, old: Sequence[tuple[ManifestFile, bytes]], known: Known, *, last: bool
    ) -> None:
        """Another target, and the old files to build it from. ``last``: no other one will be built from the same."""
        form, number, view = form_of(file.path, data, known.of_new)
        key = (form, *(reference.path for reference, _ in old))
        if key not in self._bases:
            views = (view_of_old(content, reference.path, form, known.of_old) for reference, content in old)
            base = Tokens(b"".join(views), form)
            self._bases[key] = base, bytearray(len(base))
            self._parts[key] = b""  # keeps the order of first use
        base, wanted = self._bases[key]
        new = Tokens(view, form)
        edits = find_edits(list(base), list(new), _LEAST[form])
        target = TargetEdits(form, number, edits)
        self.targets.append(target)
        position = 0
        for edit in edits:
            self.text.append(new.cut(position, position + edit.literal))
            position += edit.literal + edit.copied
        self.text.append(new.cut(position))
        mark_prefix(wanted, edits, target.context(CONTEXT))
        if last:
            self._finish(key)

    def prefix(self) -> bytes:
        """What the new text is compressed against."""
        for key in list(self._bases):
            self._finish(key)
        return b"".join(self._parts.values())

    def _finish(self, key: tuple[object, ...]) -> None:
        base, wanted = self._bases.pop(key)
        self._parts[key] = base.marked(wanted)


def write_control(targets: Sequence[TargetEdits]) -> bytes:
    """The edits of a group's targets, these in order of path."""
    edits = [edit for target in targets for edit in target.edits]
    literals = b"".join(unsigned(edit.literal) for edit in edits)
    copies = b"".join(unsigned(edit.copied) for edit in edits)
    return b"".join(
        (
            unsigned(CONTEXT),
            bytes(target.form for target in targets),
            *(unsigned(target.number) for target in targets if target.form in (Form.CATALOG, Form.RECORD)),
            *(unsigned(len(target.edits)) for target in targets),
            literals,
            *(signed(skip) for target in targets for skip in _skips(target)),
            copies,
        )
    )


def _skips(target: TargetEdits) -> Iterator[int]:
    """How far each edit lies behind where it would when new text had taken the place of as many old tokens."""
    position = 0
    for edit in target.edits:
        yield edit.start - position - edit.literal
        position = edit.start + edit.copied


def form_of(path: str, data: bytes, lookup: Lookup) -> tuple[Form, int, bytes]:
    """The form that says most with least, its number and the view; never one that cannot be undone."""
    if path.endswith(".mo"):
        try:
            number, view = unpack(data)
            if pack(number, view) == data:
                return Form.CATALOG, number, view
        except GettextError:
            pass
    if is_record(path):
        try:
            view = shrink(data, path, lookup)
            if expand(view, path, lookup) == data:
                return Form.RECORD, len(view), view
        except RecordError:
            pass
    long = data.count(b"\n") * _LONG_LINE < len(data)
    return (Form.STATEMENTS if long else Form.LINES), 0, data
