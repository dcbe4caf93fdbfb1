"""Probing a real loopback server: which answers are good, why others are not, and how long one waits."""

from __future__ import annotations

import http.server
import json
import re
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from updater.errors import HealthCheckError
from updater.process import HealthResult, probe, wait_until_healthy
from updater.schema.site_config import HealthConfig

HERE = Path("/")
Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Without the base class's look-up of the machine's name, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]


class App:
    """A loopback server that answers as the test says; ``answers`` are used in turn, the last one for ever."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.requests = 0
        app = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                app.requests += 1
                answer = app.answers.pop(0) if len(app.answers) > 1 else app.answers[0]
                answer(self)

            def log_message(self, *args: object) -> None:
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/health/"
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


def says(body: bytes, status: int = 200, **headers: str) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def version(text: object, **options: object) -> Answer:
    return says(json.dumps({"version": text, "status": "ok"}).encode(), **options)  # type: ignore[arg-type]


def ask(app: App, answer: Answer, **settings: object) -> HealthResult:
    app.answers = [answer]
    config = HealthConfig(**{"url": app.url, **settings})  # type: ignore[arg-type]
    return probe(config, "1.1.0", cwd=HERE)


def test_the_expected_version(app: App) -> None:
    assert ask(app, version("1.1.0")) == HealthResult(True, "answered version 1.1.0")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (version("1.0.0"), "answered version 1.0.0, expected 1.1.0"),
        (version(None), "answered version None, expected 1.1.0"),
        (version("1.1.0", status=503), "answered 503"),
        (version("1.1.0", status=404), "answered 404"),
        (says(b"{}"), "answered without the key 'version'"),
        (says(b"[]"), "answered without the key 'version'"),
        (says(b"<h1>Welcome</h1>"), "answered something that is not JSON"),
        (says(b"[" * 60_000), "answered something that is not JSON"),
        (says(b" " * 200_000), "answered more than 65536 bytes"),
        (says(b"", status=302, Location="http://elsewhere.example/"), "answered a redirect to another host"),
        (says(b"", status=302, Location="https://login.example/"), "answered a redirect to another host"),
        (says(b"", status=302, Location="file:///etc/passwd"), "redirect|302"),
    ],
)
def test_other_answers(app: App, answer: Answer, reason: str) -> None:
    result = ask(app, answer)
    assert not result.ok
    assert re.search(reason, result.reason)


def test_without_a_version_key_any_success_is_good(app: App) -> None:
    assert ask(app, says(b"OK"), version_key="").ok
    assert not ask(app, says(b"OK", status=500), version_key="").ok


def test_a_redirect_on_the_same_host_is_followed(app: App) -> None:
    app.answers = [says(b"", status=302, Location="/other"), version("1.1.0")]
    assert probe(HealthConfig(url=app.url), "1.1.0", cwd=HERE).ok


def test_a_redirect_loop_ends(app: App) -> None:
    result = ask(app, says(b"", status=302, Location="/health/"))
    assert result.reason == "answered 302"


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
    assert probe(HealthConfig(url=url), "1.1.0", cwd=HERE) == HealthResult(False, "connection refused")


def test_a_proxy_is_not_asked_about_this_machine(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert ask(app, version("1.1.0")).ok


@pytest.mark.parametrize("part", ["nothing", "headers", "body"])
def test_a_server_that_drips_is_given_up(app: App, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then keeps a socket's timeout from passing; the whole probe has one."""
    stop = threading.Event()

    def drip(handler: http.server.BaseHTTPRequestHandler) -> None:
        if part == "body":
            handler.send_response(200)
            handler.end_headers()
        try:
            while part != "nothing" and not stop.wait(0.05):
                handler.wfile.write(b"x")
                handler.wfile.flush()
        except OSError:
            pass
        stop.wait(5)

    app.answers = [drip]
    monkeypatch.setattr(sys.modules["updater.process.health"], "PROBE_TIMEOUT", 0.4)
    started = time.monotonic()
    result = probe(HealthConfig(url=app.url), "1.1.0", cwd=HERE)
    stop.set()
    assert time.monotonic() - started < 2
    assert not result.ok
    assert "did not answer" in result.reason or "timed out" in result.reason


def test_a_server_that_hangs_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            listener.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        result = probe(HealthConfig(url=f"http://127.0.0.1:{listener.getsockname()[1]}/"), "1.1.0", cwd=HERE)
        thread.join()
    assert not result.ok
    assert result.reason


# the command


def test_the_command_s_exit_status_counts(tmp_path: Path) -> None:
    good = HealthConfig(command=("sh", "-c", "pwd; test $A = b"))
    assert probe(good, "1.1.0", cwd=tmp_path, env={"A": "b", "PATH": "/usr/bin:/bin"}).ok
    bad = HealthConfig(command=("sh", "-c", "echo one; echo SystemCheckError; exit 1"))
    assert probe(bad, "1.1.0", cwd=tmp_path) == HealthResult(False, "command exited with 1: SystemCheckError")


def test_a_command_that_is_not_there_or_hangs() -> None:
    assert "was not found" in probe(HealthConfig(command=("no-such-program",)), "1", cwd=HERE).reason
    assert "0.2 seconds" in probe(HealthConfig(command=("sleep", "60")), "1", cwd=HERE, timeout=0.2).reason


def test_url_and_command_must_both_pass(app: App) -> None:
    assert not ask(app, version("1.1.0"), command=("false",)).ok
    assert not ask(app, version("1.0.0"), command=("true",)).ok
    both = ask(app, version("1.1.0"), command=("true",))
    assert both == HealthResult(True, "answered version 1.1.0, command exited with 0")


# waiting


class Clock:
    """Time that only passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def wait(app: App, *answers: Answer, **settings: object) -> tuple[HealthResult, Clock, list[HealthResult]]:
    app.answers = list(answers)
    clock, seen = Clock(), list[HealthResult]()
    config = HealthConfig(**{"url": app.url, "timeout": 10.0, "interval": 1.0, **settings})  # type: ignore[arg-type]
    result = wait_until_healthy(config, "1.1.0", cwd=HERE, clock=clock, sleep=clock.sleep, on_probe=seen.append)
    return result, clock, seen


def test_three_good_answers_in_a_row_are_needed(app: App) -> None:
    good, old = version("1.1.0"), version("1.0.0")
    result, clock, seen = wait(app, good, good, old, good, good, good)
    assert result.ok
    assert [item.ok for item in seen] == [True, True, False, True, True, True]
    assert clock.slept == [1.0] * 5


def test_how_many_is_the_owner_s_choice(app: App) -> None:
    assert len(wait(app, version("1.1.0"), answers=1)[2]) == 1
    assert len(wait(app, version("1.1.0"), answers=7)[2]) == 7


def test_every_answer_comes_over_a_connection_of_its_own(app: App) -> None:
    peers = []

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.protocol_version = "HTTP/1.1"  # which would keep the connection
        peers.append(handler.client_address)
        version("1.1.0")(handler)

    assert wait(app, answer, answers=5)[0].ok
    assert len(set(peers)) == 5


def test_503_means_not_yet(app: App) -> None:
    result, _, seen = wait(app, *[version("1.1.0", status=503)] * 5, version("1.1.0"))
    assert result.ok
    assert len(seen) == 8


def test_the_last_reason_is_told_at_the_deadline(app: App) -> None:
    with pytest.raises(HealthCheckError, match="within 10 seconds: answered 503") as caught:
        wait(app, version("1.0.0"), version("1.0.0", status=503))
    assert app.requests == 11
    assert caught.value.hint


def test_a_good_answer_at_the_deadline_gets_its_other_chances(app: App) -> None:
    result, _, seen = wait(app, *[version("1.0.0")] * 10, version("1.1.0"))
    assert result.ok
    assert len(seen) == 13


def test_answers_that_alternate_do_not_go_on_for_ever(app: App) -> None:
    answers = [version("1.1.0"), version("1.0.0")] * 30
    with pytest.raises(HealthCheckError):
        wait(app, *answers)
    assert app.requests <= 13


def test_without_a_health_check_nothing_is_waited_for() -> None:
    result = wait_until_healthy(HealthConfig(), "1.1.0", cwd=HERE, sleep=lambda seconds: pytest.fail("slept"))
    assert result == HealthResult(True, "no health check is configured")


# the maintenance page


def test_the_token_gets_past_the_maintenance_page(app: App) -> None:
    tokens = []

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        tokens.append(handler.headers.get("X-Tagship-Probe"))
        version("1.1.0")(handler)

    app.answers = [answer]
    assert probe(HealthConfig(url=app.url), "1.1.0", cwd=HERE, token="secret").ok
    assert probe(HealthConfig(url=app.url), "1.1.0", cwd=HERE).ok
    assert tokens == ["secret", None]


def test_the_health_command_is_told_the_token() -> None:
    command = ("sh", "-c", 'test "$TAGSHIP_PROBE" = secret')
    assert probe(HealthConfig(command=command), "1.1.0", cwd=HERE, token="secret").ok
    assert not probe(HealthConfig(command=command), "1.1.0", cwd=HERE).ok


@pytest.mark.parametrize("status", [503, 500, 200])
@pytest.mark.parametrize("version_key", ["version", ""])
def test_the_maintenance_page_is_never_healthy(app: App, status: int, version_key: str) -> None:
    """Not even when a web server turned its status into a success, or it says the right version."""
    page = version("1.1.0", status=status, **{"X-Tagship-Maintenance": "1"})
    result = ask(app, page, version_key=version_key)
    assert result == HealthResult(False, "the maintenance page answered instead of the app")


# workers


def worker(pid: object, text: str = "1.1.0") -> Answer:
    return says(json.dumps({"version": text, "pid": pid}).encode())


WORKERS: dict[str, Any] = {"worker_key": "pid", "workers": 2, "answers": 2}


def test_each_worker_must_have_answered(app: App) -> None:
    result, _, seen = wait(app, *[worker(1)] * 6, worker(2), worker(1), worker(2), **WORKERS)
    assert result.ok
    assert 9 <= len(seen) <= 10  # two at once


def test_one_worker_that_is_old_is_enough_to_fail(app: App) -> None:
    answers = [worker(1), worker(2), worker(3, "1.0.0")] * 30
    with pytest.raises(HealthCheckError, match=r"expected 1.1.0 \(worker 3\)"):
        wait(app, *answers, **{**WORKERS, "workers": 3})


def test_too_few_workers_are_told_at_the_deadline(app: App) -> None:
    with pytest.raises(HealthCheckError, match=r"only 1 of 2 workers answered 2 times each \(by worker: 7 \d+\)"):
        wait(app, worker(7), **WORKERS)


def test_an_answer_that_names_no_worker_does_not_count(app: App) -> None:
    assert ask(app, version("1.1.0"), **WORKERS) == HealthResult(False, "answered without the key 'pid'")
