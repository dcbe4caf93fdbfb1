"""A file of known size and digest, from the first of several addresses that delivers it; resumes."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from updater.errors import (
    DownloadError,
    DownloadHTTPError,
    DownloadTooLargeError,
    DownloadTruncatedError,
    StateError,
    TargetMismatchError,
    UpdaterError,
)
from updater.transport.base import Transport
from updater.transport.urls import shown

__all__ = ["download"]

Progress = Callable[[int], None]

_TRANSIENT_STATUS = frozenset({408, 425, 429})


def download(
    transport: Transport,
    urls: Sequence[str],
    destination: Path,
    *,
    size: int,
    sha256: str,
    progress: Progress | None = None,
    backoff: Sequence[float] = (0.5, 2.0, 8.0),
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Put the file of ``size`` bytes and digest ``sha256`` (hex) at ``destination``.

    Does nothing when it is there already. Otherwise bytes are collected in ``<destination>.part``, which a later
    call continues: it is appended to only when the server answers with exactly the missing range. The digest is
    taken over the whole file as read back from disk, and only then is it renamed into place.

    ``urls`` are tried in order. Each is tried again after each pause in ``backoff`` (seconds) as long as its error
    may pass by itself. ``progress`` is called with the number of bytes of the file that are on disk, which falls
    when a server makes us start over.

    When all addresses fail: ``TargetMismatchError`` if any of them served other bytes (the part is deleted), else
    the last error, such as ``DownloadTruncatedError`` (the part is kept). ``StateError`` when the disk fails.
    Callers hold a lock: two downloads of one destination at a time are not supported.
    """
    if not urls:
        raise ValueError("no address to download from")
    job = _Job(transport, destination, size, sha256.lower(), progress or _silent)
    try:
        if _matches(destination, size, job.sha256):
            job.progress(size)
            return
        destination.parent.mkdir(parents=True, exist_ok=True)
        _try_all(job, urls, backoff, sleep)
    except OSError as error:
        raise StateError(
            f"{destination} cannot be written: {error.strerror or error}",
            hint="Check free space and permissions of this folder.",
        ) from error


@dataclass(frozen=True)
class _Job:
    transport: Transport
    destination: Path
    size: int
    sha256: str
    progress: Progress

    @property
    def part(self) -> Path:
        return self.destination.with_name(f"{self.destination.name}.part")


def _silent(done: int) -> None:
    """The progress callback for callers who do not watch."""


def _try_all(job: _Job, urls: Sequence[str], backoff: Sequence[float], sleep: Callable[[float], None]) -> None:
    errors: list[UpdaterError] = []
    for url in urls:
        try:
            _try_one(job, url, backoff, sleep)
            return
        except (DownloadError, TargetMismatchError) as error:
            errors.append(error)
    mismatch = next((error for error in errors if isinstance(error, TargetMismatchError)), None)
    raise mismatch or errors[-1]


def _try_one(job: _Job, url: str, backoff: Sequence[float], sleep: Callable[[float], None]) -> None:
    """One address: transient errors after a pause, and once from the beginning if the old part spoils it."""
    pauses = iter(backoff)
    fresh_start_left = True
    while True:
        resumed = _part_size(job) > 0
        try:
            _transfer(job, url)
            _finish(job, url)
            return
        except (DownloadError, TargetMismatchError) as error:
            spoiled = isinstance(error, TargetMismatchError | DownloadTooLargeError) or (
                isinstance(error, DownloadHTTPError) and error.status == 416
            )
            if spoiled:
                job.part.unlink(missing_ok=True)
                if resumed and fresh_start_left:
                    fresh_start_left = False
                    continue
                if isinstance(error, DownloadTooLargeError):
                    raise _too_large(job, url) from error
                raise
            pause = next(pauses, None)
            if pause is None or not _transient(error):
                raise
            sleep(pause)


def _too_large(job: _Job, url: str) -> TargetMismatchError:
    return TargetMismatchError(
        f"{shown(url)} is larger than the signed size of {job.size} bytes",
        hint="This copy was replaced or damaged. Tell the publisher; nothing was changed here.",
    )


def _transient(error: UpdaterError) -> bool:
    """Whether the same request may succeed a moment later."""
    if isinstance(error, DownloadHTTPError):
        return error.status >= 500 or error.status in _TRANSIENT_STATUS
    return isinstance(error, DownloadError)


def _part_size(job: _Job) -> int:
    """Bytes of the part that are of use; one that cannot be a beginning of the file is removed."""
    try:
        info = job.part.lstat()
    except FileNotFoundError:
        return 0
    if stat.S_ISREG(info.st_mode) and info.st_size <= job.size:
        return info.st_size
    job.part.unlink()
    return 0


def _transfer(job: _Job, url: str) -> None:
    """Complete the part from ``url``."""
    have = _part_size(job)
    if have == job.size and have > 0:
        return
    with _open_part(job.part) as file:
        if job.size > 0:
            with job.transport.open(url, max_bytes=job.size, start=have) as response:
                done = response.start
                file.truncate(done)
                file.seek(done)
                for chunk in response.chunks:
                    if done + len(chunk) > job.size:
                        raise DownloadTooLargeError(f"{shown(url)} is too large", url=shown(url))
                    file.write(chunk)
                    done += len(chunk)
                    job.progress(done)
            if done < job.size:
                raise DownloadTruncatedError(
                    f"{shown(url)} ended after {done} of {job.size} bytes",
                    url=shown(url),
                    hint="Try again; the download continues where it stopped.",
                )
        file.flush()
        os.fsync(file.fileno())


def _open_part(path: Path) -> BinaryIO:
    """Open for writing without truncating; never through a symbolic link someone put there."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    return os.fdopen(os.open(path, flags, 0o600), "r+b")


def _finish(job: _Job, url: str) -> None:
    if not _matches(job.part, job.size, job.sha256):
        raise TargetMismatchError(
            f"{shown(url)} does not have the signed SHA-256 digest {job.sha256}",
            hint="This copy was replaced or damaged. Tell the publisher; nothing was changed here.",
        )
    os.replace(job.part, job.destination)


def _matches(path: Path, size: int, sha256: str) -> bool:
    """Whether ``path`` is a regular file with this size and digest."""
    try:
        info = path.lstat()
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(info.st_mode) or info.st_size != size:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256
