"""The folder that the web process and the process that installs share (docs/formats.md section 9.3).

``requests/`` is written by the web's user, ``runs/`` by the site's; each only reads what the other wrote, and what
comes from ``requests/`` is trusted in nothing.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from updater.contrib.django.runs.record import RunRecord
from updater.contrib.django.runs.request import LARGEST, Request, check_run_id
from updater.errors import LockedError, SchemaError, StateError
from updater.schema.text import check_name, check_version
from updater.site.reading import open_regular, read_file, read_json

__all__ = ["KEPT_RUNS", "STALE", "RunFolder"]

KEPT_RUNS = 50
STALE = timedelta(minutes=10)
"""A request that nobody took for so long is not carried out any more: its author has long gone on to other things."""

_MOST_RECORD = 2**20
_MOST_RESULT = 16 * 2**20
_MOST_SKIPPED = 64 * 1024
_LOG_PIECE = 16 * 1024


class RunFolder:
    """Where requests and runs lie. Paths only: opening one reads nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.requests = path / "requests"
        self.runs = path / "runs"
        self.request_path = self.requests / "request.json"
        self.cancel_path = self.requests / "cancel"
        self.skipped_path = self.requests / "skipped.json"
        self.current_path = self.runs / "current.json"
        self.check_path = self.runs / "check.json"
        self.view_path = self.runs / "site.json"
        self.sent_path = self.runs / "sent.json"
        self.lock_path = self.runs / "lock"

    def record_path(self, run_id: str) -> Path:
        return self._of_run(run_id, ".json")

    def log_path(self, run_id: str) -> Path:
        return self._of_run(run_id, ".log")

    def result_path(self, run_id: str) -> Path:
        return self._of_run(run_id, ".result.json")

    def _of_run(self, run_id: str, ending: str) -> Path:
        check_run_id(run_id)
        return self.runs / f"{run_id}{ending}"

    def prepare(self) -> None:
        """Make what is missing of it: for this user alone where the folder is new, else as the folder itself is."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = self.path.stat().st_mode & 0o7770
        for directory in (self.requests, self.runs):
            if not directory.is_dir():
                directory.mkdir(exist_ok=True)
                with suppress(PermissionError):  # set-group-id, for somebody who is not in that group
                    directory.chmod(mode)

    # requests: written by the web

    def ask(self, request: Request, now: datetime) -> None:
        """Leave a request. Raises LockedError when one waits already, OSError when this user may not."""
        self.prepare()
        waiting = self.waiting()
        if waiting is not None and now - waiting.at < STALE:
            raise LockedError(
                "Another request waits already.", hint="Wait until it has been carried out, or take it back."
            )
        self.withdraw()
        temporary = self.requests / f".{secrets.token_hex(8)}.tmp"
        try:
            self._create(temporary, request.to_bytes())
            os.link(temporary, self.request_path)  # unlike a rename, never over another one
        except FileExistsError as error:
            raise LockedError("Another request waits already.") from error
        finally:
            temporary.unlink(missing_ok=True)

    def waiting(self) -> Request | None:
        """The request that nobody has taken yet; None when there is none, or none that makes sense."""
        try:
            return Request.parse(read_file(self.request_path, most=LARGEST))
        except (OSError, SchemaError):
            return None

    def withdraw(self) -> None:
        """Take the waiting request back."""
        self.request_path.unlink(missing_ok=True)
        self.cancel_path.unlink(missing_ok=True)

    def ask_to_cancel(self, run_id: str) -> None:
        """Leave word that a run should end and be undone. Raises OSError."""
        check_run_id(run_id)
        self._replace(self.cancel_path, run_id.encode())

    def wants_to_cancel(self, run_id: str) -> bool:
        """Whether somebody left word that this run should end."""
        try:
            with open_regular(self.cancel_path, flags=getattr(os, "O_NOFOLLOW", 0)) as file:
                return file.read(64) == run_id.encode()
        except OSError:
            return False

    def skipped(self) -> dict[str, dict[str, Mapping[str, str]]]:
        """Versions that a person decided to pass over: component to version to ``actor`` and ``at``."""
        try:
            found = read_json(self.skipped_path, most=_MOST_SKIPPED)
            result: dict[str, dict[str, Mapping[str, str]]] = {}
            for component, versions in found["skipped"].items():
                check_name(component)
                for version, about in versions.items():
                    check_version(version)
                    said = {key: str(about.get(key, ""))[:200] for key in ("actor", "at")}
                    result.setdefault(component, {})[version] = said
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}
        return result

    def write_skipped(self, skipped: Mapping[str, Mapping[str, Mapping[str, str]]]) -> None:
        """Replace that list. Raises OSError."""
        self.prepare()
        self._replace(self.skipped_path, json.dumps({"schema": "1.0", "skipped": skipped}).encode())

    # runs: written by whoever installs

    def next_request(self) -> Request | None:
        """The waiting request, which `take` removes; one that makes no sense is removed at once and passed over.
        Raises StateError."""
        try:
            with open_regular(self.request_path, flags=getattr(os, "O_NOFOLLOW", 0)) as file:
                data = file.read(LARGEST + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._not_ours(error) from error
        with suppress(SchemaError):
            if len(data) <= LARGEST:
                return Request.parse(data)
        self._remove_request()
        return None

    def take(self, request: Request) -> bool:
        """Remove a request that is about to be carried out, when its run has a record already: at no moment a run is
        known by neither. False when somebody took it back meanwhile. Raises StateError."""
        return self.waiting() == request and self._remove_request()

    def _remove_request(self) -> bool:
        try:
            self.request_path.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._not_ours(error) from error
        return True

    def _not_ours(self, error: OSError) -> StateError:
        return StateError(
            f"The request {self.request_path} cannot be read and removed: {error.strerror}",
            hint="Give the site's user the right to read and remove files in that folder.",
        )

    def write_record(self, record: RunRecord) -> None:
        """Replace the record of a run, which becomes the current one. Raises OSError."""
        data = json.dumps(record.to_json(), default=str).encode()
        self._replace(self.record_path(record.id), data)
        self._replace(self.current_path, data)

    def write_document(self, path: Path, value: Mapping[str, Any]) -> None:
        """Replace one of the documents in ``runs/``. Raises OSError."""
        self.prepare()
        self._replace(path, json.dumps(value, default=str).encode())

    def record(self, run_id: str, now: datetime) -> RunRecord | None:
        """A run as it is now: taken or waiting; None when there is no such run."""
        found = _read_record(self.record_path(run_id))
        if found is None:
            waiting = self.waiting()
            if waiting is not None and waiting.id == run_id:
                return RunRecord.of(waiting)
            found = _read_record(self.record_path(run_id))  # taken since the first look
        return None if found is None else found.seen_at(now)

    def current(self, now: datetime) -> RunRecord | None:
        """What waits or goes on, else the run that ended last; None when there never was one."""
        waiting = self.waiting()
        if waiting is not None:
            return RunRecord.of(waiting)
        found = _read_record(self.current_path)
        return None if found is None else found.seen_at(now)

    def records(self, now: datetime) -> list[RunRecord]:
        """All runs that are kept, newest first."""
        found = (_read_record(self.record_path(run_id)) for run_id in self._ids())
        return [record.seen_at(now) for record in found if record is not None]

    def result(self, run_id: str) -> Mapping[str, Any]:
        """The document that the run's command printed; empty when there is none (yet)."""
        try:
            found = read_json(self.result_path(run_id), most=_MOST_RESULT)
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def log(self, run_id: str, offset: int = 0) -> tuple[str, int]:
        """A piece of what the run's command said, from byte ``offset`` on, and the offset behind it."""
        try:
            with open_regular(self.log_path(run_id)) as file:
                size = os.fstat(file.fileno()).st_size
                start = offset if 0 <= offset <= size else 0
                file.seek(max(start, size - _LOG_PIECE))
                data = file.read(_LOG_PIECE)
                return data.decode("utf-8", "replace"), file.tell()
        except OSError:
            return "", 0

    def forget_old(self) -> None:
        """Remove what lies here of runs beyond the newest ones. Raises OSError."""
        for run_id in self._ids()[KEPT_RUNS:]:
            for path in (self.record_path(run_id), self.log_path(run_id), self.result_path(run_id)):
                path.unlink(missing_ok=True)

    def _ids(self) -> list[str]:
        names = []
        with suppress(OSError):
            names = [path.name.removesuffix(".json") for path in self.runs.iterdir()]
        ids = []
        for name in names:
            with suppress(ValueError):
                check_run_id(name)
                ids.append(name)
        return sorted(ids, reverse=True)

    def _replace(self, path: Path, data: bytes) -> None:
        temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            self._create(temporary, data)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    def _create(self, path: Path, data: bytes) -> None:
        """A new file that the group of the folder may read, when the folder is open to it."""
        mode = 0o600 | (self.path.stat().st_mode & 0o040)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, mode)
            file.write(data)


def _read_record(path: Path) -> RunRecord | None:
    try:
        found = read_json(path, most=_MOST_RECORD)
        return RunRecord.from_json(found)
    except (OSError, ValueError, KeyError, TypeError):
        return None
