"""Who carries a request out: ``UPDATER_RUNNER``. Nothing is ever installed by this process or one of its threads."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from django.utils import timezone
from django.utils.module_loading import import_string

from updater.contrib.django.conf import Conf, conf
from updater.contrib.django.runs.commands import engine_environment
from updater.contrib.django.runs.folder import RunFolder
from updater.contrib.django.runs.record import RunRecord
from updater.contrib.django.runs.request import Action, Request
from updater.errors import LockedError, UpdaterError

__all__ = ["ask"]

Runner = Callable[[Request, Conf], None]
"""Sees to it that the request, which lies in the folder already, is carried out; a dotted path in ``UPDATER_RUNNER``
names one. Raises UpdaterError when it cannot."""

_START_SECONDS = 20.0


def ask(
    action: Action, target: str | None = None, *, actor: str, address: str = "", components: Collection[str] = ()
) -> Request:
    """Leave a request, start whoever carries it out, and return the request at once.

    Raises LockedError when one waits or a run goes on, UpdaterError or OSError when it cannot be left or started, and
    ValueError for a target that cannot be one.
    """
    settings, now = conf(), timezone.now()
    folder = settings.require_folder()
    request = Request.new(action, target, actor=actor, address=address, now=now, components=components)
    current = folder.current(now)
    if current is not None and current.state == "running":
        raise LockedError("An update is going on.", hint="Wait until it has ended.")
    folder.ask(request, now)
    try:
        _runner(settings)(request, settings)
    except BaseException:
        folder.withdraw()
        raise
    return request


def _runner(settings: Conf) -> Runner:
    known: dict[str, Runner] = {
        "subprocess": _start_subprocess,
        "systemd-path": _leave_to_systemd,
        "systemd-run": _start_with_systemd_run,
    }
    if settings.runner in known:
        return known[settings.runner]
    runner: Runner = import_string(settings.runner)
    return runner


def _command(settings: Conf) -> list[str]:
    site, folder = settings.require_site(), settings.require_folder()
    words = [settings.python, "-m", "updater.contrib.django.runs", "--site", str(site.path)]
    return words if folder.path == site.directory / "web" else [*words, "--folder", str(folder.path)]


def _start_subprocess(request: Request, settings: Conf) -> None:
    """A child in a session of its own, so that a web server that stops or reloads does not end it; its output goes to
    a file, because a pipe ends with its reader."""
    folder = settings.require_folder()
    with (folder.runs / "runner.log").open("wb") as log:
        try:
            child = subprocess.Popen(
                _command(settings),
                cwd=Path(os.sep),
                env=engine_environment(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        except OSError as error:
            raise UpdaterError(
                f"{settings.python} could not be started: {error}",
                hint="Set UPDATER_PYTHON to the Python that has Tagship installed.",
            ) from error
    # only so that no zombie stays, and somebody hears of a start that failed; the child does not need this process
    words = (child, request, folder)
    threading.Thread(target=_await, args=words, name=f"updater-run-{request.id}", daemon=True).start()


def _await(child: subprocess.Popen[bytes], request: Request, folder: RunFolder) -> None:
    code = child.wait()
    waiting = folder.waiting()
    if waiting is None or waiting.id != request.id:
        return
    said = (folder.runs / "runner.log").read_text(encoding="utf-8", errors="replace")[-4000:]
    now = timezone.now()
    ended = replace(
        RunRecord.of(request),
        state="failed",
        exit_code=code,
        ended_at=now,
        message="The updater's process could not be started.",
        why=said.strip(),
        hint="Set UPDATER_PYTHON to the Python that has Tagship installed.",
    )
    folder.write_record(ended)
    folder.withdraw()


def _leave_to_systemd(request: Request, settings: Conf) -> None:
    """A path unit sees the file and starts the service (`manage.py update_schedule --systemd` prints both)."""


def _start_with_systemd_run(request: Request, settings: Conf) -> None:
    """A transient service, in a control group of its own: what stops the web server does not reach it."""
    words = ["systemd-run", "--collect", "--quiet", f"--unit=updater-run-{request.id}", "--", *_command(settings)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_START_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UpdaterError(f"systemd-run could not be used: {error}", hint="Choose another UPDATER_RUNNER.") from error
    if done.returncode:
        raise UpdaterError(
            f"systemd-run refused: {done.stderr.strip()[-500:]}",
            hint="Let the web server's user start units (polkit), or set UPDATER_RUNNER = 'systemd-path'.",
        )
