"""Ways in which GitHub, or the way to it, fails; and the death of the client."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import requests


@dataclass
class Fault:
    """Something that happens to the next ``times`` requests that match; ``skip`` matching ones pass before.

    ``kind``: ``status`` (answered without being done), ``lost`` (done, and the connection cut), ``cut`` (not done, and
    the connection cut), ``hang`` (the body is not read, no answer), ``starter`` (an upload leaves an empty asset and a
    502), ``digest`` (an upload is stored damaged), ``html`` (somebody else's page with status 200).
    """

    method: str
    path: str
    kind: str = "status"
    status: int = 502
    message: str = "Server Error"
    headers: dict[str, str] = field(default_factory=dict)
    errors: list[dict[str, str]] = field(default_factory=list)
    times: int = 1
    skip: int = 0

    def hits(self, method: str, path: str) -> bool:
        """Whether this request is struck; counts it."""
        if self.times <= 0 or method != self.method or not re.search(self.path, path):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True


class Killed(BaseException):
    """The client is gone: nothing catches this."""


@contextmanager
def kill_client_at(number: int, *, after: bool) -> Iterator[list[str]]:
    """Let the client die at its ``number``-th HTTP request (from 1), before it is sent or after it was answered.

    Yields the list of requests made.
    """
    made: list[str] = []
    real = requests.adapters.HTTPAdapter.send

    def send(self: Any, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        made.append(f"{request.method} {request.url}")
        if len(made) == number and not after:
            raise Killed
        answer = real(self, request, *args, **options)
        if len(made) == number:
            answer.close()
            raise Killed
        return answer

    with mock.patch.object(requests.adapters.HTTPAdapter, "send", send):
        yield made
