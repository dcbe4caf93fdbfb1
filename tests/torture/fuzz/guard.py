"""What a finding is: an undeclared exception, a hang, memory without bound, or a hand outside the sandbox."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

__all__ = ["Finding", "Guard", "Hang", "message_problem"]

PATIENCE = 2.0
"""Seconds of processor time one execution may take."""

ASLEEP = 30.0
"""Seconds one execution may take in all, when it waits for something; generous, because machines are busy."""

_TICKS = 8

MEMORY = 256 * 2**20
"""Bytes by which one execution may raise the process's peak. Inputs are below 64 KiB; files are read in chunks."""

LONGEST_MESSAGE = 64 * 1024
"""Characters of an error message: more than that nobody can show."""

_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_REPOSITORY = Path(__file__).resolve().parents[3]
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Hang(BaseException):
    """The execution was stopped because it took too long."""


@dataclass
class Finding:
    """One execution that did not end as it must, and the input that did it."""

    target: str
    index: int
    reason: str
    data: bytes = field(repr=False)

    @property
    def key(self) -> str:
        """Equal for findings that are probably one: the reason without what varies from input to input."""
        return re.sub(r"0x[0-9a-f]+|\d+|'[^']*'|\"[^\"]*\"", "#", self.reason)[:300]


def message_problem(text: str) -> str | None:
    """Why ``text`` cannot be shown to a person as it is, or None."""
    if found := _UNSAFE.search(text):
        return f"holds {found[0]!r}"
    if "Traceback (most recent call last)" in text:
        return "holds a traceback"
    return f"has {len(text)} characters" if len(text) > LONGEST_MESSAGE else None


class _Violation(BaseException):
    """A hand outside the sandbox. Raised where it happens, so that it does not happen."""


class Guard:
    """Runs executions one after the other. ``folder``: the only place they may write to, or read data from."""

    def __init__(self, folder: Path) -> None:
        self._folder = os.path.realpath(folder)
        self._active = False
        self._outside = ""
        self._thread_failure = ""
        self._hook_thread: Callable[..., Any] | None = None
        self._ticks: dict[int, int] = {}
        self._peak = 0

    def __enter__(self) -> Guard:
        _guards.append(self)
        self._temporary, tempfile.tempdir = tempfile.tempdir, self._folder
        self._resolve, socket.getaddrinfo = socket.getaddrinfo, self._only_loopback
        self._before = {number: signal.signal(number, self._tick) for number in (signal.SIGPROF, signal.SIGALRM)}
        # clocks that tick all the time cost nothing; to set them for each execution would cost more than most of those
        signal.setitimer(signal.ITIMER_PROF, PATIENCE / _TICKS, PATIENCE / _TICKS)
        signal.setitimer(signal.ITIMER_REAL, ASLEEP / _TICKS, ASLEEP / _TICKS)
        self._peak = _peak()
        self._hook_thread = threading.excepthook
        threading.excepthook = self._note_thread
        return self

    def __exit__(self, *_: object) -> None:
        tempfile.tempdir, socket.getaddrinfo = self._temporary, self._resolve
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._hook_thread is not None:
            threading.excepthook = self._hook_thread
        _guards.remove(self)

    def run(self, work: Callable[[bytes], None], data: bytes, allowed: tuple[type[BaseException], ...]) -> str | None:
        """Run ``work(data)``. None when it returned, or refused in one of the ``allowed`` ways; else what is wrong."""
        self._outside = self._thread_failure = ""
        self._ticks = {signal.SIGPROF: 0, signal.SIGALRM: 0}
        reason: str | None = None
        try:
            self._active = True
            try:
                work(data)
            finally:
                self._active = False
        except Hang:
            reason = "hangs: " + _place(sys.exc_info()[1])
        except allowed as error:
            reason = _judge(error)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            reason = f"{type(error).__name__}: {str(error)[:200]!r} at {_place(error)}"
        if self._outside:
            reason = f"outside the sandbox: {self._outside}"
        elif self._thread_failure:
            reason = f"in a thread: {self._thread_failure}"
        peak, before = _peak(), self._peak
        grown, self._peak = peak - before, peak
        if reason is None and grown > MEMORY:
            reason = f"takes {grown >> 20} MiB of memory"
        return reason

    def _tick(self, number: int, frame: FrameType | None) -> None:
        """A clock ticked: this execution has taken so much, and perhaps too much."""
        if self._active:
            self._ticks[number] += 1
            if self._ticks[number] > _TICKS:
                self._active = False
                raise Hang

    def _only_loopback(self, host: Any, *args: Any, **options: Any) -> Any:
        if host not in ("127.0.0.1", b"127.0.0.1", "localhost", "::1"):
            raise OSError("there is no network here")
        return self._resolve(host, *args, **options)

    def _note_thread(self, args: Any) -> None:
        self._thread_failure = f"{args.exc_type.__name__}: {str(args.exc_value)[:200]!r} at {_place(args.exc_value)}"

    def audit(self, event: str, args: tuple[Any, ...]) -> None:
        """See ``sys.addaudithook``: called for every file that is opened or changed."""
        if not self._active:
            return
        if event == "open":
            self._opened(*args)
        elif event in _CHANGES:
            for argument in args[: _CHANGES[event]]:
                if isinstance(argument, str | bytes | os.PathLike):
                    self._changed(event, _below(argument, args[-1]))
        elif event in ("subprocess.Popen", "os.exec", "os.system", "os.posix_spawn"):
            self._violate(f"{event} {args[0]!r}")
        elif event == "socket.connect" and isinstance(args[1], tuple) and args[1][0] not in ("127.0.0.1", "::1"):
            raise OSError("there is no network here")

    def _opened(self, path: object, mode: object, flags: object) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return
        writes = isinstance(flags, int) and flags & _WRITES
        if not writes and not os.path.isabs(os.fsdecode(path)):
            return  # below an open directory (the event does not say which), where only our own code looks
        if writes:
            self._changed("open", path)
            return
        real = os.path.realpath(os.fsdecode(path))
        if not real.startswith((self._folder + "/", *_READABLE)) and real != self._folder:
            self._violate(f"reads {real!r}")

    def _changed(self, event: str, path: Any) -> None:
        text = os.fsdecode(path)
        parent = os.path.realpath(os.path.dirname(os.path.abspath(text)))
        real = f"{parent}/{os.path.basename(text)}"
        if event == "open":
            real = os.path.realpath(real)
        if not (real + "/").startswith(self._folder + "/"):
            self._violate(f"{event} {real!r}")

    def _violate(self, what: str) -> None:
        self._outside = self._outside or what
        raise _Violation(what)


_CHANGES = {
    "os.mkdir": 1,
    "os.rmdir": 1,
    "os.remove": 1,
    "os.rename": 2,
    "os.truncate": 1,
    "os.chmod": 1,
    "os.chown": 1,
    "os.utime": 1,
    "os.setxattr": 1,
    "os.link": 2,
    "shutil.rmtree": 1,
    "shutil.move": 2,
    "sqlite3.connect": 1,
}
"""Audit events that change something, and how many of their first arguments are paths of it. A symlink's first argument
is only text; creating one is judged by its place."""

_READABLE = (
    f"{_REPOSITORY}/updater/",
    f"{_REPOSITORY}/tests/",
    f"{_REPOSITORY}/.venv/",
    f"{os.path.realpath(sys.prefix)}/",
    f"{os.path.realpath(sys.base_prefix)}/",
    *("/proc/", "/dev/null", "/dev/urandom", "/usr/", "/etc/localtime", "/etc/ssl/", "/etc/mime.types"),
)
"""What Python itself reads: modules, time zones, certificates."""

_guards: list[Guard] = []


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if _guards and _guards[-1]._active:
        guard = _guards[-1]
        if event == "os.symlink":
            guard.audit("os.mkdir", (args[1],))
        else:
            guard.audit(event, args)


sys.addaudithook(_audit)


def _below(path: Any, directory: object) -> str:
    """A path that is relative to an open directory (``dir_fd``) written out; audit events have it as last argument."""
    text = os.fsdecode(path)
    if not os.path.isabs(text) and type(directory) is int and directory >= 0:
        return f"/proc/self/fd/{directory}/{text}"
    return text


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _place(error: BaseException | None) -> str:
    """The innermost place of ours."""
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    ours = [frame for frame in frames if "/updater/" in frame.filename] or frames
    return f"{'/'.join(ours[-1].filename.split('/')[-3:])}:{ours[-1].lineno} in {ours[-1].name}" if ours else "?"


def _judge(error: BaseException) -> str | None:
    """Whether a refusal can be shown to a person."""
    for what, text in (("message", str(error)), ("hint", str(getattr(error, "hint", "")))):
        if problem := message_problem(text):
            return f"the {what} of {type(error).__name__} {problem}: {text[:120]!r} at {_place(error)}"
    return None if str(error).strip() else f"{type(error).__name__} says nothing at {_place(error)}"
