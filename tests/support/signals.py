"""Signals as a person's terminal gives them to a program that a test starts."""

from __future__ import annotations

import signal

__all__ = ["hear_interrupts"]


def hear_interrupts() -> None:
    """For ``preexec_fn``: a test run in the background of a shell ignores SIGINT, under ``nohup`` SIGHUP as well, and
    its children inherit that."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
