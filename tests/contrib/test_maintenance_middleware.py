"""The middleware in front of WSGI and ASGI apps: what visitors get, who is let through, and when it is off."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.contrib.maintenance import MaintenanceASGI, MaintenanceWSGI
from updater.contrib.maintenance.answer import wants_json
from updater.schema.site_config import MaintenanceConfig
from updater.site.maintenance import MaintenanceFlag

ROOT = Path(__file__).parents[2]
CONFIG = MaintenanceConfig("maintenance.json", message="<b>Back</b> soon")
Ask = Callable[..., tuple[int, dict[str, str], bytes]]


def _wsgi(path: Path, page: Path | None = None) -> Ask:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"the app"]

    wrapped = MaintenanceWSGI(app, path, page)

    def ask(method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        environ: dict[str, Any] = {"REQUEST_METHOD": method, "QUERY_STRING": ""}
        setup_testing_defaults(environ)
        environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
        said: list[Any] = []

        def start(status: str, found: list[tuple[str, str]], exc_info: Any = None) -> Any:
            said.append((int(status.partition(" ")[0]), dict(found)))
            return lambda data: None

        checked = validator(wrapped)(environ, start)  # the standard library's judge of PEP 3333
        body = b"".join(checked)
        checked.close()
        return (*said[0], body)

    return ask


def _asgi(path: Path, page: Path | None = None) -> Ask:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"the app"})

    wrapped = MaintenanceASGI(app, path, page)

    def ask(method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        raw = [(name.lower().replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        asyncio.run(wrapped({"type": "http", "method": method, "headers": raw}, receive, send))
        found = {name.decode().title(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], found, sent[1]["body"]

    return ask


@pytest.fixture(params=[_wsgi, _asgi], ids=["wsgi", "asgi"])
def front(request: pytest.FixtureRequest) -> Callable[..., Ask]:
    return request.param


def test_off_on_and_off_again(front: Callable[..., Ask], tmp_path: Path) -> None:
    path = tmp_path / "maintenance.json"
    ask, flag = front(path), MaintenanceFlag(path, CONFIG)
    assert ask()[0] == 200
    flag.raise_flag(datetime.now(UTC))
    status, headers, body = ask()
    assert status == 503
    assert headers["Retry-After"] == "60"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Tagship-Maintenance"] == "1"
    assert headers["Content-Length"] == str(len(body))
    assert b"&lt;b&gt;Back&lt;/b&gt; soon" in body
    flag.lower()
    assert ask()[2] == b"the app"


def test_the_probe_gets_through_and_nobody_else(front: Callable[..., Ask], tmp_path: Path) -> None:
    path = tmp_path / "maintenance.json"
    token = MaintenanceFlag(path, CONFIG).raise_flag(datetime.now(UTC))
    digest = json.loads(path.read_text())["probe_sha256"]
    ask = front(path)
    assert ask(X_Tagship_Probe=token)[2] == b"the app"
    for other in ("", "x", digest, token[:-1], token + "0"):
        assert ask(X_Tagship_Probe=other)[0] == 503


def test_json_for_who_wants_it(front: Callable[..., Ask], tmp_path: Path) -> None:
    path = tmp_path / "maintenance.json"
    MaintenanceFlag(path, CONFIG).raise_flag(datetime.now(UTC))
    status, headers, body = front(path)(Accept="application/json")
    assert (status, headers["Content-Type"]) == (503, "application/json")
    assert json.loads(body) == {"error": "maintenance", "message": "<b>Back</b> soon", "retry_after": 60}
    assert front(path)("HEAD")[2] == b""


def test_a_page_of_the_app_s_own(front: Callable[..., Ask], tmp_path: Path) -> None:
    page, path = tmp_path / "page.html", tmp_path / "maintenance.json"
    page.write_text("<h1>Ours</h1>")
    ask = front(path, page)
    page.unlink()  # an update replaces it just now
    MaintenanceFlag(path, CONFIG).raise_flag(datetime.now(UTC))
    assert ask()[2] == b"<h1>Ours</h1>"
    with pytest.raises(FileNotFoundError):
        front(path, page)


def test_an_expired_flag_is_none(front: Callable[..., Ask], tmp_path: Path) -> None:
    path = tmp_path / "maintenance.json"
    MaintenanceFlag(path, CONFIG).raise_flag(datetime.now(UTC) - timedelta(minutes=31))
    assert front(path)()[0] == 200


def test_websockets_are_refused_and_lifespan_is_not(tmp_path: Path) -> None:
    path, reached, sent = tmp_path / "maintenance.json", [], []
    MaintenanceFlag(path, CONFIG).raise_flag(datetime.now(UTC))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope["type"])

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    wrapped = MaintenanceASGI(app, path)
    asyncio.run(wrapped({"type": "lifespan"}, receive, send))
    asyncio.run(wrapped({"type": "websocket", "headers": []}, receive, send))
    assert reached == ["lifespan"]
    assert sent == [{"type": "websocket.close", "code": 1013, "reason": "maintenance"}]


@pytest.mark.parametrize(
    ("accept", "json_wanted"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", True),
        ("application/json, text/plain, */*", True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        ("application/problem+json", True),
        ("text/html, application/json", False),
        ("text/html;q=0.5, application/json;q=0.9", True),
        ("application/json;q=0", False),
        ("application/json;q=x", False),
    ],
)
def test_who_wants_json(accept: str, json_wanted: bool) -> None:
    assert wants_json(accept) is json_wanted


@given(st.text(max_size=80))
def test_any_accept_header_can_be_read(accept: str) -> None:
    assert wants_json(accept) in (True, False)


def test_it_imports_nothing_of_the_updater_and_can_be_copied(tmp_path: Path) -> None:
    """Only the standard library: the folder works by itself under another name."""
    target = tmp_path / "page"
    subprocess.run(["cp", "-r", str(ROOT / "updater/contrib/maintenance"), str(target)], check=True)
    script = "import sys; sys.path.insert(0, sys.argv[1]); import page; print('updater' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
