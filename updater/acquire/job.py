"""What one acquisition is about, and the parts that planning and fetching share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path

from updater.acquire.addresses import Addresses, addresses_of
from updater.acquire.local import LocalContent, find_manifest
from updater.acquire.located import Contents, read_directory, read_indexed
from updater.acquire.members import MemberFetch
from updater.acquire.progress import TransferProgress
from updater.acquire.ranges import Located
from updater.acquire.sources import Hop
from updater.acquire.store import ContentStore
from updater.acquire.whole import package_path
from updater.errors import DownloadError, FeedError
from updater.events import Reporter
from updater.frozen import frozen
from updater.install.changes import Changes
from updater.schema.feed import Release
from updater.schema.manifest import Manifest, ManifestFile
from updater.schema.site_config import DownloadConfig
from updater.site.files import make_private_directory
from updater.transport import Transport, download
from updater.transport.part_file import useful_size
from updater.transport.patience import Patience
from updater.tree_view import TreeView

__all__ = ["Job", "wanted_files"]


@frozen
class Job:
    """Getting ``release``, of a feed at ``feed_url`` that lists ``releases``, for the site that ``view`` looks at."""

    release: Release
    releases: Sequence[Release]
    feed_url: str
    view: TreeView
    transport: Transport
    report: Reporter
    settings: DownloadConfig

    @cached_property
    def patience(self) -> Patience:
        """All attempts together have the time that the owner allows."""
        return Patience.until_deadline(self.settings.deadline)

    @property
    def installed(self) -> Manifest | None:
        """The manifest of what is installed."""
        return self.view.installed

    @cached_property
    def store(self) -> ContentStore:
        """Verified new files."""
        make_private_directory(self.directory)
        return ContentStore(self.directory / "content")

    @property
    def directory(self) -> Path:
        """Where it is put together; of the core, ``.updater/downloads/``."""
        return self.view.downloads

    @property
    def name(self) -> str:
        return f"the package of {self.release.version}"

    # the whole package

    @property
    def package_here(self) -> bool:
        return package_path(self.directory, self.release).exists()

    @property
    def package_left(self) -> int:
        """Bytes of the package that an earlier attempt did not bring."""
        part = package_path(self.directory, self.release)
        size = self.release.package.size
        return size - useful_size(part.with_name(f"{part.name}.part"), size)

    def urls(self, urls: Sequence[str]) -> tuple[str, ...]:
        """The addresses of a file of the release."""
        return addresses_of(urls, self.feed_url, self.settings.mirrors)

    # deltas

    def delta_path(self, hop: Hop) -> Path:
        """Where a delta is kept."""
        return self.directory / f"{hop.delta.from_version}-{hop.release.version}-{hop.delta.sha256[:16]}.delta"

    def delta_left(self, hop: Hop) -> int:
        """Bytes of a delta that are not here."""
        path = self.delta_path(hop)
        if path.exists():
            return 0
        return hop.delta.size - useful_size(path.with_name(f"{path.name}.part"), hop.delta.size)

    def fetch_delta(self, hop: Hop) -> Path:
        """A delta on disk, verified. Raises as `updater.transport.download`."""
        make_private_directory(self.directory)
        path, size = self.delta_path(hop), hop.delta.size
        if not path.exists():
            progress = TransferProgress(self.report)
            progress.start(f"Downloading the delta from {hop.delta.from_version}.", size, size - self.delta_left(hop))
            urls = self.urls(hop.delta.urls)
            download(
                self.transport,
                urls,
                path,
                size=size,
                sha256=hop.delta.sha256,
                progress=progress.reach,
                deadline=self.patience.left,
                backoff=self.patience.backoff,
            )
            progress.done()
        return path

    # what the package holds

    def known_manifest(self) -> tuple[Manifest, bytes] | None:
        """The release's manifest, when this site has it: it was installed before, or an attempt had proven it."""
        release = self.release
        data = find_manifest(self.view.site, self.directory, release.manifest_sha256, release.manifest_size)
        if data is None or hashlib.sha256(data).hexdigest() != release.manifest_sha256:
            return None
        return Manifest.parse(data, f"the manifest of {release.version}"), data

    def read_index(self, *, whole: bool) -> Contents:
        """What the index says. Raises DownloadError, FeedError."""
        index = self.release.package.index
        if index is None:
            raise FeedError(f"{self.name} has no index")
        addresses = Addresses(self.urls(index.urls))
        return read_indexed(
            self.transport, addresses, index, self.installed, self.patience, whole=whole, name=self.name
        )

    def read_directory(self) -> Contents:
        """What the package's own directory says. Raises DownloadError, FeedError."""
        return read_directory(self.transport, Addresses(self.urls(self.release.package.urls)), self.release)

    def locate(self, files: Sequence[ManifestFile], known: Contents | None = None) -> tuple[Contents, list[Located]]:
        """Where these files of the package lie, learnt in the cheapest way that works. Raises DownloadError, FeedError.

        ``known``: what was learnt before.
        """
        ways: list[Callable[[], Contents]] = [self.read_directory]
        if self.release.package.index is not None:
            ways = [lambda: self.read_index(whole=False), lambda: self.read_index(whole=True), *ways]
        if known is not None:
            ways.insert(0, lambda: known)
        failed: DownloadError | FeedError | None = None
        for way in ways:
            try:
                contents = way()
            except (DownloadError, FeedError) as error:
                failed = error
                continue
            located = contents.locate(files)
            if located is not None:
                return contents, located
        raise failed or FeedError(f"{self.name} does not hold what its manifest lists")

    def members(self, progress: TransferProgress | None = None) -> MemberFetch:
        """For fetching single files out of the package."""
        package = self.release.package
        return MemberFetch(
            transport=self.transport,
            addresses=Addresses(self.urls(package.urls)),
            size=package.size,
            directory=self.directory / "ranges" / package.sha256[:16],
            store=self.store,
            patience=self.patience,
            connections=self.settings.connections,
            progress=(lambda _: None) if progress is None else progress.add,
            name=self.name,
        )

    # what is here

    def local(self) -> LocalContent:
        """Content on this site. What the tree holds was looked at when changes were computed."""
        return LocalContent(self.view.site, self.view.tree, self.view.seen)

    def not_here(self, files: Iterable[ManifestFile]) -> list[ManifestFile]:
        """Those of ``files`` whose content is neither in the store nor seen on this site."""
        left = [file for file in files if self.store.find(file) is None]
        found = self.local().find(left)
        return [file for file in left if file.path not in found]


def wanted_files(manifest: Manifest, changes: Changes) -> list[ManifestFile]:
    """The files whose content has to be had: what an update writes, and what proves the manifest."""
    wanted = {file.path: file for file in changes.to_write if file.is_known and file.symlink is None}
    wanted.update({file.path: file for file in manifest.unknown})
    return list(wanted.values())
