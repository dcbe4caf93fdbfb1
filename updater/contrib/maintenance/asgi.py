"""The page in front of an ASGI app (version 3)."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from .answer import PROBE_HEADER, answer_for
from .flag import FlagFile
from .wsgi import read_page

__all__ = ["MaintenanceASGI"]

_Receive = Callable[[], Awaitable[dict[str, Any]]]
_Send = Callable[[dict[str, Any]], Awaitable[None]]
_App = Callable[[dict[str, Any], _Receive, _Send], Awaitable[None]]

TRY_AGAIN_LATER = 1013
"""The code with which a WebSocket is refused (the IANA registry of close codes)."""


class MaintenanceASGI:
    """``app``, unless the flag at ``flag_path`` says that the page is on; the updater's own probe gets through.

    New WebSockets are refused meanwhile; lifespan events always reach the app. ``page`` as for `MaintenanceWSGI`.
    """

    def __init__(
        self, app: _App, flag_path: str | os.PathLike[str], page: str | os.PathLike[str] | None = None
    ) -> None:
        self._app = app
        self._flag = FlagFile(flag_path)
        self._page = read_page(page)

    async def __call__(self, scope: dict[str, Any], receive: _Receive, send: _Send) -> None:
        flag = self._flag.current() if scope["type"] in ("http", "websocket") else None
        if flag is None or flag.lets_through(_header(scope["headers"], PROBE_HEADER)):
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await receive()  # the handshake, which has to be taken before it can be refused
            await send({"type": "websocket.close", "code": TRY_AGAIN_LATER, "reason": "maintenance"})
            return
        answer = answer_for(flag, _header(scope["headers"], "Accept"), self._page)
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})


def _header(headers: Iterable[tuple[bytes, bytes]], name: str) -> str:
    wanted = name.lower().encode("latin-1")
    return next((value.decode("latin-1") for key, value in headers if key.lower() == wanted), "")
