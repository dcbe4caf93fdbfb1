"""What the checks look at: read once, on demand, without changing anything; and the probes into the outside world."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import Distribution, distributions
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from updater.credentials import read_credentials
from updater.errors import UpdaterError
from updater.frozen import frozen
from updater.install.running import ask_running
from updater.schema.manifest import Manifest
from updater.schema.site_config import HealthConfig, SiteConfig
from updater.site import Site, SiteState
from updater.site.reading import read_file

if TYPE_CHECKING:
    from updater.process.http_probe import Answer
    from updater.schema.feed import Feed
    from updater.transport import Transport
    from updater.trust import FeedLocation, TrustedFeed

__all__ = ["Facts", "FetchedFeed", "Probes", "UnknownError"]

_TIMEOUT = 10.0  # seconds for one probe


class UnknownError(Exception):
    """A check needs something that another check reports as broken; ``needs`` is the name of that check."""

    def __init__(self, needs: str) -> None:
        super().__init__(needs)
        self.needs = needs


def _resolve(host: str, port: int) -> list[str]:
    return sorted({str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})


def _server_date(url: str) -> datetime | None:
    """The clock of the server, as its ``Date`` header says."""
    import requests

    from updater.transport.http_dates import parse_http_date

    answer = requests.head(url, timeout=_TIMEOUT, allow_redirects=False)
    return parse_http_date(answer.headers.get("Date", ""))


def _certificate_end(host: str, port: int) -> datetime:
    """When the server's certificate, verified as a download would verify it, expires."""
    import ssl

    from requests.utils import DEFAULT_CA_BUNDLE_PATH

    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or DEFAULT_CA_BUNDLE_PATH
    context = ssl.create_default_context(cafile=bundle)
    with (
        socket.create_connection((host, port), timeout=_TIMEOUT) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        found = secured.getpeercert()
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str((found or {})["notAfter"])), UTC)


def _proxy_for(url: str) -> str | None:
    import requests.utils

    return requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url))


@frozen
class Probes:
    """The outside world; tests give their own. Each may raise what the real one would."""

    resolve: Callable[[str, int], list[str]] = _resolve
    server_date: Callable[[str], datetime | None] = _server_date
    certificate_end: Callable[[str, int], datetime] = _certificate_end
    proxy_for: Callable[[str], str | None] = _proxy_for
    distributions: Callable[[], Iterable[Distribution]] = distributions
    ask_app: Callable[[HealthConfig], Sequence[Answer]] = ask_running


@frozen
class FetchedFeed:
    """The feed as it is now, fetched into a temporary copy of the site's trust."""

    feed: Feed
    trusted: TrustedFeed


@dataclass
class Facts:
    """One look at a site. A property raises `UnknownError` when its own check reports why it cannot be had."""

    site: Site
    now: datetime
    environ: Mapping[str, str]
    transport: Transport | None = None
    probes: Probes = field(default_factory=Probes)

    @cached_property
    def config(self) -> SiteConfig:
        """The owner's settings."""
        try:
            return self.site.config()
        except UpdaterError as error:
            raise UnknownError("settings") from error

    @cached_property
    def state(self) -> SiteState:
        """What the site is."""
        try:
            return self.site.state()
        except UpdaterError as error:
            raise UnknownError("site") from error

    @cached_property
    def manifest(self) -> Manifest | None:
        """The installed release; None before the first install."""
        try:
            return self.site.manifest()
        except UpdaterError as error:
            raise UnknownError("site") from error

    @property
    def tree(self) -> Path:
        """Where the running release lies."""
        return self.site.tree(self.state.layout)

    @cached_property
    def location(self) -> FeedLocation:
        """The feed's address, taken apart."""
        from updater.trust import FeedLocation

        try:
            return FeedLocation.parse(self.config.feed_url)
        except UpdaterError as error:
            raise UnknownError("settings") from error

    @cached_property
    def fetched(self) -> FetchedFeed:
        """The feed. Raises UnknownError("feed"), or OSError and UpdaterError to the check of that name alone."""
        try:
            return self.fetch()
        except (UpdaterError, OSError, ImportError) as error:
            raise UnknownError("feed") from error

    def fetch(self) -> FetchedFeed:
        """Fetch and verify the feed as an update would, in a copy of the trust directory."""
        from updater.schema.feed import Feed
        from updater.trust import FeedClient

        root = read_file(self.site.directory / "root.json")
        with TemporaryDirectory(prefix="updater-doctor-") as folder:
            trust = Path(folder, "trust")
            _copy_files(self.site.trust, trust)
            client = FeedClient(self.location, trust, root, self.open_transport())
            trusted = client.fetch(now=self.now, accept=lambda data: _accept(data, self.location.url))
        return FetchedFeed(Feed.parse(trusted.data, f"the feed {self.location.url}"), trusted)

    def open_transport(self) -> Transport:
        """The given transport, or the real one with a short deadline."""
        return self.transport if self.transport is not None else self._real_transport

    @cached_property
    def _real_transport(self) -> Transport:
        from updater.transport import HTTPTransport, Limits

        credentials = read_credentials(self.site.directory, self.environ)
        return HTTPTransport(Limits(total=60.0, headers=_TIMEOUT), headers_for=credentials.headers_for)


def _accept(data: bytes, url: str) -> None:
    from updater.schema.feed import Feed

    Feed.parse(data, f"the feed {url}")


def _copy_files(source: Path, target: Path) -> None:
    """Regular files only: whatever else lies in there is for the client to complain about."""
    target.mkdir(mode=0o700)
    for path in sorted(source.rglob("*")) if source.is_dir() else ():
        copy = target / path.relative_to(source)
        if path.is_file() and not path.is_symlink():
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(read_file(path))
