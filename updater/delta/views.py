"""How a file is looked at when it is told apart from an old one: as lines, as statements, or in a form that says less.

A form turns a file into a *view* and back; a view is cut into tokens (docs/formats.md section 12.5).
"""

from __future__ import annotations

import re
from enum import IntEnum

from updater.delta.gettext import GettextError, unpack
from updater.delta.record import Lookup, RecordError, shrink

__all__ = ["MOST_TOKENS", "Form", "tokens", "too_many_tokens", "view_of_old"]

MOST_TOKENS = 1 << 18
"""Tokens that one view may have: each takes memory."""


class Form(IntEnum):
    """The forms, as they are written in a delta."""

    LINES = 0
    STATEMENTS = 1
    CATALOG = 2
    RECORD = 3


_ENDS = {Form.LINES: b"\n", Form.STATEMENTS: b"\n;,{}()", Form.CATALOG: b"\0", Form.RECORD: b"\n"}
_STATEMENT = re.compile(rb"[^\n;,{}()]*[\n;,{}()]|[^\n;,{}()]+")


def too_many_tokens(view: bytes, form: Form) -> bool:
    """Whether a view would be cut into more tokens than anyone may."""
    return sum(view.count(end) for end in _ENDS[form]) >= MOST_TOKENS


def tokens(view: bytes, form: Form) -> list[bytes]:
    """The view in pieces, each with the byte that ends it; joined they are the view."""
    if form is Form.STATEMENTS:
        return _STATEMENT.findall(view)
    end = _ENDS[form]
    parts = [part + end for part in view.split(end)]
    last = parts.pop()[:-1]
    return [*parts, last] if last else parts


def view_of_old(data: bytes, path: str, form: Form, lookup: Lookup) -> bytes:
    """The view of an old file, for a target in ``form``: as it is when it cannot have that form."""
    try:
        if form is Form.CATALOG:
            return unpack(data)[1]
        if form is Form.RECORD:
            return shrink(data, path, lookup)
    except (GettextError, RecordError):
        pass
    return data
