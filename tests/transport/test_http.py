"""The network transport against a server that misbehaves."""

from __future__ import annotations

import socket
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import server as faults
from tests.support.server import LoopbackServer
from updater.errors import (
    ConfigError,
    DownloadError,
    DownloadHTTPError,
    DownloadTimeoutError,
    DownloadTooLargeError,
    DownloadTruncatedError,
)
from updater.transport import HTTPTransport, Limits

DATA = b"0123456789" * 100
QUICK = Limits(connect=1, headers=0.4, total=1.0, min_rate=2000, window=0.5, grace=0.3)


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer({"a": DATA}) as server:
        yield server


@pytest.fixture
def http() -> Iterator[HTTPTransport]:
    with HTTPTransport(QUICK) as transport:
        yield transport


def get(transport: HTTPTransport, url: str, *, max_bytes: int = 1 << 20, start: int = 0) -> bytes:
    with transport.open(url, max_bytes=max_bytes, start=start) as response:
        return b"".join(response.chunks)


def test_request_headers(server: LoopbackServer, http: HTTPTransport) -> None:
    get(http, server.url + "a")
    headers = server.requests[0].headers
    assert headers["user-agent"].startswith("tagship/")
    assert headers["accept-encoding"] == "identity"
    assert "range" not in headers


def test_a_server_without_ranges_answers_from_the_beginning(http: HTTPTransport) -> None:
    with (
        LoopbackServer({"a": DATA}, ranges=False) as server,
        http.open(server.url + "a", max_bytes=2000, start=10) as response,
    ):
        assert (response.status, response.start) == (200, 0)
        assert b"".join(response.chunks) == DATA


def test_errors_keep_the_connection(server: LoopbackServer, http: HTTPTransport) -> None:
    for _ in range(3):
        with pytest.raises(DownloadHTTPError):
            get(http, server.url + "missing")
        assert get(http, server.url + "a") == DATA
    assert server.connections == 1


def test_chunks_are_delivered_as_they_arrive(server: LoopbackServer) -> None:
    server.behaviours["slow"] = faults.drip_body(b"ab", 0.3)
    with (
        HTTPTransport(Limits(min_rate=0)) as http,
        http.open(server.url + "slow", max_bytes=10) as response,
    ):
        began = time.monotonic()
        assert next(response.chunks) == b"a"
        assert time.monotonic() - began < 0.2
        assert next(response.chunks) == b"b"


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(faults.drip_body(b"x" * 1000, 0.02), id="body"),
        pytest.param(faults.drip_headers(0.02), id="headers"),
        pytest.param(faults.silent(), id="silent"),
    ],
)
def test_slow_servers_are_given_up(server: LoopbackServer, http: HTTPTransport, behaviour: faults.Behaviour) -> None:
    server.behaviours["slow"] = behaviour
    began = time.monotonic()
    with pytest.raises(DownloadTimeoutError) as caught:
        get(http, server.url + "slow")
    assert time.monotonic() - began < 5
    assert caught.value.hint


def test_total_deadline_ends_a_transfer_that_is_fast_enough(server: LoopbackServer) -> None:
    server.behaviours["long"] = faults.drip_body(b"x" * 100_000, 0.02, 100)
    limits = Limits(total=0.4, min_rate=10, window=10, grace=0.1)
    with HTTPTransport(limits) as http, pytest.raises(DownloadTimeoutError, match="not finished within"):
        get(http, server.url + "long")


def test_deadline_wakes_a_reused_connection_too(server: LoopbackServer, http: HTTPTransport) -> None:
    get(http, server.url + "a")
    server.behaviours["slow"] = faults.drip_headers(0.02)
    began = time.monotonic()
    with pytest.raises(DownloadTimeoutError, match="no complete answer"):
        get(http, server.url + "slow")
    assert time.monotonic() - began < 5
    assert server.connections == 1
    assert get(http, server.url + "a") == DATA


def test_deadline_covers_the_tls_handshake() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/a"
        began = time.monotonic()
        limits = Limits(connect=5, headers=0.3)
        with HTTPTransport(limits) as http, pytest.raises(DownloadTimeoutError):
            get(http, url)
    assert time.monotonic() - began < 4


def test_a_slow_consumer_is_not_a_slow_server(server: LoopbackServer) -> None:
    server.files = {"a": b"x" * 1_000_000}
    limits = Limits(min_rate=150_000, window=0.5, grace=0.2)  # what a busy machine still serves
    with HTTPTransport(limits) as http, http.open(server.url + "a", max_bytes=1 << 20) as response:
        received = 0
        for number, chunk in enumerate(response.chunks):
            received += len(chunk)
            if number < 3:
                time.sleep(0.6)
    assert received == 1_000_000


def test_endless_data_stops_at_the_cap(server: LoopbackServer, http: HTTPTransport) -> None:
    server.behaviours["endless"] = faults.endless()
    with pytest.raises(DownloadTooLargeError):
        get(http, server.url + "endless", max_bytes=100_000)


def test_endless_redirect_body_is_not_read(server: LoopbackServer, http: HTTPTransport) -> None:
    server.behaviours["r"] = faults.endless_redirect_body(server.url + "a")
    assert get(http, server.url + "r") == DATA


def test_truncated_body(server: LoopbackServer, http: HTTPTransport) -> None:
    server.behaviours["a"] = faults.truncated(DATA, 100)
    received = b""
    with http.open(server.url + "a", max_bytes=2000) as response, pytest.raises(DownloadTruncatedError):
        for chunk in response.chunks:
            received += chunk
    assert received == DATA[:100]


@pytest.mark.parametrize("shift", [-1, 1])
def test_wrong_content_range(server: LoopbackServer, http: HTTPTransport, shift: int) -> None:
    server.behaviours["a"] = faults.wrong_range(DATA, shift)
    with pytest.raises(DownloadError, match="instead of those from 10"):
        get(http, server.url + "a", start=10)


@pytest.mark.parametrize("value", ["", "bytes */1000", "bytes 10-5/1000", "bytes 10-1000/1000", "10-20/1000"])
def test_unusable_content_range(server: LoopbackServer, http: HTTPTransport, value: str) -> None:
    server.behaviours["a"] = faults.status(206, DATA[10:], Content_Range=value)
    with pytest.raises(DownloadError):
        get(http, server.url + "a", start=10)


def test_range_shorter_than_it_says(server: LoopbackServer, http: HTTPTransport) -> None:
    server.behaviours["a"] = faults.status(206, DATA[10:500], Content_Range="bytes 10-999/1000")
    with pytest.raises(DownloadTruncatedError):
        get(http, server.url + "a", start=10)


def test_partial_answer_to_a_whole_request(server: LoopbackServer, http: HTTPTransport) -> None:
    server.behaviours["a"] = faults.status(206, DATA[10:], Content_Range="bytes 10-999/1000")
    with pytest.raises(DownloadError, match="a part"):
        get(http, server.url + "a")


def test_compressed_answers_are_refused(server: LoopbackServer, http: HTTPTransport) -> None:
    server.behaviours["a"] = faults.gzipped(DATA)
    with pytest.raises(DownloadError, match="compressed"):
        get(http, server.url + "a")


@pytest.mark.parametrize(
    ("code", "advice"),
    [(401, "credentials"), (403, "access"), (404, "address"), (429, "120 seconds"), (503, "later"), (304, "")],
)
def test_statuses(server: LoopbackServer, http: HTTPTransport, code: int, advice: str) -> None:
    server.behaviours["a"] = faults.status(code, b"", Retry_After="120")
    with pytest.raises(DownloadHTTPError) as caught:
        get(http, server.url + "a")
    assert caught.value.status == code
    assert advice in caught.value.hint
    assert str(code) in str(caught.value)


def test_retry_after_as_a_date(server: LoopbackServer, http: HTTPTransport) -> None:
    server.behaviours["a"] = faults.status(503, Retry_After="Fri, 20 Nov 2026 10:00:00 GMT")
    with pytest.raises(DownloadHTTPError) as caught:
        get(http, server.url + "a")
    assert "2026-11-20 10:00 UTC" in caught.value.hint


# Redirects


def test_redirects_are_followed_and_keep_the_range(server: LoopbackServer, http: HTTPTransport) -> None:
    server.behaviours["r"] = faults.redirect("a?signature=x", 307)
    with http.open(server.url + "r", max_bytes=2000, start=990) as response:
        assert b"".join(response.chunks) == DATA[990:]
        assert response.url == server.url + "a?signature=x"


def test_five_redirects_and_no_more(server: LoopbackServer, http: HTTPTransport) -> None:
    for number in range(6):
        server.behaviours[f"r{number}"] = faults.redirect(f"/r{number + 1}" if number < 5 else "/a")
    assert get(http, server.url + "r1") == DATA
    with pytest.raises(DownloadError, match="more than 5"):
        get(http, server.url + "r0")


@pytest.mark.parametrize("target", ["http://example.org/a", "ftp://127.0.0.1/a", "file:///etc/passwd", "http://[x/"])
def test_insecure_redirects_are_refused(server: LoopbackServer, http: HTTPTransport, target: str) -> None:
    server.behaviours["r"] = faults.redirect(target)
    with pytest.raises(DownloadError, match="refused"):
        get(http, server.url + "r")


def test_https_does_not_redirect_to_http(server: LoopbackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with LoopbackServer({"ok": b"ok"}, tls=True) as secure, HTTPTransport(QUICK) as http:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(secure.ca_file))
        assert get(http, secure.url + "ok") == b"ok"
        secure.behaviours["r"] = faults.redirect(server.url + "a")
        with pytest.raises(DownloadError, match="leaves https"):
            get(http, secure.url + "r")
    assert server.requests == []


@pytest.mark.parametrize("url", ["http://example.org/a", "file:///etc/passwd", "nonsense", "https://"])
def test_only_https_is_asked(http: HTTPTransport, url: str) -> None:
    with pytest.raises(ConfigError):
        get(http, url)


def test_credentials_stay_with_their_host(server: LoopbackServer) -> None:
    with (
        LoopbackServer({"b": b"b"}) as other,
        HTTPTransport(QUICK, headers_for=lambda url: {"Authorization": "secret"}) as http,
    ):
        server.behaviours["near"] = faults.redirect("/a")
        server.behaviours["far"] = faults.redirect(other.url + "b")
        get(http, server.url + "near")
        assert [request.headers.get("authorization") for request in server.requests] == ["secret", "secret"]
        assert get(http, server.url + "far") == b"b"
        assert "authorization" not in other.requests[0].headers


# Connections


def test_certificate_nobody_vouches_for(http: HTTPTransport) -> None:
    with LoopbackServer({"a": b"a"}, tls=True) as secure, pytest.raises(DownloadError, match="certificate") as caught:
        get(http, secure.url + "a")
    assert "clock" in caught.value.hint


def test_refused_connection(http: HTTPTransport) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/a"
    with pytest.raises(DownloadError, match="refused") as caught:
        get(http, url)
    assert "port" in caught.value.hint


def test_unknown_host(http: HTTPTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_host(*args: object, **kwargs: object) -> object:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_host)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DownloadError, match="cannot be resolved") as caught:
        get(http, "https://nowhere.example/a")
    assert "DNS" in caught.value.hint


def test_dead_proxy(http: HTTPTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(DownloadError, match="proxy") as caught:
        get(http, "https://example.org/a")
    assert "HTTPS_PROXY" in caught.value.hint


def test_a_proxy_is_asked_with_its_credentials(http: HTTPTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    def refuse(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            asked.append(connection.recv(65536))
            connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    for name in ("NO_PROXY", "no_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:hunter2@127.0.0.1:{listener.getsockname()[1]}")
        proxy = threading.Thread(target=refuse, args=(listener,), daemon=True)
        proxy.start()
        with pytest.raises(DownloadError, match="proxy") as caught:
            get(http, "https://example.org/a")
        proxy.join(10)
    assert asked[0].startswith(b"CONNECT example.org:443 ")
    assert b"Proxy-Authorization: Basic " + b64encode(b"user:hunter2") in asked[0]
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


def test_netrc_is_read_for_its_own_host_only(
    server: LoopbackServer, http: HTTPTransport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login owner password hunter2\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    elsewhere = server.url.replace("127.0.0.1", "localhost")
    server.behaviours["moved"] = faults.redirect(elsewhere + "a")
    assert get(http, server.url + "moved") == DATA
    sent = [request.headers.get("authorization") for request in server.requests]
    assert sent == [f"Basic {b64encode(b'owner:hunter2').decode()}", None]


def test_messages_do_not_show_credentials(server: LoopbackServer, http: HTTPTransport) -> None:
    server.behaviours["r"] = faults.redirect("/gone?token=hunter2")
    for path in ("r", "gone?token=hunter2"):
        with pytest.raises(DownloadHTTPError) as caught:
            get(http, server.url + path)
        assert "hunter2" not in f"{caught.value} {caught.value.url} {caught.value.hint}"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        dead = f"http://user:hunter2@127.0.0.1:{listener.getsockname()[1]}/a?token=hunter2"
    with pytest.raises(DownloadError) as refused:
        get(http, dead)
    assert "hunter2" not in str(refused.value)
