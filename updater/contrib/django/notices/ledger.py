"""What was told to whom, in a file: a database that went back with an update would tell everything again. No Django."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from updater.contrib.django.runs.folder import RunFolder
from updater.schema.document import format_time, parse_time
from updater.site.reading import read_json

__all__ = ["Ledger"]

_MOST = 4 * 2**20
_KEPT = 500


class Ledger:
    """Keys of notices to where they went: e-mail addresses, ``webhook``, names of hooks. The newest 500 are kept."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._sent: dict[str, list[str]] = {}
        self.last_mail: datetime | None = None
        try:
            found = read_json(folder.sent_path, most=_MOST)
            self._sent = {str(key): [str(name) for name in names] for key, names in found["sent"].items()}
            self.last_mail = None if found["last_mail"] is None else parse_time(found["last_mail"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass  # it only ever keeps something from being told twice

    def has(self, key: str, name: str) -> bool:
        """Whether the notice went there."""
        return name in self._sent.get(key, ())

    def names(self, key: str) -> list[str]:
        """Where the notice went."""
        return list(self._sent.get(key, ()))

    def add(self, keys: Iterable[str], name: str) -> None:
        """They went there; written down at once, so that a crash does not tell them again."""
        for key in keys:
            if not self.has(key, name):
                self._sent.setdefault(key, []).append(name)
        self._write()

    def mailed(self, at: datetime) -> None:
        """A mail went out."""
        self.last_mail = at
        self._write()

    def _write(self) -> None:
        newest: Mapping[str, Any] = dict(list(self._sent.items())[-_KEPT:])
        last = None if self.last_mail is None else format_time(self.last_mail)
        self._folder.write_document(self._folder.sent_path, {"schema": "1.0", "sent": newest, "last_mail": last})
