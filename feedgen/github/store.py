"""GitHub Releases as a ``Store``: draft, upload, compare, publish, fetch back (docs/formats.md section 8)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from github.GitRelease import GitRelease
from github.GitReleaseAsset import GitReleaseAsset

from feedgen.errors import PublishError, SelfCheckError, StoreError
from feedgen.github.assets import Assets, LocalFile
from feedgen.github.client import GitHubClient
from feedgen.github.releases import Releases
from feedgen.github.target import find_target, origin_url
from feedgen.publish.store import ReleasePage, StoredFile
from updater.errors import DownloadError, UpdaterError
from updater.schema import PublisherConfig
from updater.transport import HTTPTransport, Response, Transport

__all__ = ["GitHubStore", "github_store"]

SMALL = 1024 * 1024
_LOOKS = (1, 2, 4, 8, 15, 30)
"""Pauses in seconds while a file that was just published does not appear at its address."""


@dataclass(frozen=True)
class _Seen:
    release: GitRelease
    assets: Mapping[str, GitReleaseAsset]


class GitHubStore:
    """The releases of one repository on GitHub. What was read is kept until something is written."""

    def __init__(self, client: GitHubClient, transport: Transport) -> None:
        """``transport`` reads public addresses, as sites do."""
        self._client = client
        self._transport = transport
        self._releases = Releases(client)
        self._assets = Assets(client)
        self._seen: dict[str, _Seen | None] = {}

    def find(self, tag: str, name: str) -> StoredFile | None:
        """See ``Store.find``. An upload that broke off does not count."""
        seen = self._look(tag)
        asset = seen.assets.get(name) if seen else None
        if seen is None or asset is None or asset.state != "uploaded":
            return None
        return StoredFile(asset.size, self._assets.sha256(asset), public=not seen.release.draft)

    def read(self, tag: str, name: str) -> bytes:
        """See ``Store.read``."""
        seen = self._look(tag)
        if seen is None or name not in seen.assets:
            raise StoreError(f"{name} is not attached to the release {tag}", hint="Publish the release again.")
        return self._assets.read(seen.assets[name], max_bytes=SMALL)

    def fetch(self, tag: str, name: str, target: Path, *, limit: int) -> None:
        """See ``Store.fetch``."""
        seen = self._look(tag)
        if seen is None or name not in seen.assets:
            raise StoreError(f"{name} is not attached to the release {tag}", hint="Publish the release again.")
        self._client.say(f"Fetching {name}")
        self._assets.save(seen.assets[name], target, max_bytes=limit)

    def url(self, tag: str, name: str) -> str:
        """See ``Store.url``. Until the file is public this is where GitHub usually puts it."""
        seen = self._look(tag)
        if seen is not None and not seen.release.draft and name in seen.assets:
            return str(seen.assets[name].browser_download_url)
        return f"{self._public_base()}{quote(tag)}/{name}"

    def routes(self) -> list[tuple[str, Transport]]:
        """See ``Store.routes``."""
        return [(self._public_base(), self._public())]

    def publish(
        self, page: ReleasePage, files: Mapping[str, Path], *, replaceable: Collection[str] = ()
    ) -> tuple[str, ...]:
        """See ``Store.publish``. Everything is attached and compared before the release becomes public."""
        local = {name: LocalFile.look(path, name) for name, path in files.items()}
        self._seen.clear()
        release = self._releases.find(page.tag)
        if release is None or release.draft:
            self._releases.check_tag(page)
        if release is None:
            self._client.say(f"Creating a draft of the release {page.tag}")
            release = self._releases.create_draft(page)
        written = []
        for name, file in local.items():
            if self._assets.ensure(release, name, file, may_replace=name in replaceable):
                written.append(name)
        self._compare(release, local)
        if release.draft:
            self._client.say(f"Publishing the release {page.tag}")
            release = self._releases.publish(release, page)
            written = list(local)
        self._seen[page.tag] = seen = _Seen(release, self._assets.of(release))
        if self._client.repository.private:
            self._client.say("Note: the repository is private; sites need access of their own to download packages")
        for name, file in local.items():
            self._fetch_back(seen.assets[name], file)
        return tuple(written)

    def generated_notes(self, tag: str) -> str:
        """Release notes as GitHub writes them (``.github/release.yml`` of the app says how). Raises ``StoreError``."""
        self._client.say(f"Asking GitHub for the notes of {tag}")
        return self._releases.generated_notes(tag)

    def _look(self, tag: str) -> _Seen | None:
        if tag not in self._seen:
            release = self._releases.find(tag)
            self._seen[tag] = None if release is None else _Seen(release, self._assets.of(release))
        return self._seen[tag]

    def _compare(self, release: GitRelease, local: Mapping[str, LocalFile]) -> None:
        """Look once more at the whole: somebody else may have changed the draft meanwhile."""
        assets = self._assets.of(release)
        for name, file in local.items():
            asset = assets.get(name)
            if asset is None or asset.state != "uploaded" or self._assets.sha256(asset) != file.sha256:
                raise PublishError(
                    f"{name} was changed in the release {release.tag_name} while it was being published",
                    hint="Does another job publish the same release? Let one end, then run the command again.",
                )

    def _public_base(self) -> str:
        return f"{self._client.repository.html_url}/releases/download/"

    def _public(self) -> Transport:
        """How this machine reads public addresses: as every site does, unless the repository is private."""
        return _PrivateTransport(self) if self._client.repository.private else self._transport

    def _fetch_back(self, asset: GitReleaseAsset, file: LocalFile) -> None:
        """Download through the public address, which may need a moment to work."""
        url = str(asset.browser_download_url)
        self._client.say(f"Fetching back {url}")
        problem: UpdaterError | str = ""
        for pause in (*_LOOKS, None):
            try:
                digest = self._download(url, file.size)
                if digest == file.sha256:
                    return
                problem = f"it has the SHA-256 {digest}, and {file.sha256} was uploaded"
            except DownloadError as error:
                problem = error
            if pause is not None:
                self._client.sleep(pause)
        raise SelfCheckError(
            f"{url} does not serve what was published: {problem}",
            hint="No feed names it yet. Look at the release on GitHub; when it is there, run the command again.",
        )

    def _download(self, url: str, size: int) -> str:
        digest = hashlib.sha256()
        with self._public().open(url, max_bytes=size) as response:
            for chunk in response.chunks:
                digest.update(chunk)
        return digest.hexdigest()

    @contextmanager
    def open_asset(self, url: str, *, max_bytes: int, start: int = 0, end: int | None = None) -> Iterator[Response]:
        """Download what is public at ``url`` to those who are let into the repository."""
        tag, _, name = url.removeprefix(self._public_base()).rpartition("/")
        seen = next((seen for known, seen in self._seen.items() if quote(known) == tag), None)
        if seen is None or name not in seen.assets:
            raise DownloadError(f"{url} is not an asset of the release that is being published", url=url)
        with self._assets.open(seen.assets[name], max_bytes=max_bytes, start=start, end=end) as response:
            yield response


class _PrivateTransport:
    """Reads public addresses of a private repository through the API, with the publisher's token."""

    def __init__(self, store: GitHubStore) -> None:
        self._store = store

    @contextmanager
    def open(self, url: str, *, max_bytes: int, start: int = 0, end: int | None = None) -> Iterator[Response]:
        """See ``Transport.open``."""
        with self._store.open_asset(url, max_bytes=max_bytes, start=start, end=end) as response:
            yield response


@contextmanager
def github_store(
    folder: Path, config: PublisherConfig, environ: Mapping[str, str], say: Callable[[str], None]
) -> Iterator[GitHubStore]:
    """The store of the app in ``folder``, for the time of a ``with`` block. Raises ``ConfigError``."""
    remote = None if config.repository or environ.get("GITHUB_REPOSITORY") else origin_url(folder)
    target = find_target(environ, configured=config.repository, remote=remote)
    with GitHubClient(target, say=say) as client, HTTPTransport() as transport:
        yield GitHubStore(client, transport)
