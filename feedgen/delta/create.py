"""Making the delta from one package to another: compare, plan, pack in parallel, write, and read as a client does."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
import zipfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from feedgen.delta.check import rebuilt_manifest
from feedgen.delta.edits import Known
from feedgen.delta.outline import Changes, changes_between, write_outline
from feedgen.delta.pack import Packed, PackedPiece, jobs, pack_small
from feedgen.delta.plan import Plan, plan_groups
from feedgen.delta.table import write_table
from feedgen.errors import NoDeltaError
from updater.delta.outline import head_prefix
from updater.delta.reader import LARGEST_HEAD, MAGIC
from updater.delta.record import is_record
from updater.errors import FeedError
from updater.package import PackageReader
from updater.schema.manifest import MANIFEST_NAME, ManifestFile

__all__ = ["CreatedDelta", "Progress", "create_delta"]

Progress = Callable[[int, int], None]
"""Told the bytes of new content that are packed, and in all."""


@dataclass(frozen=True)
class CreatedDelta:
    """A delta that was written. ``size`` in bytes; ``files`` are those that it builds, in ``groups`` groups."""

    path: Path
    size: int
    sha256: str
    groups: int
    files: int


def create_delta(
    old: Path,
    new: Path,
    output: Path,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    budget_seconds: float | None = None,
) -> CreatedDelta:
    """Write to ``output`` the delta that leads from the package ``old`` to the package ``new``; whole or not at all.

    The bytes depend on the two packages alone, not on ``workers`` (None: one for each processor) and not on time. What
    was written has been read, decoded and compared with ``new``. Raises NoDeltaError when there cannot be one, or when
    it would take longer than ``budget_seconds``; the client's errors when a package is not what it must be.
    """
    deadline = None if budget_seconds is None else time.monotonic() + budget_seconds
    with ExitStack() as opened:
        before, after = (_open(path, opened) for path in (old, new))
        maker = _Maker(before, after, workers or os.cpu_count() or 1, progress, deadline)
        changes = maker.compare()
        groups = plan_groups(changes, maker.read_old, maker.read_new)
        output.parent.mkdir(parents=True, exist_ok=True)
        bodies = opened.enter_context(tempfile.TemporaryFile(dir=output.parent))
        packed = maker.pack(changes, groups, bodies)
        with _replacing(output) as out:
            size, sha256 = _write(out, changes, packed, bodies)
            maker.verify(out)
    return CreatedDelta(output, size, sha256, len(packed), len(changes.new))


def _open(path: Path, opened: ExitStack) -> PackageReader:
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = archive.read(MANIFEST_NAME)
    except (zipfile.BadZipFile, KeyError) as error:
        raise NoDeltaError(f"{path} is not a package: {error}") from error
    digest = hashlib.sha256(manifest).hexdigest()
    handle = opened.enter_context(path.open("rb"))
    return PackageReader.open(handle, manifest_sha256=digest, manifest_size=len(manifest), name=path.name)


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(handle, "w+b") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        part.chmod(0o644)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _write(out: BinaryIO, changes: Changes, packed: list[Packed], bodies: BinaryIO) -> tuple[int, str]:
    head = write_outline(changes) + write_table(changes, packed)
    if len(head) > LARGEST_HEAD:
        raise NoDeltaError("The list of what changed is too long for a delta.")
    parts = [MAGIC, pack_small(head, head_prefix(changes.old))]
    digest = hashlib.sha256()
    size = 0
    bodies.seek(0)
    for chunk in (*parts, *iter(lambda: bodies.read(1 << 18), b"")):
        out.write(chunk)
        digest.update(chunk)
        size += len(chunk)
    return size, digest.hexdigest()


class _Maker:
    def __init__(
        self,
        before: PackageReader,
        after: PackageReader,
        workers: int,
        progress: Progress | None,
        deadline: float | None,
    ) -> None:
        self._before, self._after = before, after
        self._workers = workers
        self._progress = progress
        self._deadline = deadline

    def read_old(self, file: ManifestFile) -> bytes:
        return self._before.read(file.path, file.size)

    def read_new(self, file: ManifestFile) -> bytes:
        return self._after.read(file.path, file.size)

    def compare(self) -> Changes:
        old, new = self._before.manifest, self._after.manifest
        if (old.app, old.component) != (new.app, new.component):
            raise NoDeltaError(f"A delta cannot lead from {old.app} ({old.component}) to {new.app} ({new.component}).")
        if new.to_bytes() != self._after.manifest_bytes:
            raise NoDeltaError(f"The manifest of {new.version} is not written in the way that a client rebuilds.")
        return changes_between(old, new)

    def pack(self, changes: Changes, groups: list[Plan], bodies: BinaryIO) -> list[Packed]:
        """Pack every group, write the bodies in order, and give back the groups without them."""
        known = self._known(changes)
        total, done = sum(group.size for group in groups), 0
        found: list[list[PackedPiece]] = [[] for _ in groups]
        pending: deque[tuple[int, Future[PackedPiece]]] = deque()

        def finish_one() -> None:
            nonlocal done
            index, future = pending.popleft()
            piece = future.result()
            bodies.write(piece.data)
            found[index].append(piece)
            done += piece.size
            if self._progress is not None:
                self._progress(min(done, total), total)

        with ThreadPoolExecutor(self._workers) as pool:
            for index, group in enumerate(groups):
                for job in jobs(group, self.read_old, self.read_new, known):
                    self._check_time()
                    pending.append((index, pool.submit(job)))
                    if len(pending) >= self._workers:
                        finish_one()
            while pending:
                self._check_time()
                finish_one()
        return [Packed(group, tuple(pieces)) for group, pieces in zip(groups, found, strict=True)]

    def _known(self, changes: Changes) -> Known:
        """What a client knows when it builds a list of digests: all digests but those of other such lists."""
        old, new = self._before.manifest.files, self._after.manifest.files
        hidden = {path for path in changes.new if is_record(path)}

        def of_old(path: str) -> tuple[str, int] | None:
            return _digest(old.get(path))

        def of_new(path: str) -> tuple[str, int] | None:
            return None if path in hidden else _digest(new.get(path))

        return Known(of_old, of_new)

    def _check_time(self) -> None:
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise NoDeltaError(
                "The delta took longer than its time budget.", hint="Sites take the package, or allow more time."
            )

    def verify(self, file: BinaryIO) -> None:
        """Read the delta as a client does, and compare what comes out with the new package's manifest."""
        try:
            manifest = rebuilt_manifest(file, self._before, between=self._check_time)
        except FeedError as error:
            raise NoDeltaError(f"The delta would be refused by the client: {error}") from error
        if manifest != self._after.manifest_bytes:
            raise NoDeltaError("The delta does not lead to the new release.")
        file.seek(0, 2)


def _digest(file: ManifestFile | None) -> tuple[str, int] | None:
    return None if file is None or file.symlink is not None else (file.sha256, file.size)
