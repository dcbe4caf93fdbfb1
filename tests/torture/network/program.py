"""The command line as a program of its own: started, killed, and measured."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from tests.support.signals import hear_interrupts

__all__ = ["Ended", "Program"]

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Ended:
    """How a program ended. ``memory``: bytes it had resident at the most."""

    code: int
    out: str
    err: str
    memory: int

    @property
    def error(self) -> dict[str, Any]:
        """The error in the document that ``--json`` prints."""
        found: dict[str, Any] = json.loads(self.out)["error"]
        return found


class Program:
    """`updater ARGUMENTS`, under way; ``within`` is a command to run it in, ``environ`` more variables."""

    def __init__(
        self, *arguments: str | os.PathLike[str], within: tuple[str, ...] = (), environ: dict[str, str] | None = None
    ) -> None:
        clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        self._process = subprocess.Popen(
            [*within, sys.executable, "-m", "updater", *map(os.fspath, arguments)],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=clean | {"PYTHONPATH": str(ROOT)} | (environ or {}),
            preexec_fn=hear_interrupts,  # noqa: PLW1509 - one call that takes no lock
        )

    def wait_until(self, reached: Callable[[], bool], seconds: float = 30) -> None:
        """Wait for something that it does."""
        until = time.monotonic() + seconds
        while not reached():
            if self._process.poll() is not None:
                raise AssertionError(f"it ended too early: {self.end()}")
            if time.monotonic() > until:
                self.kill()
                raise AssertionError("it never came so far")
            time.sleep(0.01)

    def kill(self, number: int = signal.SIGKILL) -> Ended:
        """Send a signal, and wait for the end."""
        self._process.send_signal(number)
        return self.end()

    def end(self, seconds: float = 120) -> Ended:
        """Wait for the end; a program that hangs is killed, and fails."""
        try:
            out, err = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as hung:
            self._process.kill()
            out, err = self._process.communicate()
            raise AssertionError(f"it hangs: {err.decode('utf-8', 'replace')}") from hung
        return Ended(self._process.returncode, out.decode(), err.decode(), 0)


def run_measured(*arguments: str | os.PathLike[str], folder: Path, seconds: float = 120) -> Ended:
    """Run to the end; what the kernel measured comes with it. ``folder``: for its output, until it has ended."""
    clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    with TemporaryFile(dir=folder) as out, TemporaryFile(dir=folder) as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "updater", *map(os.fspath, arguments)],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=clean | {"PYTHONPATH": str(ROOT)},
        )
        until = time.monotonic() + seconds
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > until:
                process.kill()
                raise AssertionError("it hangs")
            time.sleep(0.02)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        return Ended(process.returncode, out.read().decode(), err.read().decode(), usage.ru_maxrss * 1024)
