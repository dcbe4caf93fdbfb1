"""One program, run without a shell in its own session, watched line by line, and never for longer than its timeout."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from updater.errors import CommandError
from updater.frozen import frozen

__all__ = ["Completed", "OnLine", "run"]

OnLine = Callable[[str], None]
"""Told each line a program prints (both streams), without its line end."""

_TAIL = 16 * 1024
_LONGEST_LINE = 8 * 1024
_TICK = 0.05
TERM_GRACE = 5.0
"""Seconds between asking a program that timed out to end (TERM) and ending it (KILL)."""


@frozen
class Completed:
    """How a program ended. ``output`` is the end of what it printed (16 KiB at most); ``seconds`` how long it ran."""

    argv: tuple[str, ...]
    returncode: int
    output: str
    seconds: float

    @property
    def outcome(self) -> str:
        """Such as "exited with 1" or "was ended by SIGKILL"."""
        if self.returncode >= 0:
            return f"exited with {self.returncode}"
        try:
            return f"was ended by {signal.Signals(-self.returncode).name}"
        except ValueError:
            return f"was ended by signal {-self.returncode}"

    def check(self, *, hint: str = "") -> Completed:
        """Itself, when the program exited with 0. Raises CommandError, which carries the output."""
        if self.returncode:
            raise CommandError(f"{_show(self.argv)} {self.outcome}", output=self.output, hint=hint)
        return self


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    on_line: OnLine | None = None,
    pass_fds: Sequence[int] = (),
    stdin: IO[bytes] | int = subprocess.DEVNULL,
) -> Completed:
    """Run ``argv`` and wait until it ends, for at most ``timeout`` seconds; any exit status is returned.

    ``env`` is the whole environment (this process's own when None). Standard input is empty unless given. What it left
    running in the background on purpose (a daemon) is left alone, unless the timeout passed: then everything in its
    process group is ended. ``pass_fds`` stay open in the program: a lock passed so is held until the program ends,
    even when this process is killed. Raises CommandError when it cannot be started or timed out.
    """
    started = time.monotonic()
    deadline = started + timeout
    with _start(argv, cwd, env, pass_fds, stdin) as process, _Output(process.stdout, on_line) as output:
        try:
            while process.poll() is None and time.monotonic() < deadline:
                seconds = min(_TICK, max(0.0, deadline - time.monotonic()))
                if output.ended:
                    _wait(process, seconds)
                else:
                    output.read(seconds)
        except BaseException:
            _end_group(process, grace=0.0)
            raise
        timed_out = process.returncode is None
        if timed_out:
            _end_group(process, TERM_GRACE)
        output.drain()
        if timed_out:
            raise CommandError(
                f"{_show(argv)} did not end within {timeout:g} seconds and was stopped",
                output=output.text,
                hint="Raise the timeout in updater.toml, or find out what it waits for.",
            )
        return Completed(tuple(argv), process.returncode, output.text, time.monotonic() - started)


def _start(
    argv: Sequence[str],
    cwd: Path | None,
    env: Mapping[str, str] | None,
    pass_fds: Sequence[int],
    stdin: IO[bytes] | int,
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=None if env is None else dict(env),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=tuple(pass_fds),
        )
    except FileNotFoundError as error:
        if cwd is not None and not cwd.is_dir():
            raise CommandError(f"cannot run {_show(argv)}: the folder {cwd} does not exist") from error
        raise CommandError(
            f"cannot run {_show(argv)}: {argv[0]!r} was not found",
            hint="Install it, or give its whole path in updater.toml.",
        ) from error
    except (OSError, ValueError, IndexError) as error:
        hint = "Check that the file is executable." if isinstance(error, PermissionError) else ""
        raise CommandError(f"cannot run {_show(argv)}: {error}", hint=hint) from error


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        pass


def _end_group(process: subprocess.Popen[bytes], grace: float) -> None:
    """End every process of the group. The group outlives its leader, so it is asked even when the leader is gone."""
    _signal_group(process.pid, signal.SIGTERM)
    _wait(process, grace)
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        pass


def _show(argv: Sequence[str]) -> str:
    """The command for a message: enough to recognise it, nothing that could be a secret further back."""
    words = " ".join(argv[:3])
    return repr(words if len(argv) <= 3 else words + " …")


class _Output:
    """A program's output: split into lines for a listener, and its end kept."""

    def __init__(self, stream: IO[bytes] | None, on_line: OnLine | None) -> None:
        assert stream is not None  # noqa: S101 - opened as a pipe above
        self._descriptor = stream.fileno()
        self._on_line = on_line
        self._tail = bytearray()
        self._line = bytearray()
        self._open = True
        os.set_blocking(self._descriptor, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._descriptor, selectors.EVENT_READ)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._selector.close()

    @property
    def text(self) -> str:
        return self._tail.decode("utf-8", "replace").strip()

    @property
    def ended(self) -> bool:
        """Whether nothing will come any more: the program has closed it, and will mostly end at once."""
        return not self._open

    def read(self, seconds: float) -> bool:
        """Wait at most ``seconds`` for output and take it in; whether there was some."""
        if not self._open:
            return False
        if not self._selector.select(seconds):
            return False
        try:
            data = os.read(self._descriptor, 1 << 16)
        except BlockingIOError:
            return False
        if not data:
            self._open = False
            self._selector.unregister(self._descriptor)
            return False
        self._take(data)
        return True

    def drain(self) -> None:
        """Take what is there, without waiting for the end: a daemon may keep the pipe open for ever."""
        for _ in range(1024):
            if not self.read(0.0):
                break
        if self._line:
            self._emit(bytes(self._line))
            self._line.clear()

    def _take(self, data: bytes) -> None:
        self._tail += data
        del self._tail[:-_TAIL]
        self._line += data
        *lines, rest = self._line.split(b"\n")
        while len(rest) > _LONGEST_LINE:
            lines.append(rest[:_LONGEST_LINE])
            rest = rest[_LONGEST_LINE:]
        for line in lines:
            self._emit(bytes(line))
        self._line = bytearray(rest)

    def _emit(self, line: bytes) -> None:
        if self._on_line is not None:
            self._on_line(line.decode("utf-8", "replace").rstrip("\r"))
