"""The version that runs against the one that is installed: what is refused, and what is only told."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from updater.errors import BlockedError
from updater.install.running import ask_running, judge_running, refuse_other_version
from updater.schema.site_config import HealthConfig


class App:
    """Answers with ``versions`` in turn."""

    def __init__(self) -> None:
        self.versions: list[Any] = ["1.1.0"]
        self.status = 200
        app = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                said = app.versions.pop(0) if len(app.versions) > 1 else app.versions[0]
                body = json.dumps({"version": said}).encode() if said is not None else b"<h1>hello</h1>"
                self.send_response(app.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.config = HealthConfig(url=f"http://127.0.0.1:{self.server.server_address[1]}/health/")
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def app() -> Iterator[App]:
    found = App()
    yield found
    found.close()


def look(app: App, installed: str | None = "1.1.0", policy: Any = "refuse") -> Any:
    return judge_running(installed, ask_running(app.config), app.config, policy)


def test_the_installed_version(app: App) -> None:
    assert look(app).level == "ok"


def test_another_version_is_refused(app: App) -> None:
    app.versions = ["1.0.0"]
    finding = look(app)
    assert finding.level == "error"
    assert "answers 1.0.0, but 1.1.0 is installed" in finding.message
    with pytest.raises(BlockedError) as caught:
        refuse_other_version(finding)
    assert "Restart it first" in caught.value.hint
    assert '[policy] running = "allow"' in caught.value.hint


def test_one_worker_that_was_not_restarted_is_enough(app: App) -> None:
    app.versions = ["1.1.0", "1.0.0", "1.1.0"]
    assert look(app).level == "error"


def test_the_owner_may_allow_it(app: App) -> None:
    app.versions = ["1.0.0"]
    finding = look(app, policy="allow")
    assert finding.level == "warning"
    refuse_other_version(finding)


@pytest.mark.parametrize(("status", "said"), [(503, "1.0.0"), (200, None), (404, "1.0.0")])
def test_an_app_that_does_not_tell_is_a_warning(app: App, status: int, said: Any) -> None:
    app.status, app.versions = status, [said]
    finding = look(app)
    assert finding.level == "warning"
    assert "cannot be told" in finding.message
    refuse_other_version(finding)


def test_an_app_that_does_not_run_is_a_warning(app: App) -> None:
    app.close()
    try:
        assert look(app).level == "warning"
    finally:
        app.thread = threading.Thread(target=lambda: None)
        app.thread.start()
        app.server.shutdown = lambda: None  # type: ignore[method-assign]


def test_nobody_is_asked_without_a_way_to_tell() -> None:
    assert ask_running(HealthConfig()) == []
    assert ask_running(HealthConfig(url="http://127.0.0.1:1/", version_key="")) == []
    assert judge_running("1.0.0", [], HealthConfig()).level == "ok"
    assert judge_running(None, [], HealthConfig()).level == "ok"
