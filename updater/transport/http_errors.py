"""What went wrong on the network, as one of our errors with advice."""

from __future__ import annotations

import errno
import http.client
import re
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import requests
import urllib3

from updater.errors import DownloadError, DownloadHTTPError, DownloadTimeoutError, DownloadTruncatedError
from updater.transport.http_dates import parse_http_date
from updater.transport.urls import shown

__all__ = ["NETWORK_ERRORS", "from_exception", "from_status"]

NETWORK_ERRORS: tuple[type[Exception], ...] = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    UnicodeError,
    ValueError,  # http.client on a file that the watchdog closed, and malformed Location headers
)

_STATUS_HINTS = {
    401: "The server wants credentials (`updater login HOST`), or refuses those that are configured.",
    403: "The server refuses access. For a private feed, check the configured credentials.",
    404: "Check the address. If the publisher has just released, try again in a few minutes.",
    407: "The proxy wants credentials: put them into the proxy setting.",
    410: "The publisher has removed this file.",
    416: "The file on the server is shorter than the part that is already here; it was probably replaced.",
    429: "Too many requests from this address.",
}


def from_status(status: int, url: str, headers: Mapping[str, str]) -> DownloadHTTPError:
    """The error for an answer that is not the file."""
    hint = _STATUS_HINTS.get(
        status, "This is no answer to a plain request for a file. Check the address; tell the publisher."
    )
    if status >= 500:
        hint = "The server has a problem. Try again later."
    wait, moment = _retry_after(headers)
    if moment:
        hint = f"{hint} The server asks to wait until {moment}.".strip()
    reason = http.client.responses.get(status, "")
    text = f"{shown(url)} was answered with HTTP {status} {reason}".rstrip()
    return DownloadHTTPError(text, status=status, url=shown(url), hint=hint, retry_after=wait)


def _retry_after(headers: Mapping[str, str]) -> tuple[float | None, str]:
    """Retry-After (seconds or an HTTP date), in seconds and as text; None and empty when absent or unreadable."""
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value), f"{value} seconds from now"
    moment = parse_http_date(value)
    if moment is None:
        return None, ""
    return max(0.0, (moment - datetime.now(UTC)).total_seconds()), f"{moment:%Y-%m-%d %H:%M} UTC"


def from_exception(error: Exception, url: str) -> DownloadError:
    """The error for an exception of requests, urllib3, http.client, ssl or the operating system."""
    kinds = tuple(_chain(error))
    for test in (_tls, _proxy, _name, _refused, _timeout, _cut_off):
        found = test(kinds, url)
        if found is not None:
            return found
    cause = kinds[-1]
    text = str(cause) or type(cause).__name__
    return DownloadError(
        f"{shown(url)} cannot be reached: {_clean(text)}", url=shown(url), hint="Check the network connection."
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The exception and everything inside it: causes, contexts, and what requests and urllib3 wrap."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        item = waiting.pop()
        if item is None or id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        inner = [getattr(item, "reason", None), *item.args, item.__context__, item.__cause__]
        waiting.extend(part for part in reversed(inner) if isinstance(part, BaseException))


def _has(kinds: tuple[BaseException, ...], *types: type[BaseException]) -> BaseException | None:
    return next((item for item in kinds if isinstance(item, types)), None)


def _tls(kinds: tuple[BaseException, ...], url: str) -> DownloadError | None:
    found = _has(kinds, ssl.SSLCertVerificationError)
    if isinstance(found, ssl.SSLCertVerificationError):
        return DownloadError(
            f"The certificate of {shown(url)} is not accepted: {found.verify_message or found.reason}",
            url=shown(url),
            hint="Check this machine's clock. Behind a company proxy, set REQUESTS_CA_BUNDLE to its certificate.",
        )
    found = _has(kinds, ssl.SSLError)
    if found is None or _has(kinds, urllib3.exceptions.TimeoutError, TimeoutError):
        return None
    return DownloadError(
        f"No secure connection to {shown(url)}: {_clean(str(found))}",
        url=shown(url),
        hint="The server or a proxy in between does not speak proper TLS.",
    )


def _proxy(kinds: tuple[BaseException, ...], url: str) -> DownloadError | None:
    found = _has(kinds, requests.exceptions.ProxyError, urllib3.exceptions.ProxyError)
    if found is None:
        return None
    return DownloadError(
        f"{shown(url)} cannot be reached through the proxy",
        url=shown(url),
        hint="Check the environment variables HTTPS_PROXY and NO_PROXY.",
    )


def _timeout(kinds: tuple[BaseException, ...], url: str) -> DownloadError | None:
    # urllib3 calls every connection that does not come about a kind of timeout.
    others = tuple(item for item in kinds if not isinstance(item, urllib3.exceptions.NewConnectionError))
    if _has(others, requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError) is None:
        return None
    return DownloadTimeoutError(
        f"{shown(url)} does not answer in time",
        url=shown(url),
        hint="The server is down or a firewall drops the connection. Try again later.",
    )


def _name(kinds: tuple[BaseException, ...], url: str) -> DownloadError | None:
    if _has(kinds, urllib3.exceptions.NameResolutionError) is None:
        return None
    return DownloadError(
        f"The host name of {shown(url)} cannot be resolved",
        url=shown(url),
        hint="Check the spelling of the address, and this machine's DNS and network connection.",
    )


def _refused(kinds: tuple[BaseException, ...], url: str) -> DownloadError | None:
    for item in kinds:
        if isinstance(item, OSError) and item.errno == errno.ECONNREFUSED:
            return DownloadError(
                f"The connection to {shown(url)} was refused",
                url=shown(url),
                hint="Check the host and port; the web server may be down.",
            )
    return None


def _cut_off(kinds: tuple[BaseException, ...], url: str) -> DownloadError | None:
    cut = (http.client.IncompleteRead, urllib3.exceptions.IncompleteRead, http.client.RemoteDisconnected)
    if _has(kinds, *cut, ConnectionResetError, BrokenPipeError) is None:
        return None
    return DownloadTruncatedError(
        f"The connection to {shown(url)} was cut off", url=shown(url), hint="Try again; downloads resume."
    )


def _clean(text: str) -> str:
    """One line, without addresses: exceptions quote URLs whose query may be a credential."""
    return re.sub(r"(/|https?://)\S*\?\S*", "...", " ".join(text.split()))[:300]
