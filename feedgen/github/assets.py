"""Assets of a release: uploaded once, compared by digest, replaced only when they are broken or may be."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from github.GitRelease import GitRelease
from github.GitReleaseAsset import GitReleaseAsset

from feedgen.errors import PublishError, StoreError
from feedgen.github.client import GitHubClient
from feedgen.github.connection import UploadBody
from feedgen.publish.store import sha256_of
from updater.errors import DownloadError
from updater.transport import HTTPTransport, Response

__all__ = ["Assets", "LocalFile"]

LARGEST = 2**31 - 1
_NAME = re.compile(r"[A-Za-z0-9._+-]+")
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_UPLOADED = "uploaded"
_TRIES = 4


@dataclass(frozen=True)
class LocalFile:
    """A file to upload: where it is, its size in bytes and its SHA-256 in hex."""

    path: Path
    size: int
    sha256: str

    @classmethod
    def look(cls, path: Path, name: str) -> LocalFile:
        """Measure a file. Raises ``PublishError`` for what GitHub would not take, or would rename."""
        size = path.stat().st_size
        if not 0 < size <= LARGEST:
            raise PublishError(
                f"{name} has {size} bytes, and GitHub takes files of 1 byte up to 2 GiB",
                hint="Leave large files out of the package, or keep packages in another store.",
            )
        if not _NAME.fullmatch(name):
            raise PublishError(
                f"GitHub would rename {name}", hint="Names of assets may have letters, digits, and . _ + - only."
            )
        return cls(path, size, sha256_of(path))


class Assets:
    """The assets that one client sees. Downloads go through the transport of ``updater``, which streams."""

    def __init__(self, client: GitHubClient) -> None:
        self._client = client

    def of(self, release: GitRelease) -> dict[str, GitReleaseAsset]:
        """Every asset by name, read anew: also those that a failed upload left, which releases do not show."""
        found = self._client.call(f"list the files of {release.tag_name}", lambda: list(release.get_assets()))
        return {asset.name: asset for asset in found}

    def sha256(self, asset: GitReleaseAsset) -> str:
        """The SHA-256 that GitHub computed; of assets from before June 2025 it knows none, so they are downloaded."""
        if match := _DIGEST.fullmatch(asset.digest or ""):
            return match[1]
        digest = hashlib.sha256()
        for chunk in self._chunks(asset, LARGEST):
            digest.update(chunk)
        return digest.hexdigest()

    def read(self, asset: GitReleaseAsset, *, max_bytes: int) -> bytes:
        """The bytes of a small asset. Raises ``StoreError``."""
        return b"".join(self._chunks(asset, max_bytes))

    def save(self, asset: GitReleaseAsset, path: Path, *, max_bytes: int) -> None:
        """Write the bytes of an asset to ``path``. Raises ``StoreError``."""
        with path.open("wb") as file:
            for chunk in self._chunks(asset, max_bytes):
                file.write(chunk)

    @contextmanager
    def open(
        self, asset: GitReleaseAsset, *, max_bytes: int, start: int = 0, end: int | None = None
    ) -> Iterator[Response]:
        """Download through the API, which works for drafts and in private repositories too: see ``Transport.open``."""
        headers = {"Authorization": f"Bearer {self._client.target.token}", "Accept": "application/octet-stream"}
        with (
            HTTPTransport(headers_for=lambda _url: headers) as transport,
            transport.open(asset.url, max_bytes=max_bytes, start=start, end=end) as response,
        ):
            yield response

    def _chunks(self, asset: GitReleaseAsset, max_bytes: int) -> Iterator[bytes]:
        try:
            with self.open(asset, max_bytes=max_bytes) as response:
                yield from response.chunks
        except DownloadError as error:
            hint = error.hint or "Run the command again: it completes what was begun."
            raise StoreError(f"{asset.name} could not be downloaded from GitHub: {error}", hint=hint) from error

    def ensure(self, release: GitRelease, name: str, file: LocalFile, *, may_replace: bool) -> bool:
        """Have ``file`` attached under ``name``; says whether anything was written.

        Raises ``PublishError`` when it is there with other bytes and may not be replaced, ``StoreError``.
        """
        asset = self.of(release).get(name)
        if asset is not None and self._is_good(asset, file):
            return False
        for _ in range(_TRIES):
            if asset is not None:
                self._remove(release, asset, may_replace=may_replace)
            asset = self._upload(release, name, file)
            if asset is not None and self._is_good(asset, file):
                return True
        raise StoreError(
            f"GitHub has stored {name} with other bytes than were sent, {_TRIES} times",
            hint="Run the command again, from another network if need be. The release is not public yet.",
        )

    def _is_good(self, asset: GitReleaseAsset, file: LocalFile) -> bool:
        return asset.state == _UPLOADED and asset.size == file.size and self.sha256(asset) == file.sha256

    def _remove(self, release: GitRelease, asset: GitReleaseAsset, *, may_replace: bool) -> None:
        broken = asset.state != _UPLOADED
        if release.immutable or not (broken or may_replace or release.draft):
            raise PublishError(
                f"{asset.name} is attached to the release {release.tag_name} already, with other bytes",
                hint="It is public, so it is never exchanged. If a site may have this version, give the changed tree a"
                " new version and tag. If it was never in a feed, delete the asset on GitHub and publish again.",
            )
        self._client.say(f"Replacing {asset.name}, which {'was not uploaded completely' if broken else 'differs'}")
        try:
            self._client.call(f"delete {asset.name}", asset.delete_asset)
        except StoreError as error:
            if error.status != 404:
                raise

    def _upload(self, release: GitRelease, name: str, file: LocalFile) -> GitReleaseAsset | None:
        """One upload; after a failure, what it left, or None when that is nothing or another one shall be made."""
        if release.immutable:
            raise StoreError(
                f"The release {release.tag_name} is immutable, and {name} is not attached to it",
                hint="It was published before everything was attached, and nothing can be added now. A delta that comes"
                " later can lie elsewhere ('feedgen deltas --store DIR', with store_url). When the package is missing,"
                " give the next release a new version, and let other tools leave a draft.",
            )
        self._client.say(f"Uploading {name}")
        try:
            return self._client.call(
                f"store {name}", lambda: self._send(release, name, file), recover=lambda: self._left(release, name)
            )
        except StoreError as error:
            if "already_exists" not in error.codes:
                raise
            return self._left(release, name)

    def _left(self, release: GitRelease, name: str) -> GitReleaseAsset | None:
        return self.of(release).get(name)

    def _send(self, release: GitRelease, name: str, file: LocalFile) -> GitReleaseAsset:
        limits, started = self._client.limits, self._client.clock()

        def check(sent: int) -> None:
            elapsed = self._client.clock() - started
            if elapsed > limits.grace and sent < elapsed * limits.min_rate:
                raise requests.exceptions.Timeout(f"only {sent} bytes in {elapsed:.0f} s")

        with file.path.open("rb") as opened:
            return release.upload_asset_from_memory(
                UploadBody(opened, file.size, check),  # type: ignore[arg-type]  # it needs no more than read()
                file.size,
                name,
                content_type="application/zip" if name.endswith(".zip") else "application/octet-stream",
            )
