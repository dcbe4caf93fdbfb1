"""One HTTP question to the running app: bounded in time, in bytes and in where it may lead."""

from __future__ import annotations

import http.client
import ipaddress
import json
import queue
import threading
import urllib.error
import urllib.request
from http.client import HTTPMessage
from typing import IO
from urllib.parse import urlsplit

__all__ = ["ask_version"]

_MAX_BODY = 64 * 1024


def ask_version(url: str, key: str, expected: str, *, timeout: float) -> tuple[bool, str]:
    """Whether ``url`` answers 2xx with ``expected`` under ``key`` of its JSON (any 2xx when ``key`` is empty), and why.

    ``timeout`` is seconds for all of it: the request runs in a thread of its own, because a server that sends a byte
    now and then keeps a socket's timeout from ever passing.
    """
    answers: queue.SimpleQueue[tuple[bool, str]] = queue.SimpleQueue()

    def work() -> None:
        answers.put(_ask(url, key, expected, timeout))

    threading.Thread(target=work, name="health-probe", daemon=True).start()
    try:
        return answers.get(timeout=timeout)
    except queue.Empty:
        return False, f"did not answer within {timeout:g} seconds"


def _ask(url: str, key: str, expected: str, timeout: float) -> tuple[bool, str]:
    request = urllib.request.Request(  # noqa: S310 - updater.toml allows http and https only
        url, headers={"Accept": "application/json", "Cache-Control": "no-cache", "User-Agent": "tagship-health"}
    )
    try:
        with _opener(url).open(request, timeout=timeout) as answer:
            return _judge(answer.read(_MAX_BODY + 1), key, expected)
    except urllib.error.HTTPError as error:
        with error:
            return False, error.msg if isinstance(error, _OffHostError) else f"answered {error.code}"
    except urllib.error.URLError as error:
        return False, _reason(error.reason)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return False, _reason(error)


def _judge(body: bytes, key: str, expected: str) -> tuple[bool, str]:
    if not key:
        return True, "answered"
    if len(body) > _MAX_BODY:
        return False, f"answered more than {_MAX_BODY} bytes"
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return False, "answered something that is not JSON"
    if not isinstance(document, dict) or key not in document:
        return False, f"answered without the key {key!r}"
    version = document[key]
    if version != expected:
        return False, f"answered version {str(version)[:100]}, expected {expected}"
    return True, f"answered version {expected}"


def _reason(error: object) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, TimeoutError):
        return "did not answer in time"
    return f"{error}" or type(error).__name__


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
            raise _OffHostError(newurl, code, f"answered a redirect to another host ({host})", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)
