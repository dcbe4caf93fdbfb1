"""Content that is told as edits of old files: what to keep of them, and the text that is new (docs/formats.md 12.5).

The text is compressed with those parts of the old files as prefix that are not kept: what stood where it now stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from updater.delta.cursor import Cursor
from updater.delta.gettext import strings_size
from updater.delta.views import Form
from updater.frozen import frozen
from updater.schema.manifest import ManifestFile

__all__ = ["Control", "Edit", "TargetEdits", "mark_prefix", "read_control"]

_MOST_CONTEXT = 1 << 10
_MOST_EDITS = 1 << 20
_FAR = 1 << 30


@dataclass(frozen=True)
class Edit:
    """``literal`` tokens of new text, then ``copied`` tokens of the base from the position ``start`` on."""

    literal: int
    start: int
    copied: int


@dataclass(frozen=True)
class TargetEdits:
    """How one target comes about. ``number`` is for its form: of a catalog what `unpack` gives, of a list the size of
    its view."""

    form: Form
    number: int
    edits: tuple[Edit, ...]

    def context(self, most: int) -> int:
        """How many tokens around new text are in the prefix: none where tokens are less than lines."""
        return 0 if self.form is Form.STATEMENTS else most

    def view_size(self, file: ManifestFile) -> int:
        """Bytes of its view. Raises GettextError for a catalog that cannot be."""
        if self.form is Form.CATALOG:
            return strings_size(self.number, file.size)
        return self.number if self.form is Form.RECORD else file.size


@frozen
class Control:
    """The edits of a group, target by target, and how many lines around new text are in the prefix."""

    context: int
    targets: tuple[TargetEdits, ...]


def read_control(cursor: Cursor, count: int) -> Control:
    """The edits of ``count`` targets at the cursor, and nothing after them."""
    context = cursor.unsigned(_MOST_CONTEXT)
    codes = cursor.bytes(count)
    if any(code > max(Form) for code in codes):
        raise cursor.fail("a target has an unknown form")
    forms = [Form(code) for code in codes]
    numbers = [cursor.unsigned(_FAR) if form in (Form.CATALOG, Form.RECORD) else 0 for form in forms]
    counts = [cursor.count(_MOST_EDITS) for _ in forms]
    total = sum(counts)
    if total * 3 > cursor.left:
        raise cursor.fail(f"{total} edits should follow")
    literals = [cursor.unsigned(_FAR) for _ in range(total)]
    skips = [cursor.signed(_FAR) for _ in range(total)]
    copies = [cursor.unsigned(_FAR) for _ in range(total)]
    cursor.finish()
    rows = iter(zip(literals, skips, copies, strict=True))
    targets = []
    for form, number, edits in zip(forms, numbers, counts, strict=True):
        position, found = 0, []
        for _ in range(edits):
            literal, skip, copied = next(rows)
            position += literal + skip
            if position < 0 or not copied:
                raise cursor.fail("an edit keeps nothing")
            found.append(Edit(literal, position, copied))
            position += copied
        targets.append(TargetEdits(form, number, tuple(found)))
    return Control(context, tuple(targets))


def mark_prefix(wanted: bytearray, edits: Sequence[Edit], context: int) -> None:
    """Mark in ``wanted``, which has a byte for each token of the base, what new text is compressed against: the tokens
    that no edit keeps, and ``context`` ones before and after each place of new text. What is marked stays marked."""
    unused = bytearray(b"\1") * len(wanted)
    for edit in edits:
        stop = min(edit.start + edit.copied, len(wanted))  # a lie about that is found when the target is built
        unused[edit.start : stop] = bytes(max(stop - edit.start, 0))
    either = int.from_bytes(wanted, "little") | int.from_bytes(unused, "little")
    wanted[:] = either.to_bytes(len(wanted), "little")
    after = 0
    for edit in edits if context else ():
        if edit.literal:
            _mark(wanted, after, context)
            _mark(wanted, edit.start, context)
        after = edit.start + edit.copied
    if context:
        _mark(wanted, after, context)


def _mark(wanted: bytearray, position: int, context: int) -> None:
    start, stop = max(position - context, 0), min(position + context, len(wanted))
    if start < stop:
        wanted[start:stop] = b"\1" * (stop - start)
