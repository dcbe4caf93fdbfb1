"""Carrying out what was prepared: from bytes to a proven manifest and files that can be staged."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from updater.acquire.deltas import Built, DeltaRoute, References
from updater.acquire.job import Job, wanted_files
from updater.acquire.preparing import Prepared
from updater.acquire.progress import TransferProgress
from updater.acquire.store import GivenContent, StoredContent
from updater.acquire.whole import PackageSource, download_package, open_package
from updater.errors import FeedError, TargetMismatchError
from updater.events import Event, Phase
from updater.frozen import frozen
from updater.install.changes import Changes
from updater.install.space import MARGIN, Need, check_needs
from updater.install.staging import Source
from updater.schema.manifest import Manifest, ManifestFile
from updater.schema.paths import check_symlink
from updater.site.files import remove_tree, write_atomic

__all__ = ["Obtained", "obtain_files", "obtain_package"]

_LONGEST_LINK = 4096


@frozen
class Obtained:
    """A release whose manifest is proven and whose files can be staged.

    ``source`` gives the files away, ``copies`` only copies them; ``to_write``: bytes that staging writes to the disk.
    """

    manifest: Manifest
    manifest_bytes: bytes
    changes: Changes
    source: Source
    copies: Source
    to_write: int


@contextmanager
def obtain_package(job: Job, prepared: Prepared) -> Iterator[Obtained]:
    """The whole package, open. Raises DownloadError, FeedError, DiskSpaceError."""
    changes = prepared.changes
    check_needs(
        [
            Need(job.view.site.directory, prepared.left + MARGIN, "the download"),
            Need(job.view.site.directory, changes.bytes_to_write, "the new files", len(changes.to_write)),
        ]
    )
    _sweep(job, prepared)
    urls = job.urls(job.release.package.urls)
    download_package(job.release, urls, job.directory, job.transport, job.report, patience=job.patience)
    with open_package(job.release, job.directory) as reader:
        source = PackageSource(reader)
        changes = job.view.changes_to(reader.manifest)
        yield Obtained(reader.manifest, reader.manifest_bytes, changes, source, source, changes.bytes_to_write)


def obtain_files(job: Job, prepared: Prepared) -> Obtained:
    """The files that an update writes, one by one. Raises DownloadError, FeedError, DiskSpaceError, StateError.

    Whatever was verified is in the store afterwards, also when this fails.
    """
    return _Files(job, prepared).obtain()


class _Files:
    def __init__(self, job: Job, prepared: Prepared) -> None:
        self._job = job
        self._prepared = prepared
        self._manifest = prepared.manifest
        self._contents = prepared.contents
        self._progress = TransferProgress(job.report)
        self._built: Mapping[str, str] = {}

    def obtain(self) -> Obtained:
        job, prepared = self._job, self._prepared
        wanted = wanted_files(self._manifest, prepared.changes)
        lacking = [file for file in wanted if job.store.find(file) is None]
        self._check_room(lacking)
        _sweep(job, prepared)
        self._progress.start(f"Getting {job.release.version}: {prepared.option.name}.", prepared.left)
        self._copy_local(lacking)
        if prepared.route:
            self._build()
        self._fetch(wanted)
        data = self._prove()
        changes = job.view.changes_to(self._manifest)
        late = [file for file in wanted_files(self._manifest, changes) if job.store.find(file) is None]
        if late:  # the site's files changed since it was planned, or an outline did not say all
            self._copy_local(late)
            self._fetch(late)
        self._progress.done()
        job.store.keep_only(file.sha256 for file in self._manifest.files.values())
        return Obtained(self._manifest, data, changes, GivenContent(job.store), StoredContent(job.store), 0)

    def _check_room(self, lacking: list[ManifestFile]) -> None:
        home = self._job.view.site.directory
        check_needs(
            [
                Need(home, self._prepared.left + MARGIN, "the download"),
                Need(home, sum(file.size for file in lacking), "the new files", len(lacking)),
            ]
        )

    # the ways to a file's content

    def _copy_local(self, files: list[ManifestFile]) -> None:
        by_path = {file.path: file for file in files}
        for path, place in self._job.local().find(files).items():
            self._job.store.add(place, by_path[path])

    def _build(self) -> None:
        """Decode the deltas. What cannot be decoded is fetched."""
        job, prepared = self._job, self._prepared
        assert job.installed is not None  # noqa: S101 - narrows the type: deltas lead away from something
        job.report(Event(Phase.DOWNLOAD, "message", "Building the new files out of the old ones."))
        paths = [job.fetch_delta(hop) for hop in prepared.route]
        with DeltaRoute(prepared.route, paths, job.installed) as route:
            places = {file.sha256: place for file, place in self._places(route.references)}
            references = References(places, job.view.is_as_seen, job.store)
            known = {path: file.sha256 for path, file in self._manifest.files.items() if file.is_known}
            built = route.build(references, job.store, self._lacks, known)
        self._take(built)

    def _places(self, files: tuple[ManifestFile, ...]) -> Iterator[tuple[ManifestFile, str]]:
        found = self._job.local().find(files)
        yield from ((file, found[file.path]) for file in files if file.path in found)

    def _lacks(self, file: ManifestFile) -> bool:
        known = self._manifest.files.get(file.path)
        return known is None or self._job.store.find(known) is None

    def _take(self, built: Built) -> None:
        """Note what was built; content that is not what is known of it does not count."""
        files = self._manifest.files
        if self._prepared.manifest_bytes is None:
            self._manifest = built.outline
        self._built = {
            path: sha256
            for path, sha256 in built.digests.items()
            if path in files and (not files[path].sha256 or sha256.startswith(files[path].sha256))
        }
        for why in dict.fromkeys(built.failed.values()):
            self._job.report(Event(Phase.DOWNLOAD, "message", f"Some files are fetched instead: {why}"))

    def _fetch(self, wanted: list[ManifestFile]) -> None:
        """By ranges out of the package."""
        files = self._manifest.files
        rest = [
            files[file.path]
            for file in wanted
            if file.path not in self._built and self._content_of(files[file.path]) is None
        ]
        if not rest:
            return
        self._contents, located = self._job.locate(rest, self._contents)
        self._job.members(self._progress).fetch(located)

    def _content_of(self, file: ManifestFile) -> str | None:
        """The digest of content in the store for ``file``, of which the package's index may know more."""
        if not file.sha256 and self._contents is not None and file.path in self._contents.members:
            file = self._contents.members[file.path].file
        return self._job.store.find(file)

    # the proof

    def _prove(self) -> bytes:
        """Complete the manifest and compare it with the signed one. Raises TargetMismatchError."""
        release = self._job.release
        found: dict[str, tuple[str, str | None]] = {}
        for file in self._manifest.unknown:
            sha256 = self._built.get(file.path) or self._content_of(file)
            if sha256 is None:
                raise TargetMismatchError(f"the content of {file.path!r} could not be had")
            found[file.path] = (sha256, None if file.symlink is None else self._link(file, sha256))
        manifest = self._manifest.complete(found)
        data = self._prepared.manifest_bytes or manifest.to_bytes()
        if hashlib.sha256(data).hexdigest() != release.manifest_sha256:
            raise TargetMismatchError(
                f"The files that were put together are not those of {release.version}.",
                hint="Another source is tried. If none works, tell the publisher.",
            )
        self._manifest = manifest
        write_atomic(self._job.directory / f"{release.manifest_sha256}.json", data)
        return data

    def _link(self, file: ManifestFile, sha256: str) -> str:
        with self._job.store.open(sha256) as content:
            target = content.read(_LONGEST_LINK + 1)
        try:
            check_symlink(file.path, target.decode())
        except ValueError as error:  # of text that is none, too
            raise FeedError(f"the content of the symlink {file.path!r} is no target: {error}") from None
        return target.decode()


def _sweep(job: Job, prepared: Prepared) -> None:
    """Remove what other attempts left that is of no use for this one: of other releases, of other ways."""
    if not job.directory.is_dir():
        return
    package = job.release.package.sha256[:16]
    kept = {"content", f"{job.release.manifest_sha256}.json"}
    kept |= {f"{job.release.version}-{package}.zip", f"{job.release.version}-{package}.zip.part"}
    for hop in prepared.route:
        kept |= {job.delta_path(hop).name, f"{job.delta_path(hop).name}.part"}
    for entry in job.directory.iterdir():
        if entry.name == "ranges":
            for other in entry.iterdir():
                if other.name != package:
                    remove_tree(other)
        elif entry.name not in kept:
            remove_tree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
