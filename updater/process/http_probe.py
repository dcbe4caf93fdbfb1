"""HTTP questions to the running app: bounded in time, in bytes and in where they may lead."""

from __future__ import annotations

import http.client
import ipaddress
import json
import queue
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPMessage
from typing import IO, Any
from urllib.parse import urlsplit

from updater.errors import printable
from updater.frozen import frozen

__all__ = ["MAINTENANCE_HEADER", "PROBE_HEADER", "Answer", "ask"]

PROBE_HEADER = "X-Tagship-Probe"
"""Carries the token that the maintenance page lets through (docs/formats.md section 9.2)."""

MAINTENANCE_HEADER = "X-Tagship-Maintenance"
"""Marks an answer that the maintenance page gave instead of the app."""

_MAX_BODY = 64 * 1024
_MAINTENANCE = "the maintenance page answered instead of the app"


@frozen
class Answer:
    """What came back. ``problem`` says why it is not a success (2xx) of the app; empty for one that is.

    ``document`` is its body when that is a JSON object (without what is nested in it), else None, and ``unreadable``
    why. ``answered``: something answered at all, and it was not the maintenance page.
    """

    problem: str = ""
    document: Mapping[str, Any] | None = None
    unreadable: str = ""
    answered: bool = True


def ask(url: str, *, timeout: float, token: str = "", times: int = 1) -> list[Answer]:
    """Ask ``url`` ``times`` times at once, each time over a connection of its own. Never raises for what comes back.

    ``timeout`` is seconds for all of it: each request runs in a thread of its own, because a server that sends a byte
    now and then keeps a socket's timeout from ever passing. ``token`` gets past the maintenance page.
    """
    answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
    deadline = time.monotonic() + timeout
    for _ in range(times):
        threading.Thread(
            target=lambda: answers.put(_ask(url, timeout, token)), name="health-probe", daemon=True
        ).start()
    found = []
    for _ in range(times):
        try:
            found.append(answers.get(timeout=max(0.0, deadline - time.monotonic())))
        except queue.Empty:
            found.append(Answer(f"did not answer within {timeout:g} seconds", answered=False))
    return found


def _ask(url: str, timeout: float, token: str) -> Answer:
    headers = {"Accept": "application/json", "Cache-Control": "no-cache", "User-Agent": "tagship-health"}
    if token:
        headers[PROBE_HEADER] = token
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - updater.toml allows http and https only
    try:
        with _opener(url).open(request, timeout=timeout) as answer:
            if answer.headers.get(MAINTENANCE_HEADER):
                return Answer(_MAINTENANCE, answered=False)
            return _read(answer.read(_MAX_BODY + 1))
    except urllib.error.HTTPError as error:
        with error:
            return _refused(error)
    except urllib.error.URLError as error:
        return Answer(_reason(error.reason), answered=False)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answer(_reason(error), answered=False)


def _refused(error: urllib.error.HTTPError) -> Answer:
    """An answer whose status is no success."""
    if isinstance(error, _OffHostError):
        return Answer(str(error.msg))
    if error.headers.get(MAINTENANCE_HEADER):
        return Answer(_MAINTENANCE, answered=False)
    return Answer(f"answered {error.code}")


def _read(body: bytes) -> Answer:
    if len(body) > _MAX_BODY:
        return Answer(unreadable=f"answered more than {_MAX_BODY} bytes")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return Answer(unreadable="answered something that is not JSON")
    if not isinstance(document, dict):
        return Answer(document={})
    return Answer(document={key: value for key, value in document.items() if not isinstance(value, dict | list)})


def _reason(error: object) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, TimeoutError):
        return "did not answer in time"
    return printable(f"{error}"[:300]) or type(error).__name__


def _opener(url: str) -> urllib.request.OpenerDirector:
    handlers: list[urllib.request.BaseHandler] = [_SameHost()]
    if _is_loopback(urlsplit(url).hostname or ""):
        # A proxy would ask its own machine instead of this one.
        handlers.append(urllib.request.ProxyHandler({}))
    return urllib.request.build_opener(*handlers)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


class _OffHostError(urllib.error.HTTPError):
    """A redirect to another machine, which says nothing about this app."""


class _SameHost(urllib.request.HTTPRedirectHandler):
    def redirect_request(  # noqa: PLR0917 - the signature is urllib's
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        host = urlsplit(newurl).hostname
        if host != urlsplit(req.full_url).hostname:
            raise _OffHostError(
                newurl, code, printable(f"answered a redirect to another host ({(host or '')[:100]})"), headers, fp
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)
