"""Files over https, with limits on everything a server can stretch."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Any, cast
from urllib.parse import urljoin

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from updater.errors import ConfigError, DownloadError, DownloadTruncatedError, UpdaterError
from updater.transport.base import CHUNK, Limits, Response, capped, parse_content_range, wants_range
from updater.transport.http_errors import NETWORK_ERRORS, from_exception, from_status
from updater.transport.urls import insecure_reason, is_loopback, origin, shown
from updater.transport.watchdog import RateMeter, Watchdog, current_watchdog

__all__ = ["HTTPTransport"]

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_DRAIN = 16 * 1024
_NO_PROXY = {"http": None, "https": None, "all": None}

HeadersFor = Callable[[str], Mapping[str, str]]


class HTTPTransport:
    """A ``Transport`` over ``requests``: proxies, ``.netrc`` and CA bundles as its users expect.

    ``headers_for(url)`` may return extra headers, such as Authorization; they are sent only to the host (and
    scheme and port) that was asked for, never to where it redirects. Only https is spoken, on every hop, with
    http allowed for loopback hosts. Keeps connections open between calls; ``close()`` or ``with`` ends them.
    """

    def __init__(self, limits: Limits | None = None, *, headers_for: HeadersFor | None = None) -> None:
        self._limits = limits or Limits()
        self._headers_for = headers_for
        self._session = requests.Session()
        self._session.headers.clear()
        self._session.headers.update({"User-Agent": f"tagship/{_own_version()}", "Accept": "*/*"})
        adapter = _Adapter()
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def __enter__(self) -> HTTPTransport:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close idle connections. The transport can still be used."""
        self._session.close()

    @contextmanager
    def open(self, url: str, *, max_bytes: int, start: int = 0, end: int | None = None) -> Iterator[Response]:
        """See ``Transport.open``. ``ConfigError`` when ``url`` itself is not https."""
        ranged = wants_range(start, end)
        reason = insecure_reason(url)
        if reason:
            raise ConfigError(
                f"{shown(url)} cannot be used: {reason}", hint="Use an https:// address of the same file."
            )
        headers = {"Range": f"bytes={start}-{'' if end is None else end - 1}"} if ranged else {}
        with Watchdog(self._limits, url) as watchdog:
            answer, final = self._follow(url, headers, watchdog)
            try:
                yield self._response(answer, final, watchdog, max_bytes=max_bytes, start=start, end=end)
            finally:
                # A body that was read to its end has already given its connection back; any other is dropped.
                answer.close()

    def _follow(self, url: str, headers: Mapping[str, str], watchdog: Watchdog) -> tuple[requests.Response, str]:
        """Send the request and follow redirects by hand. Returns the answer (any other status) and its URL."""
        here = url
        for _ in range(MAX_REDIRECTS + 1):
            watchdog.headers()
            answer = self._send(here, {**self._extra(url, here), **headers}, watchdog)
            location = answer.headers.get("Location", "")
            if answer.status_code not in _REDIRECTS or not location:
                watchdog.body()
                return answer, here
            answer.close()
            here = self._next_hop(here, location)
        raise DownloadError(
            f"{shown(url)} redirects more than {MAX_REDIRECTS} times",
            url=shown(url),
            hint="The server sends requests in a circle. Check the address; tell the publisher.",
        )

    def _next_hop(self, here: str, location: str) -> str:
        try:
            target = urljoin(here, location)
        except ValueError:
            target = ""
        reason = insecure_reason(target)
        if not reason and here.startswith("https:") and not target.startswith("https:"):
            reason = "it leaves https"
        # A public server must not be able to aim requests at services that listen on this machine only.
        if not reason and is_loopback(target) and not is_loopback(here):
            reason = "it points back to this machine"
        if reason:
            raise DownloadError(
                f"{shown(here)} redirects to {shown(target or location)}, which is refused: {reason}",
                url=shown(here),
                hint="Tell the publisher; if only this machine sees it, check proxies and DNS.",
            )
        return target

    def _extra(self, asked: str, here: str) -> dict[str, str]:
        if self._headers_for is None or origin(asked) != origin(here):
            return {}
        return dict(self._headers_for(here))

    def _send(self, url: str, headers: Mapping[str, str], watchdog: Watchdog) -> requests.Response:
        session = self._session
        try:
            request = session.prepare_request(
                requests.Request("GET", url, headers={**headers, "Accept-Encoding": "identity"})
            )
            proxies = cast("dict[str, str]", dict(_NO_PROXY)) if is_loopback(url) else {}
            settings: dict[str, Any] = dict(session.merge_environment_settings(request.url, proxies, True, None, None))
            # The adapter is called directly because Session.send reads the body of every redirect, however long.
            return session.get_adapter(url).send(
                request, timeout=(self._limits.connect, self._limits.window), **settings
            )
        except NETWORK_ERRORS as error:
            raise self._translated(error, url, watchdog) from error

    def _translated(self, error: Exception, url: str, watchdog: Watchdog) -> UpdaterError:
        if watchdog.fired:
            return watchdog.timeout_error()
        return from_exception(error, url)

    def _response(
        self,
        answer: requests.Response,
        url: str,
        watchdog: Watchdog,
        *,
        max_bytes: int,
        start: int,
        end: int | None,
    ) -> Response:
        status = answer.status_code
        if status not in (200, 206):
            watchdog.headers()
            self._drain(answer)
            raise from_status(status, url, answer.headers)
        encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            raise DownloadError(
                f"{shown(url)} was sent compressed ({encoding}) although that was ruled out",
                url=shown(url),
                hint="Turn off compression on the fly in the server or proxy.",
            )
        coding = answer.headers.get("Transfer-Encoding", "chunked").strip().lower()
        if coding not in ("chunked", "identity"):
            raise DownloadError(
                f"{shown(url)} was sent in a transfer coding nobody asked for ({coding!r})",
                url=shown(url),
                hint="The server or a proxy in between does not speak proper HTTP.",
            )
        length = _content_length(answer, url)
        first, total, announced = 0, length, length
        if status == 206:
            if not wants_range(start, end):
                raise DownloadError(
                    f"{shown(url)} was answered with a part of the file, although all of it was asked for",
                    url=shown(url),
                    hint="The server or a proxy in between mishandles range requests.",
                )
            announced, total = parse_content_range(answer.headers.get("Content-Range"), url=url, start=start, end=end)
            if length is not None and length > announced:
                raise DownloadError(
                    f"{shown(url)} was answered with {length} bytes for a range of {announced}",
                    url=shown(url),
                    hint="The server or a proxy in between mishandles range requests.",
                )
            first = start
        chunks = self._chunks(answer, url, watchdog, announced)
        return Response(
            url=url,
            status=status,
            start=first,
            total=total,
            chunks=capped(chunks, max_bytes, url=url, announced=announced),
        )

    def _chunks(
        self, answer: requests.Response, url: str, watchdog: Watchdog, announced: int | None
    ) -> Iterator[bytes]:
        """The body, each piece as soon as it arrives."""
        raw: urllib3.HTTPResponse = answer.raw
        meter = RateMeter(self._limits, url)
        received = 0
        while True:
            before = time.monotonic()
            try:
                chunk = raw.read1(CHUNK, decode_content=False)
            except NETWORK_ERRORS as error:
                raise self._translated(error, url, watchdog) from error
            if watchdog.fired:
                raise watchdog.timeout_error()
            if not chunk:
                break
            received += len(chunk)
            meter.add(time.monotonic() - before, len(chunk))
            yield chunk
        if announced is not None and received < announced:
            raise DownloadTruncatedError(
                f"The connection to {shown(url)} was cut off after {received} of {announced} bytes",
                url=shown(url),
                hint="Try again; downloads resume.",
            )

    def _drain(self, answer: requests.Response) -> None:
        """Read a short error page to its end, so that the connection serves the next request too."""
        with suppress(DownloadError, *NETWORK_ERRORS):
            length = _content_length(answer, "")
            if length is not None and length <= _DRAIN:
                answer.raw.read(_DRAIN, decode_content=False)


def _content_length(answer: requests.Response, url: str) -> int | None:
    """Bytes of the body as announced, or None. ``DownloadError`` for what cannot be understood (RFC 9112, 6.3)."""
    value = answer.headers.get("Content-Length")
    # With a transfer coding the header does not count (RFC 9112, section 6.3).
    if value is None or "Transfer-Encoding" in answer.headers:
        return None
    different = {part.strip() for part in value.split(",")}
    number = different.pop()
    if different or re.fullmatch(r"[0-9]{1,18}", number) is None:
        raise DownloadError(
            f"{shown(url)} was answered with an unreadable length ({value[:40]!r})",
            url=shown(url),
            hint="The server or a proxy in between does not speak proper HTTP.",
        )
    return int(number)


def _own_version() -> str:
    try:
        return version("tagship")
    except PackageNotFoundError:
        return "0"


class _Watched(HTTPConnection):
    """Tells the watchdog which socket to shut down: when it is connected, and when a kept one is reused."""

    def _new_conn(self) -> Any:
        sock = super()._new_conn()
        watchdog = current_watchdog()
        if watchdog is not None:
            watchdog.attach(sock)
        return sock

    def request(self, *args: Any, **kwargs: Any) -> None:
        watchdog = current_watchdog()
        if watchdog is not None and self.sock is not None:
            watchdog.attach(self.sock)
        super().request(*args, **kwargs)


class _WatchedTLS(_Watched, HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Watched


class _TLSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _WatchedTLS


class _Adapter(HTTPAdapter):
    """requests' own adapter, with watched connections, directly and through proxies."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        # A SOCKS manager brings its own connection classes.
        if type(manager) is urllib3.ProxyManager:
            manager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
        return manager
