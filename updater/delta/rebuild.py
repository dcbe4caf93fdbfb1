"""Building a group's targets out of old files, edits and new text (docs/formats.md section 12.5)."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable

from updater.delta.cursor import refuse
from updater.delta.digests import Digests
from updater.delta.edits import Control, TargetEdits, mark_prefix
from updater.delta.gettext import GettextError, pack
from updater.delta.groups import LARGEST_PIECE, LARGEST_PREFIX, Group
from updater.delta.record import RecordError, expand
from updater.delta.references import OpenReference, read_reference
from updater.delta.stream import Create, Stream
from updater.delta.views import Form, Tokens, too_many_tokens, view_of_old
from updater.schema.manifest import ManifestFile

__all__ = ["Rebuild"]


class Rebuild:
    """One group of edits. Raises UnsafeArchiveError for what does not fit together; reads every reference twice."""

    def __init__(
        self, group: Group, control: Control, open_reference: OpenReference, digests: Digests, name: str
    ) -> None:
        self._group = group
        self._control = control
        self._open = open_reference
        self._digests = digests
        self._name = name
        self._targets = in_order(group.targets, control.targets)
        self._kept: dict[str, array[int]] = {}
        """By target: where what each edit keeps of the base begins and ends, in bytes."""
        if max((file.size for file in group.targets), default=0) > LARGEST_PIECE:
            raise refuse(name, f"a group of edits builds a file of more than {LARGEST_PIECE} bytes")

    def prefix(self) -> bytearray:
        """What the new text is compressed against: of each base, once, what some target does not keep of it."""
        by_base: dict[tuple[object, ...], list[tuple[ManifestFile, TargetEdits]]] = {}
        for file, edits in self._targets:
            by_base.setdefault((edits.form, *(old.path for old in self._chosen(file))), []).append((file, edits))
        found = bytearray()  # not a list to join: that would be there twice
        for pairs in by_base.values():
            file, edits = pairs[0]
            base = self._cut(self._base(file, edits), edits.form, file)
            wanted = bytearray(len(base))
            for file, edits in pairs:
                mark_prefix(wanted, edits.edits, edits.context(self._control.context))
                self._kept[file.path] = self._spans(base, file, edits)
            found += base.marked(wanted)
            if len(found) > LARGEST_PREFIX:
                raise refuse(self._name, f"a group has more than {LARGEST_PREFIX} bytes of prefix")
        return found

    def write(self, text: Stream, create: Create) -> None:
        """Build every target out of the new ``text``, once `prefix` was asked for."""
        lists = any(edits.form is Form.RECORD for _, edits in self._targets)
        for file, edits in self._targets:
            data = self._build(file, edits, text)
            if len(data) != file.size:
                raise refuse(self._name, f"{file.path!r} would have {len(data)} bytes and not {file.size}")
            with create(file) as sink:
                sink.write(data)
            if lists:
                self._digests.add(file.path, hashlib.sha256(data).hexdigest())
        text.finish()

    def _base(self, file: ManifestFile, edits: TargetEdits) -> bytes:
        """The old files that ``file`` is built from, looked at in its form."""
        old = self._chosen(file)
        if sum(reference.size for reference in old) > LARGEST_PREFIX:
            raise refuse(self._name, f"{file.path!r} is built from more than {LARGEST_PREFIX} bytes")
        views = (
            view_of_old(read_reference(self._open, reference), reference.path, edits.form, self._digests.of_old)
            for reference in old
        )
        return b"".join(views)

    def _spans(self, base: Tokens, file: ManifestFile, edits: TargetEdits) -> array[int]:
        found = array("I")
        for edit in edits.edits:
            if edit.start + edit.copied > len(base):
                raise refuse(self._name, f"{file.path!r} keeps more than there was")
            found.extend(base.span(edit.start, edit.start + edit.copied))
        return found

    def _chosen(self, file: ManifestFile) -> tuple[ManifestFile, ...]:
        return self._group.chosen[file.path]

    def _cut(self, view: bytes, form: Form, file: ManifestFile) -> Tokens:
        if too_many_tokens(view, form):
            raise refuse(self._name, f"{file.path!r} or what it is built from has too many lines")
        return Tokens(view, form)

    def _build(self, file: ManifestFile, edits: TargetEdits, text: Stream) -> bytes:
        base, spans = memoryview(self._base(file, edits)), iter(self._kept[file.path])
        kept = [base[start:stop] for start, stop in zip(spans, spans, strict=True)]
        try:
            literal_size = edits.view_size(file) - sum(map(len, kept))
            if literal_size < 0:
                raise refuse(self._name, f"{file.path!r} keeps more than it has")
            literal = self._cut(b"".join(text.take(literal_size)), edits.form, file)
            parts: list[memoryview] = []
            position = 0
            for edit, run in zip(edits.edits, kept, strict=True):
                parts += (literal.cut(position, position + edit.literal), run)
                position += edit.literal
            view = b"".join((*parts, literal.cut(position)))
            if edits.form is Form.CATALOG:
                return pack(edits.number, view)
            return expand(view, file.path, self._digests.of_new) if edits.form is Form.RECORD else view
        except (GettextError, RecordError) as error:
            raise refuse(self._name, f"{file.path!r} cannot be made: it {error}") from error


def in_order(files: Iterable[ManifestFile], edits: Iterable[TargetEdits]) -> list[tuple[ManifestFile, TargetEdits]]:
    """The targets with their edits in the order in which they are built: lists of digests last."""
    return sorted(zip(files, edits, strict=True), key=lambda pair: pair[1].form is Form.RECORD)
