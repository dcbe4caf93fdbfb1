"""The flag that turns the maintenance page on (docs/formats.md section 9.2). Standard library only.

Whatever answers visitors reads it: updater.contrib.maintenance, a web server. The token by which the health check gets
past the page is known to this process alone; the file holds its digest, because the web server's user reads the file.
"""

from __future__ import annotations

import errno
import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from updater.errors import StateError
from updater.frozen import frozen
from updater.schema.document import dump_json, format_time, parse_time
from updater.schema.site_config import MaintenanceConfig
from updater.site.files import fsync_directory, remove_temporaries, write_atomic
from updater.site.reading import read_json

__all__ = ["LONGEST", "MaintenanceFlag"]

LONGEST = timedelta(hours=24)
"""Readers count a flag for no longer than this from when it was written."""

RETRY_AFTER = 60
"""Seconds after which a visitor's browser may ask again."""

_MOST = 64 * 1024
_NOT_A_FILE = (errno.EINVAL, errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.ENOTDIR, errno.EFBIG)
_SAME = timedelta(seconds=30)
"""A flag that lasts long enough is not written again for fewer seconds than this."""


@frozen
class _Written:
    """Our own flag as it lies on the disk."""

    since: str
    until: datetime | None


class MaintenanceFlag:
    """Raises, extends and lowers the flag at ``path``; without ``[maintenance] file`` every method does nothing.

    Every method may be repeated, and be the first one that a new process calls. They raise StateError: when the file
    cannot be written or removed, or is somebody else's.
    """

    def __init__(self, path: Path, config: MaintenanceConfig) -> None:
        self._path = path
        self._config = config
        self._token = ""

    @classmethod
    def of(cls, site: Path, config: MaintenanceConfig) -> MaintenanceFlag:
        """The flag of the site at this path."""
        return cls(site / config.file, config)

    @property
    def configured(self) -> bool:
        """Whether the owner wants a page at all."""
        return bool(self._config.file)

    def raise_flag(self, now: datetime, *, at_least: float = 0.0) -> str:
        """Turn the page on for the configured time, and for ``at_least`` seconds. Returns the token for the probe:
        the value of the header ``X-Tagship-Probe``; empty when no page is configured."""
        if not self.configured:
            return ""
        found = self._read()
        self._token = self._token or secrets.token_hex(32)
        self._write(now, self._end(now, at_least), found)
        return self._token

    def extend(self, now: datetime, *, at_least: float = 0.0) -> None:
        """See that the page stays on for the configured time from now, and for ``at_least`` seconds."""
        if not self.configured:
            return
        found, end = self._read(), self._end(now, at_least)
        if (
            self._token
            and found is not None
            and found.until is not None
            and end - _SAME <= found.until <= now + LONGEST
        ):
            return
        self.raise_flag(now, at_least=at_least)

    def hold(self, now: datetime) -> None:
        """Keep the page on until it is lowered: the site is neither the old nor the new version."""
        if self.configured:
            found = self._read()
            self._token = self._token or secrets.token_hex(32)
            self._write(now, None, found)

    def probe_token(self, now: datetime) -> str:
        """The token when the page is on, whichever process turned it on; else an empty string."""
        if self._token or not self.configured or self._read() is None:
            return self._token
        return self.raise_flag(now)  # its token died with the process that raised it

    def lower(self) -> None:
        """Turn the page off, and remove what a kill left of writing the flag. Somebody else's file stays."""
        if not self.configured:
            return
        try:
            if self._path.parent.is_dir():
                remove_temporaries(self._path)
            if self._is_ours():
                self._path.unlink(missing_ok=True)
                fsync_directory(self._path.parent)
        except OSError as error:
            raise StateError(
                f"The maintenance page cannot be turned off: {error}",
                hint=f"Remove {self._path}, which turns it on, or run `updater recover` as the user who owns it.",
            ) from error
        self._token = ""

    # inside

    def _end(self, now: datetime, at_least: float) -> datetime:
        lasts = timedelta(seconds=min(max(self._config.minutes * 60, at_least), LONGEST.total_seconds()))
        return now + lasts

    def _read(self) -> _Written | None:
        """Our flag, or None when there is none. Raises StateError for somebody else's file."""
        try:
            document = self._document()
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise self._foreign() from error
        if document is None:
            raise self._foreign()
        try:
            until = None if document.get("until") is None else parse_time(str(document["until"]))
        except ValueError:
            until = None
        return _Written(str(document.get("since", "")), until)

    def _is_ours(self) -> bool:
        try:
            return self._document() is not None
        except (FileNotFoundError, ValueError):
            return False
        except OSError as error:
            if error.errno in _NOT_A_FILE:
                return False
            raise

    def _document(self) -> Mapping[str, Any] | None:
        value = read_json(self._path, most=_MOST)
        return value if isinstance(value, dict) and isinstance(value.get("probe_sha256"), str) else None

    def _foreign(self) -> StateError:
        return StateError(
            f"[maintenance] file names {self._path}, which exists and is not the updater's.",
            hint="Remove that file if it is your own maintenance flag, or name another one in updater.toml.",
        )

    def _write(self, now: datetime, until: datetime | None, before: _Written | None) -> None:
        document = {
            "schema": "1.0",
            "since": before.since if before is not None and before.since else format_time(now),
            "written": format_time(now),
            "until": None if until is None else format_time(until),
            "retry_after": RETRY_AFTER,
            "probe_sha256": hashlib.sha256(self._token.encode()).hexdigest(),
            "message": self._config.message,
        }
        try:
            remove_temporaries(self._path)
            write_atomic(self._path, dump_json(document), mode=0o644)
        except OSError as error:
            raise StateError(
                f"The maintenance page cannot be turned on: {error}",
                hint=f"Check [maintenance] file in updater.toml: this user must be able to write {self._path}.",
            ) from error
