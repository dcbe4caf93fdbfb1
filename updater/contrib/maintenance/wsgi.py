"""The page in front of a WSGI app (PEP 3333)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .answer import answer_for
from .flag import FlagFile

__all__ = ["MaintenanceWSGI"]

_App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class MaintenanceWSGI:
    """``app``, unless the flag at ``flag_path`` says that the page is on; the updater's own probe gets through.

    ``page`` is the path of an HTML page of the app's own, read now: it may be among the files that are replaced later.
    Raises OSError when it cannot be read.
    """

    def __init__(
        self, app: _App, flag_path: str | os.PathLike[str], page: str | os.PathLike[str] | None = None
    ) -> None:
        self._app = app
        self._flag = FlagFile(flag_path)
        self._page = read_page(page)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        flag = self._flag.current()
        if flag is None or flag.lets_through(environ.get("HTTP_X_TAGSHIP_PROBE", "")):
            return self._app(environ, start_response)
        answer = answer_for(flag, environ.get("HTTP_ACCEPT", ""), self._page)
        start_response("503 Service Unavailable", list(answer.headers))
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [answer.body]


def read_page(page: str | os.PathLike[str] | None) -> bytes | None:
    """The bytes of the app's own page."""
    return None if page is None else Path(page).read_bytes()
