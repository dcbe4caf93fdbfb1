"""Looking at one release as a client will: its package, its index, and every delta that leads to it, by using them."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin

from feedgen import minisign
from feedgen.errors import SigningError
from feedgen.publish.deltas import leads_to
from updater.errors import DownloadError, FeedError, TargetMismatchError, UpdaterError
from updater.package import PackageReader
from updater.package.index import IndexHead, rebuild
from updater.schema import Delta, PackageIndex, Release
from updater.transport import Transport

__all__ = ["ReleaseCheck"]

_CHUNK = 1024 * 1024
_SIGNATURE = 64 * 1024
_KEPT_PACKAGES = 6
"""Earlier packages that are kept on disk for the deltas of the next release."""


@dataclass
class ReleaseCheck:
    """Checks releases of the site at ``base``, one after the other, with files in ``folder``.

    ``wrong`` and ``warn`` are told where and what; ``find`` gives another release of the site. ``public``: the minisign
    key, None when there is none to check with. ``mirrors``: whether to look at other addresses than the first as well.
    ``deltas``: whether to look at more than the package. ``proven``: digests (SHA-256, hex) of deltas of which this
    process has seen that they lead to the release: they are compared, not applied again.
    """

    base: str
    transport: Transport
    folder: Path
    wrong: Callable[[str, str], None]
    warn: Callable[[str, str], None]
    say: Callable[[str], None]
    find: Callable[[str], Release | None]
    public: str | None = None
    mirrors: bool = True
    deltas: bool = True
    proven: Collection[str] = ()
    _packages: OrderedDict[str, Path] = field(default_factory=OrderedDict)

    def run(self, release: Release, urls: tuple[str, ...]) -> None:
        """Check everything of ``release``; ``urls``: where its package shall be, in any feed that lists it."""
        package: Path | None = None
        for place, url in enumerate(urls):
            if place == 0 or self.mirrors:
                package = self._package(release, url, first=place == 0) or package
        if package is None or not self.deltas:
            return
        if release.package.index is not None:
            self._index(release, release.package.index, package)
        for delta in release.deltas:
            self._delta(release, delta)

    def _fetch(self, reference: str, size: int, path: Path) -> str:
        """Download at most ``size`` bytes; the digest. Raises the client's errors."""
        digest = hashlib.sha256()
        with self.transport.open(urljoin(self.base, reference), max_bytes=size) as response, path.open("wb") as file:
            for chunk in response.chunks:
                digest.update(chunk)
                file.write(chunk)
        return digest.hexdigest()

    def _failed(self, reference: str, error: UpdaterError | SigningError | str, *, first: bool) -> None:
        """A mirror that has not got a file yet is no reason for alarm: clients ask the next address."""
        tell = self.warn if not first and isinstance(error, DownloadError) else self.wrong
        tell(reference, str(error))

    def _package(self, release: Release, reference: str, *, first: bool) -> Path | None:
        self.say(f"Checking {reference}")
        path = self.folder / f"{release.package.sha256}.zip"
        signed = release.package
        try:
            digest = self._fetch(reference, signed.size, path)
            size = path.stat().st_size
            if size != signed.size or digest != signed.sha256:
                self.wrong(reference, f"is not the signed package: {size} bytes with SHA-256 {digest}")
                path.unlink()
                return None
            with path.open("rb") as file:
                reader = PackageReader.open(
                    file, manifest_sha256=release.manifest_sha256, manifest_size=release.manifest_size, name=reference
                )
                reader.verify()
            if reader.manifest.version != release.version:
                self.wrong(reference, f"holds version {reader.manifest.version}")
        except UpdaterError as error:
            self._failed(reference, error, first=first)
            return None
        self._keep(release.version, path)
        if self.public is not None and first:
            self._signature(path, reference, self.public)
        return path

    def _signature(self, path: Path, reference: str, public: str) -> None:
        name = f"{reference}.minisig"
        try:
            with self.transport.open(urljoin(self.base, name), max_bytes=_SIGNATURE) as response:
                text = b"".join(response.chunks).decode()
            minisign.verify(path, text, public)
        except (UpdaterError, SigningError, UnicodeDecodeError) as error:
            self.wrong(name, str(error))

    def _keep(self, version: str, path: Path) -> None:
        self._packages[version] = path
        self._packages.move_to_end(version)
        while len(self._packages) > _KEPT_PACKAGES:
            self._packages.popitem(last=False)[1].unlink(missing_ok=True)

    def _index(self, release: Release, index: PackageIndex, package: Path) -> None:
        for place, reference in enumerate(index.urls):
            if place and not self.mirrors:
                continue
            self.say(f"Checking {reference}")
            path = self.folder / "package.index"
            try:
                self._fetch(reference, index.size, path)
                _compare_index(path.read_bytes(), index, release, package, reference)
            except UpdaterError as error:
                self._failed(reference, error, first=place == 0)

    def _delta(self, release: Release, delta: Delta) -> None:
        source = self.find(delta.from_version)
        if source is None:
            self.wrong(release.version, f"has a delta from {delta.from_version}, which no feed lists")
            return
        for place, reference in enumerate(delta.urls):
            if place and not self.mirrors:
                continue
            self.say(f"Checking {reference}")
            path = self.folder / "package.delta"
            try:
                digest = self._fetch(reference, delta.size, path)
            except UpdaterError as error:
                self._failed(reference, error, first=place == 0)
                continue
            if path.stat().st_size != delta.size or digest != delta.sha256:
                self.wrong(reference, f"is not the signed delta: its SHA-256 is {digest}")
            elif delta.sha256 not in self.proven and not self._leads_to(path, source, release):
                self.wrong(reference, f"does not lead from {source.version} to {release.version}")

    def _leads_to(self, path: Path, source: Release, release: Release) -> bool:
        """Whether it does; that there is nothing to apply it to has been told by itself."""
        old = self._packages.get(source.version) or self._old_package(source)
        return old is None or leads_to(path, old, source, release)

    def _old_package(self, source: Release) -> Path | None:
        path = self.folder / f"{source.package.sha256}.zip"
        reference = source.package.urls[0]
        try:
            if self._fetch(reference, source.package.size, path) != source.package.sha256:
                self.wrong(reference, "is not the signed package, so that no delta from it can be checked")
                return None
        except UpdaterError as error:
            self.wrong(reference, f"{error} (no delta from it can be checked)")
            return None
        self._keep(source.version, path)
        return path


def _compare_index(data: bytes, index: PackageIndex, release: Release, package: Path, name: str) -> None:
    """Raise ``FeedError`` unless the index is signed, gives back the manifest, and says where each member is."""
    head_bytes = data[: index.head_size]
    if len(data) != index.size or hashlib.sha256(head_bytes).hexdigest() != index.head_sha256:
        raise TargetMismatchError(f"{name} is not the signed index: {len(data)} bytes")
    head = IndexHead.parse(head_bytes, len(data), name)
    contents = [head.read_block(number, data[block.offset : block.end]) for number, block in enumerate(head.blocks)]
    with package.open("rb") as file:
        reader = PackageReader.open(
            file, manifest_sha256=release.manifest_sha256, manifest_size=release.manifest_size, name=package.name
        )
        rebuilt = rebuild(head, contents, reader.manifest)
        if hashlib.sha256(rebuilt.outline.to_bytes()).hexdigest() != release.manifest_sha256:
            raise FeedError(f"{name} does not give back the manifest of {release.version}")
        for path, (offset, member) in rebuilt.members.items():
            there = reader.members[path]
            if (there.offset, there.packed_size) != (offset, member.packed_size):
                raise FeedError(f"{name} says that {path!r} begins at byte {offset}; it begins at {there.offset}")
