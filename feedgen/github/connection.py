"""Connections as PyGithub shall use them, put in place through its own ``injectConnectionClasses``.

PyGithub 2.10 opens uploads without the timeouts it was given and reads streamed downloads into memory at once. These
classes always have both timeouts, stream what shall be streamed, and ask for what they know only if it has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import requests
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, RequestsResponse

__all__ = ["UploadBody", "connection_classes"]

Classes = tuple[type[HTTPRequestsConnectionClass], type[HTTPSRequestsConnectionClass]]


def connection_classes(connect: float, read: float) -> Classes:
    """Classes for http and https that share one memory of answers, which lasts as long as they do."""
    known: dict[tuple[str, str], requests.Response] = {}

    def get_response(cnx: HTTPRequestsConnectionClass | HTTPSRequestsConnectionClass) -> RequestsResponse:
        url = f"{cnx.protocol}://{cnx.host}:{cnx.port}{cnx.url}"
        headers: dict[str, str] = dict(cnx.headers)
        key = (url, headers.get("Accept", ""))
        remember = cnx.verb == "GET" and not cnx.stream
        if remember and key in known:
            headers["If-None-Match"] = known[key].headers["ETag"]
        answer = cnx.session.request(
            cnx.verb,
            url,
            headers=headers,
            data=cnx.input,
            timeout=(connect, read),
            verify=cnx.verify,
            allow_redirects=False,
            stream=cnx.stream,
        )
        if answer.status_code == 304 and key in known:
            return RequestsResponse(known[key])
        if remember and answer.status_code == 200 and "ETag" in answer.headers:
            known[key] = answer
        return RequestsResponse(answer)

    class Http(HTTPRequestsConnectionClass):
        def getresponse(self) -> RequestsResponse:
            return get_response(self)

    class Https(HTTPSRequestsConnectionClass):
        def getresponse(self) -> RequestsResponse:
            return get_response(self)

    return Http, Https


class UploadBody:
    """A file that is being sent. ``check`` is told how many bytes have gone, and raises to give up."""

    def __init__(self, file: Any, size: int, check: Callable[[int], None]) -> None:
        self._file = file
        self._size = size
        self._check = check
        self._sent = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read(64 * 1024):
            yield chunk

    def read(self, size: int = -1) -> bytes:
        """The next piece."""
        self._check(self._sent)
        data: bytes = self._file.read(size)
        self._sent += len(data)
        return data
