"""Progress as people see it: one line that is rewritten on a terminal, few plain lines anywhere else.

``rich`` draws the bar when it is installed; nothing else here needs more than the standard library.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from updater.cli.amounts import duration, size
from updater.cli.console import Console
from updater.events import Event, Reporter

__all__ = ["Meter", "showing_progress"]

_PLAIN_INTERVAL = 10.0  # seconds between lines that only move a number
_LIVE_INTERVAL = 0.1
_WORTH_A_BAR = 0.3  # seconds: what is over sooner would only flicker


class _Bar(Protocol):
    """What shows a number that moves."""

    def update(self, event: Event, meter: Meter) -> None: ...
    def clear(self) -> None: ...


class Meter:
    """How fast a phase moves: as its events say, or averaged since the first of them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = 0.0
        self._from = 0
        self.elapsed = 0.0
        """Seconds since the phase began."""
        self.rate = 0.0
        """Units per second; 0 while unknown."""

    def restart(self, event: Event) -> None:
        """A phase begins at ``event.done`` (more than 0 when a download is resumed)."""
        self._began, self._from, self.elapsed, self.rate = self._clock(), event.done, 0.0, 0.0

    def move(self, event: Event) -> None:
        """Take in where it is now."""
        self.elapsed = self._clock() - self._began
        measured = (event.done - self._from) / self.elapsed if self.elapsed > 0.5 else 0.0
        self.rate = measured if event.rate is None else event.rate

    def text(self, event: Event) -> str:
        """``45 %, 12.1 MB of 27.0 MB, 1.2 MB/s, 0:12 left``, as much of it as is known."""
        if not event.total:
            return size(event.done) if event.unit == "bytes" else ""
        parts = [f"{100 * event.done // event.total} %"]
        if event.unit == "bytes":
            parts.append(f"{size(event.done)} of {size(event.total)}")
            if self.rate > 0:
                parts.append(f"{size(self.rate)}/s")
                parts.append(f"{duration((event.total - event.done) / self.rate)} left")
        else:
            parts.append(f"{event.done} of {event.total} {event.unit}".rstrip())
        return ", ".join(parts)


@contextmanager
def showing_progress(console: Console) -> Iterator[Reporter]:
    """A reporter for the library that shows what happens until the block ends."""
    bar: _Bar
    if console.level < 0:
        yield lambda event: console.warn(event.message) if event.kind == "warning" else None
        return
    if console.live:
        bar = _rich_bar(console) or _Line(console)
    else:
        bar = _Plain(console)
    try:
        yield _Progress(console, bar)
    finally:
        bar.clear()


class _Progress:
    """Turns events into lines, and hands what moves to a bar."""

    def __init__(self, console: Console, bar: _Bar) -> None:
        self._console = console
        self._bar = bar
        self._meter = Meter()
        self._last = ""
        self._phase = ""

    def __call__(self, event: Event) -> None:
        try:
            self._take(event)
        except Exception:  # noqa: BLE001 - the engine calls this: showing progress must never undo an update
            return

    def _take(self, event: Event) -> None:
        if event.phase.value != self._phase:
            self._phase = event.phase.value
            self._meter.restart(event)
        if event.kind == "progress":
            self._meter.move(event)
            if self._meter.elapsed >= _WORTH_A_BAR:
                self._bar.update(event, self._meter)
            return
        self._bar.clear()
        if event.kind == "start":
            self._meter.restart(event)
        if not event.message or (event.kind == "start" and event.message == self._last):
            return
        self._last = event.message
        if event.kind == "warning":
            self._console.warn(event.message)
        elif event.kind == "failed":
            self._console.error("error", event.message)
        else:
            self._console.note(f"{event.phase.value + ':':9} {event.message}")


class _Plain:
    """For logs: a line per phase, and one every ten seconds while a number moves."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._spoke = time.monotonic()

    def update(self, event: Event, meter: Meter) -> None:
        if time.monotonic() - self._spoke >= _PLAIN_INTERVAL:
            self._spoke = time.monotonic()
            self._console.note(f"{event.phase.value + ':':9} {meter.text(event)}")

    def clear(self) -> None:
        self._spoke = time.monotonic()


class _Line:
    """One line of a terminal, rewritten."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._drew = 0.0
        self._shown = False

    def update(self, event: Event, meter: Meter) -> None:
        now = time.monotonic()
        if now - self._drew < _LIVE_INTERVAL and event.done != event.total:
            return
        self._drew, self._shown = now, True
        width = shutil.get_terminal_size().columns - 1
        self._console.write_err(f"\r\x1b[K{f'          {meter.text(event)}'[:width]}")

    def clear(self) -> None:
        if self._shown:
            self._console.write_err("\r\x1b[K")
            self._shown = False


def _rich_bar(console: Console) -> _Bar | None:
    """The bar of ``rich``; None when it is not installed, or broken: progress is never a reason to fail."""
    with suppress(Exception):
        from updater.cli.rich_bar import RichBar

        return RichBar(no_color=bool(console.environ.get("NO_COLOR")))
    return None
