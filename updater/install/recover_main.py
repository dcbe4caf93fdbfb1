"""The self-contained entry point that an update leaves in ``.updater/bin/<id>/`` (standard library only)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

from updater.errors import UpdaterError
from updater.events import Event
from updater.install.recovery import LOCK_OPTION, recover
from updater.site.lock import SiteLock
from updater.site.site import Site

__all__ = ["main"]


def main(path: Path, arguments: Sequence[str] = ()) -> int:
    """Recover the site at ``path``. Returns an exit code of docs/exit-codes.md; writes plain lines to stderr."""

    def tell(event: Event) -> None:
        if event.message:
            sys.stderr.write(f"{event.phase.value}: {event.message}\n")

    site = Site(path)
    lock = nullcontext() if LOCK_OPTION in arguments else SiteLock(site.lock_path)
    try:
        with lock:
            outcome = recover(site, report=tell, now=lambda: datetime.now(UTC), force=True)
    except (UpdaterError, OSError) as error:
        sys.stderr.write(f"error: {error}\n{getattr(error, 'hint', '')}\n")
        return 4
    sys.stderr.write("Nothing to recover.\n" if outcome is None else f"Recovered: {outcome.result}.\n")
    return 0
