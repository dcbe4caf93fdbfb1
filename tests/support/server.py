"""A web server on 127.0.0.1 that counts what it sends and can misbehave per path."""

from __future__ import annotations

import gzip
import re
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote

NOT_FOUND = b"404\n"


@dataclass
class Recorded:
    """One request: its path without the leading slash, its headers (lower case), and the status it got (0: none)."""

    path: str
    headers: Mapping[str, str]
    status: int = 0


@dataclass
class Exchange:
    """A request being answered; behaviours write to it."""

    server: LoopbackServer
    handler: BaseHTTPRequestHandler
    request: Recorded

    @property
    def path(self) -> str:
        """The path that was asked for."""
        return self.request.path

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the status line and the headers."""
        self.request.status = status
        self.handler.send_response(status)
        for name, value in headers.items():
            self.handler.send_header(name, value)
        self.handler.end_headers()

    def write(self, data: bytes) -> None:
        """Send a piece of the body, at once."""
        self.server.count(len(data))  # before the client can see it
        self.handler.wfile.write(data)
        self.handler.wfile.flush()

    def pause(self, seconds: float) -> bool:
        """Wait; False when the server is being stopped meanwhile."""
        return not self.server.stopping.wait(seconds)

    def hang_up(self) -> None:
        """No further request on this connection."""
        self.handler.close_connection = True


Behaviour = Callable[[Exchange], None]


def status(code: int, body: bytes = b"", **headers: str) -> Behaviour:
    """Answer with a status; underscores in header names stand for hyphens."""

    def behave(exchange: Exchange) -> None:
        extra = {name.replace("_", "-"): value for name, value in headers.items()}
        exchange.start(code, {"Content-Length": str(len(body)), **extra})
        exchange.write(body)

    return behave


def redirect(location: str, code: int = 302) -> Behaviour:
    """Redirect to ``location``."""
    return status(code, b"moved\n", Location=location)


def endless_redirect_body(location: str) -> Behaviour:
    """A redirect whose body never ends."""

    def behave(exchange: Exchange) -> None:
        exchange.start(302, {"Location": location})
        exchange.hang_up()
        while exchange.pause(0):
            exchange.write(b"x" * 65536)

    return behave


def endless() -> Behaviour:
    """A body of unknown length that never ends."""

    def behave(exchange: Exchange) -> None:
        exchange.start(200, {"Connection": "close"})
        exchange.hang_up()
        while exchange.pause(0):
            exchange.write(b"x" * 65536)

    return behave


def drip_body(data: bytes, delay: float, size: int = 1) -> Behaviour:
    """``size`` bytes of the body every ``delay`` seconds."""

    def behave(exchange: Exchange) -> None:
        exchange.start(200, {"Content-Length": str(len(data))})
        for offset in range(0, len(data), size):
            exchange.write(data[offset : offset + size])
            if not exchange.pause(delay):
                return

    return behave


def drip_headers(delay: float, count: int = 400) -> Behaviour:
    """One header line that grows by a byte every ``delay`` seconds, then nothing."""

    def behave(exchange: Exchange) -> None:
        exchange.hang_up()
        write = exchange.handler.wfile.write
        write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        for _ in range(count):
            write(b"y")
            if not exchange.pause(delay):
                return

    return behave


def silent(seconds: float = 60.0) -> Behaviour:
    """No answer at all, then a closed connection."""

    def behave(exchange: Exchange) -> None:
        exchange.hang_up()
        exchange.pause(seconds)

    return behave


def truncated(data: bytes, keep: int) -> Behaviour:
    """Announces all of ``data`` and closes after ``keep`` bytes; ranges are served the same way."""

    def behave(exchange: Exchange) -> None:
        match = re.fullmatch(r"bytes=(\d+)-", exchange.handler.headers.get("Range", ""))
        start = int(match[1]) if match else 0
        headers = {"Content-Length": str(len(data) - start)}
        if match:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        exchange.hang_up()
        exchange.start(206 if match else 200, headers)
        exchange.write(data[start : start + keep])

    return behave


def wrong_range(data: bytes, shift: int) -> Behaviour:
    """A 206 that begins ``shift`` bytes beside what was asked for."""

    def behave(exchange: Exchange) -> None:
        match = re.fullmatch(r"bytes=(\d+)-.*", exchange.handler.headers.get("Range", ""))
        start = (int(match[1]) if match else 0) + shift
        body = data[start:]
        value = f"bytes {start}-{len(data) - 1}/{len(data)}"
        exchange.start(206, {"Content-Length": str(len(body)), "Content-Range": value})
        exchange.write(body)

    return behave


def gzipped(data: bytes) -> Behaviour:
    """The body compressed, whatever the client accepts."""
    return status(200, gzip.compress(data), Content_Encoding="gzip")


class LoopbackServer:
    """``with LoopbackServer({"a.json": b"..."}) as server``: serves at ``server.url`` until the block ends.

    ``files`` is a dict (path to bytes; may be changed any time) or a folder. ``behaviours`` override single paths.
    ``requests`` and ``body_bytes`` count what happened; ``ranges=False`` ignores Range headers. ``tls=True``
    speaks https with a certificate that ``ca_file`` verifies. Missing files get a body of 4 bytes.
    """

    def __init__(
        self, files: Mapping[str, bytes] | Path | None = None, *, ranges: bool = True, tls: bool = False
    ) -> None:
        self.files: Mapping[str, bytes] | Path = {} if files is None else files
        self.behaviours: dict[str, Behaviour] = {}
        self.ranges = ranges
        self.requests: list[Recorded] = []
        self.connections = 0
        self.body_bytes = 0
        self.stopping = threading.Event()
        self.ca_file = Path()
        self._tls = tls
        self._lock = threading.Lock()

    def __enter__(self) -> LoopbackServer:
        self._folder = tempfile.TemporaryDirectory()
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.owner = self
        scheme = "http"
        if self._tls:
            scheme = "https"
            self.ca_file = Path(self._folder.name, "ca.pem")
            self._http.tls = _tls_context(self.ca_file)
        self.url = f"{scheme}://127.0.0.1:{self._http.server_address[1]}/"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._http.hang_up()
        self._http.server_close()
        self._thread.join()
        self._folder.cleanup()

    def go_away(self) -> None:
        """Stop listening: further connections are refused. What is being answered goes on."""
        self._http.shutdown()
        self._http.socket.close()

    def count(self, size: int) -> None:
        """Add to ``body_bytes``."""
        with self._lock:
            self.body_bytes += size

    def record(self, request: Recorded) -> None:
        """Add to ``requests``."""
        with self._lock:
            self.requests.append(request)

    def reset(self) -> None:
        """Forget the counts."""
        with self._lock:
            self.requests.clear()
            self.body_bytes = 0

    def paths(self) -> list[str]:
        """Paths asked for so far."""
        return [request.path for request in self.requests]

    def read(self, path: str) -> bytes | None:
        """Contents of a served file, or None."""
        if not isinstance(self.files, Path):
            return self.files.get(path)
        target = (self.files / path).resolve()
        inside = target.is_relative_to(self.files.resolve()) and target.is_file()
        return target.read_bytes() if inside else None

    def serve(self, exchange: Exchange) -> None:
        """The well-behaved answer: a file, a range of it, 404 or 416."""
        data = self.read(exchange.path)
        if data is None:
            status(404, NOT_FOUND)(exchange)
            return
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", exchange.handler.headers.get("Range", ""))
        if match is None or not self.ranges:
            status(200, data, Accept_Ranges="bytes" if self.ranges else "none")(exchange)
            return
        start, end = int(match[1]), min(int(match[2] or len(data)) + 1, len(data))
        if start >= len(data):
            status(416, Content_Range=f"bytes */{len(data)}")(exchange)
            return
        status(206, data[start:end], Content_Range=f"bytes {start}-{end - 1}/{len(data)}")(exchange)


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    owner: LoopbackServer
    tls: ssl.SSLContext | None = None

    def __init__(self, *args: Any) -> None:
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(*args)

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.tls is not None:
            # The handshake belongs into the request's own thread.
            request = self.tls.wrap_socket(request, server_side=True)
        with self._open_lock:
            self._open.add(request)
            self.owner.connections += 1
        try:
            super().finish_request(request, client_address)
        finally:
            with self._open_lock:
                self._open.discard(request)
            request.close()

    def hang_up(self) -> None:
        with self._open_lock:
            for sock in self._open:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes: without this the second waits 40 ms
    server: _Server

    def do_GET(self) -> None:
        path = unquote(self.path.partition("?")[0]).removeprefix("/")
        owner = self.server.owner
        request = Recorded(path, {name.lower(): value for name, value in self.headers.items()})
        owner.record(request)
        exchange = Exchange(owner, self, request)
        try:
            owner.behaviours.get(path, owner.serve)(exchange)
        except OSError:
            self.close_connection = True

    def log_message(self, *args: Any) -> None:
        """Silence."""


def make_certificate(ca_file: Path, address: str = "127.0.0.1") -> Path:
    """A new certificate for an IP address: alone in ``ca_file``, with its key in the file that is returned."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, address)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    ca_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    chain = ca_file.with_name("chain.pem")
    chain.write_bytes(
        ca_file.read_bytes()
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return chain


def _tls_context(ca_file: Path) -> ssl.SSLContext:
    """A server context with a new certificate for 127.0.0.1; the certificate is written to ``ca_file``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(make_certificate(ca_file))
    return context
