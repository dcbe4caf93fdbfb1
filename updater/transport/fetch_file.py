"""A file of known size and digest, from the first of several addresses that delivers it; resumes."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from updater.errors import (
    DownloadError,
    DownloadHTTPError,
    DownloadTooLargeError,
    DownloadTruncatedError,
    StateError,
    TargetMismatchError,
    UpdaterError,
)
from updater.frozen import frozen
from updater.transport.base import Transport
from updater.transport.part_file import PartFile, alone_in, useful_size
from updater.transport.patience import BACKOFF, Patience, too_late
from updater.transport.urls import shown

__all__ = ["download"]

Progress = Callable[[int], None]


def download(
    transport: Transport,
    urls: Sequence[str],
    destination: Path,
    *,
    size: int,
    sha256: str,
    progress: Progress | None = None,
    deadline: float | None = None,
    backoff: Sequence[float] = BACKOFF,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Put the file of ``size`` bytes and digest ``sha256`` (hex) at ``destination``.

    Does nothing when it is there already. Otherwise bytes are collected in ``<destination>.part``, which a later
    call continues: it is appended to only when the server answers with exactly the missing range. A server that
    sends everything again is compared with the part, and one that announces another size does not touch it. The
    digest is taken over the whole file as read back from disk, and only then is it renamed into place.

    ``urls`` are tried in order. Each is tried again after each pause in ``backoff`` (seconds, or what the server asks
    for in Retry-After, up to half a minute) as long as its error may pass by itself; an attempt that brought a
    mebibyte starts the pauses anew. ``deadline``: seconds for all of it, every address and pause included (None: each
    transfer has only the transport's own). ``progress`` is called with the number of bytes of the file that are on
    disk, which falls when a server sends something else than what is there.

    When all addresses fail: ``TargetMismatchError`` if any of them served other bytes (a part that cannot be told
    from them is deleted), else the last error, such as ``DownloadTruncatedError`` (the part is kept). ``StateError``
    when the disk fails, ``LockedError`` when another download into the same folder is under way.
    """
    if not urls:
        raise ValueError("no address to download from")
    until = None if deadline is None else time.monotonic() + deadline
    patience = Patience(tuple(backoff), sleep, until)
    job = _Job(transport, destination, size, sha256.lower(), progress or _silent, patience)
    try:
        if _matches(destination, size, job.sha256):
            job.progress(size)
            return
        destination.parent.mkdir(parents=True, exist_ok=True)
        with alone_in(destination.parent):
            _try_all(job, urls)
    except OSError as error:
        raise StateError(
            f"{destination} cannot be written: {error.strerror or error}",
            hint="Check free space and permissions of this folder.",
        ) from error


@frozen
class _Job:
    transport: Transport
    destination: Path
    size: int
    sha256: str
    progress: Progress
    patience: Patience

    @property
    def part(self) -> Path:
        return self.destination.with_name(f"{self.destination.name}.part")

    def have(self) -> int:
        """Bytes of the part."""
        return useful_size(self.part, self.size)


def _silent(done: int) -> None:
    """The progress callback for callers who do not watch."""


class _SpoiledError(Exception):
    """The part holds something else than a beginning of the file. ``error`` is what to raise for it."""

    def __init__(self, error: UpdaterError) -> None:
        super().__init__(str(error))
        self.error = error


def _try_all(job: _Job, urls: Sequence[str]) -> None:
    errors: list[UpdaterError] = []
    for url in urls:
        if errors and job.patience.late():
            break
        try:
            _try_one(job, url)
            return
        except (DownloadError, TargetMismatchError) as error:
            errors.append(error)
    mismatch = next((error for error in errors if isinstance(error, TargetMismatchError)), None)
    raise mismatch or errors[-1]


def _try_one(job: _Job, url: str) -> None:
    """One address: transient errors after a pause, and once from the beginning if the old part spoils it."""
    waits = job.patience.begin()
    fresh_start_left, whole = True, False
    while True:
        before = job.have()
        try:
            _transfer(job, url, whole=whole)
            _finish(job, url)
            return
        except _SpoiledError as spoiled:
            job.part.unlink(missing_ok=True)
            if before == 0 or not fresh_start_left:
                raise spoiled.error from spoiled.error.__cause__
            fresh_start_left = False
        except (DownloadError, TargetMismatchError) as error:
            if not whole and isinstance(error, DownloadHTTPError) and error.status == 416:
                whole = True  # it cannot serve the rest: is its file another one, or are only its ranges broken?
                continue
            if not waits.wait(error, brought=job.have() - before):
                raise


def _transfer(job: _Job, url: str, *, whole: bool) -> None:
    """Complete the part from ``url``; ``whole``: without asking for a range."""
    have = job.have()
    if job.size == 0:
        with PartFile(job.part) as part:
            part.flush()
    if have == job.size:
        return
    with job.transport.open(url, max_bytes=job.size, start=0 if whole else have) as response:
        _refuse_other_size(job, url, response.total)
        with PartFile(job.part, response.start) as part:
            try:
                for chunk in response.chunks:
                    if part.position + len(chunk) > job.size:
                        raise DownloadTooLargeError(f"{shown(url)} is too large", url=shown(url))
                    part.add(chunk)
                    job.progress(part.size)
                    if part.size < job.size and job.patience.late():
                        raise too_late(url)
            except DownloadTooLargeError as error:
                raise _SpoiledError(_too_large(job, url)) from error
            if part.position < job.size:
                raise DownloadTruncatedError(
                    f"{shown(url)} ended after {part.position} of {job.size} bytes",
                    url=shown(url),
                    hint="Try again; the download continues where it stopped.",
                )
            part.flush()


def _refuse_other_size(job: _Job, url: str, total: int | None) -> None:
    """Turn an answer away that says beforehand that it is another file, before the part is touched."""
    if total is None or total == job.size:
        return
    if total > job.size:
        raise _too_large(job, url)
    raise DownloadTruncatedError(
        f"{shown(url)} has {total} bytes on the server, but {job.size} were signed",
        url=shown(url),
        hint="It may not be uploaded completely yet, or something in between answers with a page of its own. "
        "Try again later.",
    )


def _too_large(job: _Job, url: str) -> TargetMismatchError:
    return TargetMismatchError(
        f"{shown(url)} is larger than the signed size of {job.size} bytes",
        hint="This copy was replaced or damaged. Tell the publisher; nothing was changed here.",
    )


def _finish(job: _Job, url: str) -> None:
    if not _matches(job.part, job.size, job.sha256):
        raise _SpoiledError(
            TargetMismatchError(
                f"{shown(url)} does not have the signed SHA-256 digest {job.sha256}",
                hint="This copy was replaced or damaged. Tell the publisher; nothing was changed here.",
            )
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
