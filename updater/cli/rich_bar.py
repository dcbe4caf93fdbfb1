"""The progress bar drawn by ``rich``, where it is installed."""

from __future__ import annotations

from rich.console import Console as RichConsole
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from updater.cli.progress import Meter
from updater.events import Event

__all__ = ["RichBar"]


class RichBar:
    """Shows one phase at a time and disappears when it is cleared."""

    def __init__(self, *, no_color: bool) -> None:
        self._console = RichConsole(stderr=True, no_color=no_color or None, highlight=False)
        self._progress: Progress | None = None
        self._task = TaskID(0)

    def update(self, event: Event, meter: Meter) -> None:
        """Move the bar, drawing it first when needed. Broken terminals are no reason to fail."""
        try:
            if self._progress is None:
                columns = (TextColumn("         "), BarColumn(bar_width=28), TextColumn("{task.description}"))
                self._progress = Progress(*columns, console=self._console, transient=True, refresh_per_second=8)
                self._task = self._progress.add_task("", total=event.total)
                self._progress.start()
            self._progress.update(self._task, completed=event.done, total=event.total, description=meter.text(event))
        except (OSError, ValueError):
            self._progress = None

    def clear(self) -> None:
        """Take the bar away."""
        bar, self._progress = self._progress, None
        try:
            if bar is not None:
                bar.stop()
        except (OSError, ValueError):
            pass
