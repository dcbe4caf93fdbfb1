"""Wanted files out of a package of which a few ranges are fetched, over several connections."""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from updater.acquire.addresses import Addresses
from updater.acquire.ranges import ByteRange, Located, cover, share
from updater.acquire.store import ContentStore
from updater.errors import DownloadError, FeedError, TargetMismatchError, UnsafeArchiveError, UpdaterError
from updater.package.content import read_content
from updater.package.sources import Findings
from updater.package.structure import DEFLATE, LOCAL, STORE, Member
from updater.site.files import make_private_directory, remove_tree
from updater.site.reading import open_regular
from updater.transport import Transport
from updater.transport.fetch_range import RangeRequest, fetch_range
from updater.transport.part_file import alone_in
from updater.transport.patience import Patience

__all__ = ["MemberFetch"]

_PART = re.compile(r"(\d{1,10})\.part")


class _PartSource:
    """The bytes of a part, at their offsets in the package."""

    def __init__(self, path: Path, first: int, findings: Findings) -> None:
        self.first = first
        self._file = open_regular(path)
        self.size = first + path.stat().st_size
        self._findings = findings

    def read(self, offset: int, length: int) -> bytes:
        """See `ByteSource`."""
        self._file.seek(offset - self.first)
        data = self._file.read(length)
        if len(data) != length:
            self._findings.fail(f"byte {offset}", f"{length} bytes should follow, there are {len(data)}")
        return data

    def close(self) -> None:
        self._file.close()


@dataclass
class MemberFetch:
    """Fetches members of one package into the store.

    ``directory`` holds a part for each range: ``<offset>.part``, the package's bytes from there on. What an earlier
    attempt left there is used, whatever ranges it had asked for. ``progress`` is called with the bytes that came, from
    the thread that called `fetch` alone. ``size``: bytes of the package.
    """

    transport: Transport
    addresses: Addresses
    size: int
    directory: Path
    store: ContentStore
    patience: Patience
    connections: int
    progress: Callable[[int], None]
    name: str

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._proven = threading.Event()
        self._probing = threading.RLock()
        self._news: queue.SimpleQueue[int | BaseException | None] = queue.SimpleQueue()
        self._begun: dict[int, int] = {}  # the parts that a range goes on with; listed before any thread changes them

    def fetch(self, wanted: Iterable[Located]) -> None:
        """Put the content of all ``wanted`` into the store.

        Raises RangesIgnoredError when no address serves ranges, another DownloadError or TargetMismatchError when none
        serves the right bytes, StateError and OSError when the disk fails, LockedError when another process is at it.
        What was verified stays in the store, and what came without being complete in the directory.
        """
        make_private_directory(self.directory.parent)
        make_private_directory(self.directory)
        with alone_in(self.directory):
            files = [file for file in wanted if not self._take_empty(file)]
            files = self._use_parts(files)
            self._begun = self._parts()
            self._run(share(cover(files), self.connections))
        remove_tree(self.directory)

    def missing(self, wanted: Iterable[Located]) -> int:
        """How many bytes `fetch` would ask for."""
        parts = self._parts()
        return sum(item.size - self._covered(item, parts) for item in cover(wanted))

    # what is here already

    def _take_empty(self, file: Located) -> bool:
        """Files of no bytes are in every store."""
        return file.packed_size == 0 and self.store.find(file.file) is not None

    def _parts(self) -> dict[int, int]:
        """Where the parts of an earlier attempt begin, and where they end."""
        if not self.directory.is_dir():
            return {}
        found = {}
        for entry in self.directory.iterdir():
            match = _PART.fullmatch(entry.name)
            if match is not None and entry.is_file() and not entry.is_symlink():
                found[int(match[1])] = int(match[1]) + entry.stat().st_size
        return found

    def _covered(self, item: ByteRange, parts: dict[int, int]) -> int:
        """Bytes at the beginning of a range that a part holds."""
        ends = [min(end, item.end) for start, end in parts.items() if start <= item.start < end]
        return max(ends, default=item.start) - item.start

    def _use_parts(self, files: Sequence[Located]) -> list[Located]:
        """Take what lies whole in a part, and keep only the parts that are of further use."""
        left = list(files)
        for start, end in self._parts().items():
            inside = [file for file in left if start <= file.start and file.end <= end]
            try:
                self._extract(self.directory / f"{start}.part", start, inside)
            except FeedError:  # it was damaged on disk, or came from a bad address: all of it is fetched anew
                (self.directory / f"{start}.part").unlink()
            left = [file for file in left if self.store.find(file.file) is None]
        useful = {item.start for item in cover(left)}
        for start, end in self._parts().items():
            if not any(start <= begin < end for begin in useful):
                (self.directory / f"{start}.part").unlink()
        return left

    # the threads

    def _run(self, ranges: Sequence[ByteRange]) -> None:
        waiting: queue.SimpleQueue[ByteRange] = queue.SimpleQueue()
        for item in ranges:
            waiting.put(item)
        threads = [
            threading.Thread(target=self._work, args=(waiting,), daemon=True)
            for _ in range(min(self.connections, len(ranges)))
        ]
        for thread in threads:
            thread.start()
        try:
            self._watch(len(threads))
        finally:
            self._stop.set()
            self._proven.set()
            for thread in threads:
                thread.join(timeout=1)  # one that waits for a silent server ends by itself, and writes nothing more

    def _watch(self, working: int) -> None:
        """Tell of progress until all threads have ended or one has failed."""
        while working:
            news = self._news.get()
            if news is None:
                working -= 1
            elif isinstance(news, BaseException):
                raise news
            else:
                self.progress(news)

    def _work(self, waiting: queue.SimpleQueue[ByteRange]) -> None:
        try:
            while not self._stop.is_set():
                self._fetch_range(waiting.get_nowait())
        except queue.Empty:
            pass
        except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that waits
            self._news.put(error)
        self._news.put(None)

    def _fetch_range(self, item: ByteRange) -> None:
        begin = next((start for start, end in self._begun.items() if start <= item.start < end), item.start)
        part = self.directory / f"{begin}.part"
        request = RangeRequest(begin, item.end, self.size, part)
        while True:
            left_over = request.have > 0
            self._await_turn()
            url = self.addresses.next()
            try:
                self._ask(url, request)
                self._extract(part, begin, item.files)
                part.unlink()
                return
            except (TargetMismatchError, UnsafeArchiveError) as error:
                part.unlink(missing_ok=True)
                request = RangeRequest(item.start, item.end, self.size, self.directory / f"{item.start}.part")
                part, begin = request.part, item.start
                if not left_over:
                    self.addresses.fail(url, _mismatch(url, self.name, error))
            except DownloadError as error:
                if self._stop.is_set():
                    raise
                self.addresses.fail(url, error)

    def _await_turn(self) -> None:
        """One thread asks first, and keeps the right to: when servers send whole files, the others ask for nothing."""
        if not self._proven.is_set() and not self._probing.acquire(blocking=False):
            self._proven.wait()
            if self._stop.is_set():
                raise DownloadError("The download was stopped.")

    def _ask(self, url: str, request: RangeRequest) -> None:
        fetch_range(
            self.transport,
            url,
            request,
            self.patience,
            progress=self._news.put,
            answered=self._proven.set,
            stop=self._stop,
        )
        self._proven.set()

    # from bytes to files

    def _extract(self, part: Path, first: int, files: Sequence[Located]) -> None:
        if not files:
            return
        findings = Findings(self.name)
        source = _PartSource(part, first, findings)
        try:
            for file in files:
                with self.store.writer() as out:
                    for chunk in read_content(source, _member(file), findings, checked=False):
                        out.write(chunk)
                    if not file.file.has_content(out.sha256, out.size):
                        raise TargetMismatchError(f"{file.file.path!r} in {self.name} has not the listed SHA-256")
                    out.commit()
        finally:
            source.close()


def _member(file: Located) -> Member:
    path = file.file.path
    return Member(
        path=path,
        offset=file.start - LOCAL.size - len(path.encode()),
        method=STORE if file.stored else DEFLATE,
        crc32=0,
        packed_size=file.packed_size,
        size=file.file.size,
        mode=0,
        stamp=(0, 0),
    )


def _mismatch(url: str, name: str, error: UpdaterError) -> TargetMismatchError:
    return TargetMismatchError(
        f"{url} serves other bytes than were signed for {name}: {error}",
        hint="This copy was replaced or damaged. Tell the publisher; nothing was changed here.",
    )
