"""One real update during which something happens. A program of its own:

    driver.py SITE VERSION STATE EVENT FOLDER

When STATE has been recorded (``download``, ``staged``: just before the journal begins), EVENT happens in this process:
kill, error, interrupt, forward and back (the clock jumps ten years), full (the disk is filled to the last byte), wait
(``FOLDER/reached`` appears, and the update goes on once ``FOLDER/go`` does). Ends with the command line's exit code.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import updater.acquire.obtaining
import updater.client
from updater import Updater
from updater.cli.exits import exit_code
from updater.install.journal import Journal

TEN_YEARS = timedelta(days=3652)


class Happening:
    """What happens, once, at which state."""

    def __init__(self, state: str, event: str, folder: Path) -> None:
        self.state, self.event, self.folder = state, event, folder
        self.offset = timedelta()
        self.done = False

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def reach(self, state: str) -> None:
        if state != self.state or self.done:
            return
        self.done = True
        match self.event:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "error":
                raise OSError(errno.EIO, "injected")
            case "interrupt":
                raise KeyboardInterrupt
            case "forward":
                self.offset = TEN_YEARS
            case "back":
                self.offset = -TEN_YEARS
            case "full":
                fill(self.folder / "filler")
            case "wait":
                (self.folder / "reached").touch()
                while not (self.folder / "go").exists():
                    time.sleep(0.02)


def fill(path: Path) -> None:
    """Write until there is not one byte left."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT)
    size = 1 << 20
    while size:
        try:
            os.write(handle, b"\0" * size)
        except OSError:
            size //= 2
    os.close(handle)


def main() -> int:
    site, version, state, event, folder = sys.argv[1:]
    happening = Happening(state, event, Path(folder))
    begin, append, download = Journal.begin, Journal.append, updater.acquire.obtaining.download_package

    def beginning(self: Journal, name: str, **details: Any) -> None:
        happening.reach("staged")
        begin(self, name, **details)
        happening.reach("prepared")

    def appending(self: Journal, name: str, entered: Any, **details: Any) -> None:
        append(self, name, entered, **details)
        happening.reach(entered.value)

    def downloading(*words: Any, **options: Any) -> Path:
        found = download(*words, **options)
        happening.reach("download")
        return found

    Journal.begin, Journal.append = beginning, appending  # type: ignore[method-assign]
    updater.acquire.obtaining.download_package = downloading
    shop = Updater(site, now=happening.now)
    try:
        shop.install(shop.plan(version))
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return int(exit_code(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
