"""The one place that changes a site: every file complete or absent, one writer at a time."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

from feedgen.errors import PublishError
from feedgen.operations.state_file import STATE_FOLDER
from feedgen.publish.prune import SUPERSEDED_FILE, Pruning, plan_pruning, read_record, record_bytes
from feedgen.repository.compose import Write
from updater.trust.names import ARCHIVE_DIRECTORY, FEEDS_DIRECTORY, METADATA_DIRECTORY

__all__ = ["SiteWriter", "replace_file", "site_lock"]

_TEMPORARY = ".feedgen-tmp"
_ARCHIVE = f"{FEEDS_DIRECTORY}/{ARCHIVE_DIRECTORY}"
_NUMBERED = re.compile(
    r"metadata/[1-9][0-9]*\.[a-z]+\.json|feeds/[0-9a-f]{64}\.[a-z]+\.json|feeds/archive/[a-z]+-[0-9a-f]{16}\.json"
)
_ROOT = re.compile(r"metadata/[1-9][0-9]*\.root\.json")


@contextmanager
def site_lock(site: Path) -> Iterator[None]:
    """Hold the site against other writers on this machine; the lock file stands next to it and goes with nobody.

    Raises ``PublishError`` when another process holds it.
    """
    site.parent.mkdir(parents=True, exist_ok=True)
    path = site.resolve().parent / f".{site.resolve().name}.lock"
    with path.open("ab") as file:
        if not _try_lock(file.fileno()):
            raise PublishError(
                f"Another feedgen is working on {site}", hint="Wait until it has ended, then run the command again."
            )
        yield


def _try_lock(handle: int) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def replace_file(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path`` in one step, flushed to disk before it becomes visible."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}{_TEMPORARY}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


class SiteWriter:
    """Writes to one site, under its lock."""

    def __init__(self, site: Path) -> None:
        self.site = site

    def put(self, writes: Iterable[Write]) -> list[str]:
        """Put files in place, in order; those that are there already stay untouched. Returns the paths written.

        Raises ``PublishError`` when a file whose name fixes its content is there with another one.
        """
        written = []
        for write in writes:
            path = self.site / write.path
            old = path.read_bytes() if path.is_file() else None
            if old == write.data:
                continue
            if old is not None and _NUMBERED.fullmatch(write.path) and write.path.startswith(METADATA_DIRECTORY):
                raise PublishError(
                    f"{path} is there already with other contents, and a numbered file is never changed",
                    hint="Something else wrote to the site. Restore it from the copy that you published.",
                )
            replace_file(path, write.data)
            written.append(write.path)
        return written

    def prune(self, live: Iterable[str], *, now: datetime, grace: timedelta) -> tuple[str, ...]:
        """Remove what has been superseded for ``grace``, and the leftovers of interrupted writes. Returns the paths."""
        for name in ("", METADATA_DIRECTORY, FEEDS_DIRECTORY, _ARCHIVE, STATE_FOLDER):
            folder = self.site / name
            for leftover in folder.glob(f".*{_TEMPORARY}"):
                leftover.unlink()
        plan = self.plan(live, now=now, grace=grace)
        for path in plan.delete:
            (self.site / path).unlink()
        if plan.since or (self.site / SUPERSEDED_FILE).is_file():
            self.put([Write(SUPERSEDED_FILE, record_bytes(plan.since))])
        return plan.delete

    def plan(self, live: Iterable[str], *, now: datetime, grace: timedelta) -> Pruning:
        """What ``prune`` would remove, and what it would note for later."""
        record = self.site / SUPERSEDED_FILE
        since = read_record(record.read_bytes()) if record.is_file() else {}
        return plan_pruning(self._numbered(), live, since, now=now, grace=grace)

    def _numbered(self) -> list[str]:
        found = []
        for folder in (METADATA_DIRECTORY, FEEDS_DIRECTORY, _ARCHIVE):
            if (self.site / folder).is_dir():
                found += [f"{folder}/{path.name}" for path in (self.site / folder).iterdir()]
        return [path for path in found if _NUMBERED.fullmatch(path) and not _ROOT.fullmatch(path)]
