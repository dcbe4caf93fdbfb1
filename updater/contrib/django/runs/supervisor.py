"""The process of its own: takes a request, starts the engine, and keeps the record of the run up to date."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from types import FrameType
from typing import Any

from updater.contrib.django.runs.commands import Command, command_for, manage
from updater.contrib.django.runs.folder import STALE, RunFolder
from updater.contrib.django.runs.record import RunRecord, state_for
from updater.contrib.django.runs.request import CHANGING, Request
from updater.errors import LockedError, UpdaterError
from updater.schema.document import format_time
from updater.site import Site, SiteLock, read_history, read_status
from updater.site.lock import boot_id

__all__ = ["Supervisor"]

_TICK = 0.25
_HEARTBEAT = 5.0
_FOLLOW_UP_SECONDS = 300.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Supervisor:
    """Carries out what waits in ``folder`` for ``site``, one request after the other, and returns when none is left.

    It decides nothing: the engine verifies signatures, policy and requirements as for anybody else. ``python`` runs
    the engine (default: this very one).
    """

    def __init__(
        self,
        site: Site,
        folder: RunFolder,
        *,
        python: str = sys.executable,
        environ: Mapping[str, str] | None = None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._site = site
        self._folder = folder
        self._python = python
        self._environ = os.environ if environ is None else environ
        self._now = now
        self._written = 0.0
        self._told: Mapping[str, Any] = {}

    def run(self) -> int:
        """The exit code of the last request; 0 when there was none.

        While another supervisor is at work, this one waits until that has taken the request, or has ended: it may have
        looked for the last time already.
        """
        self._folder.prepare()
        code = 0
        while os.path.lexists(self._folder.request_path):
            try:
                with SiteLock(self._folder.lock_path):
                    while (request := self._folder.next_request()) is not None:
                        code = self._carry_out(request)
            except LockedError:
                time.sleep(_TICK)
        return code

    def _carry_out(self, request: Request) -> int:
        record = replace(
            RunRecord.of(request),
            state="running",
            pid=os.getpid(),
            boot_id=boot_id(),
            started_at=self._now(),
        )
        self._tell(record)
        if not self._folder.take(request):
            return self._end(record, 130, {"message": "The request was taken back before anything began."})
        if self._now() - request.at > STALE:
            return self._end(record, 6, {"message": "The request is too old to be carried out.", "hint": "Ask again."})
        try:
            command = command_for(request, self._site, self._python, self._environ)
            record, code = self._watch(record, command)
        except UpdaterError as error:
            return self._end(record, 1, {"message": str(error), "hint": error.hint})
        except OSError as error:
            return self._end(record, 1, {"message": f"The updater could not be started: {error}"})
        result = self._folder.result(record.id)
        told = _what_went_wrong(result)
        if code and not told:
            told = {"message": self._folder.log(record.id)[0].strip().rpartition("\n")[2]}
        self._end(record, code, told, _outcome(result) or self._in_history(record))
        if request.action in CHANGING:
            self._follow_up(record)
        with suppress(OSError):
            self._folder.forget_old()
        return code

    def _watch(self, record: RunRecord, command: Command) -> tuple[RunRecord, int]:
        """Start the command and look at what it does until it ends. Its output goes to files: a pipe would tie its life
        to this process."""
        result, log = self._folder.result_path(record.id), self._folder.log_path(record.id)
        with result.open("xb") as out, log.open("xb") as err:
            for file in (out, err):
                os.fchmod(file.fileno(), 0o600 | (self._folder.path.stat().st_mode & 0o040))
            child = subprocess.Popen(
                command.argv,
                cwd=command.cwd,
                env=dict(command.environ),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        with child, _handing_on(child):
            asked = False
            while child.poll() is None:
                time.sleep(_TICK)
                if not asked and self._folder.wants_to_cancel(record.id):
                    asked = True
                    child.terminate()  # not SIGINT: a server that a shell started in the background ignores that
                status = read_status(self._site.status_path)
                if status.get("pid") == child.pid:
                    record = replace(record, status=dict(status))
                self._tell(record, only_news=True)
        return record, 130 if -child.returncode in (signal.SIGINT, signal.SIGTERM) else child.returncode

    def _end(self, record: RunRecord, code: int, told: Mapping[str, str], outcome: str | None = None) -> int:
        now = self._now()
        status = dict(read_status(self._site.status_path)) if record.status else {}
        final = replace(
            record,
            state=state_for(code),
            exit_code=code,
            heartbeat_at=now,
            ended_at=now,
            message=told.get("message", ""),
            why=told.get("why", ""),
            hint=told.get("hint", ""),
            outcome=outcome,
            status=status if status.get("run_id") == record.status.get("run_id") else record.status,
        )
        self._tell(final)
        return code

    def _in_history(self, record: RunRecord) -> str | None:
        """The id of the transaction that the site's history tells of since the run began: answers about failures do
        not carry it."""
        since = format_time(record.started_at or record.requested_at)
        try:
            entries = read_history(self._site.history_path)
        except OSError:
            return None
        found = (entry for entry in reversed(entries) if entry.get("event") == record.action and entry.get("id"))
        entry = next(found, None)
        return str(entry["id"]) if entry is not None and str(entry.get("at")) >= since else None

    def _follow_up(self, record: RunRecord) -> None:
        """Let the app, with the code that is there now, take note and tell who wants to know. When it cannot, the next
        page view or check does."""
        try:
            command = manage(self._site, ("update_status", "--sync", "--notify"), self._environ)
            with self._folder.log_path(record.id).open("ab") as log:
                subprocess.run(
                    command.argv,
                    cwd=command.cwd,
                    env=dict(command.environ),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    timeout=_FOLLOW_UP_SECONDS,
                    check=False,
                )
        except (UpdaterError, OSError, subprocess.TimeoutExpired):
            return

    def _tell(self, record: RunRecord, *, only_news: bool = False) -> None:
        """Write the record: at once, or (``only_news``) when the engine has said something or it is time for a sign of
        life. What cannot be written never stops an update."""
        if only_news and record.status == self._told and time.monotonic() - self._written < _HEARTBEAT:
            return
        self._written, self._told = time.monotonic(), record.status
        with suppress(OSError):
            self._folder.write_record(record if record.ended_at else replace(record, heartbeat_at=self._now()))


@contextmanager
def _handing_on(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Signals go to the engine, which undoes what it began; this process stays to write down how that ended."""

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the interface of a handler
        with suppress(ProcessLookupError):
            child.send_signal(number)

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _what_went_wrong(result: Mapping[str, Any]) -> dict[str, str]:
    """What the engine's answer says went wrong; nothing when nothing did."""
    error = result.get("error")
    if not isinstance(error, dict):
        return {}
    return {key: str(error.get(key) or "") for key in ("message", "why", "hint")}


def _outcome(result: Mapping[str, Any]) -> str | None:
    outcome = result.get("outcome")
    found = outcome.get("id") if isinstance(outcome, dict) else None
    return str(found) if found else None
