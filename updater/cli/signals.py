"""Ctrl-C, a closing terminal and ``kill`` undo what had begun instead of leaving it lie (standard library only)."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from updater.cli.console import Console

__all__ = ["interruptible"]

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


@contextmanager
def interruptible(console: Console) -> Iterator[None]:
    """The first signal raises KeyboardInterrupt; the second is only answered, since undoing takes a moment; the third
    interrupts that too (the next start then finishes it)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen = 0

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the interface of a handler
        nonlocal seen
        seen += 1
        if seen == 2:
            console.warn("Already stopping: what had begun is being undone. Once more interrupts that as well.")
        else:
            raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        if before[number] is not signal.SIG_IGN:  # nohup, and shells' background jobs
            signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
