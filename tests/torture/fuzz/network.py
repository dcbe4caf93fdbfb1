"""Targets: what a server, or whoever stands in between, may answer."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import socket
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

from tests.support.trust_repository import TrustRepository
from tests.torture.fuzz.documents import NOW
from tests.torture.fuzz.guard import message_problem
from tests.torture.fuzz.mutations import byte_level, lines, mostly
from tests.torture.fuzz.structured import json_document
from tests.torture.fuzz.target import Target, Wrong, stateless
from updater.errors import DownloadError, UpdaterError
from updater.process.health import _judge
from updater.process.http_probe import _read, ask
from updater.schema.site_config import HealthConfig
from updater.transport import HTTPTransport, Limits
from updater.transport.base import parse_content_range
from updater.transport.http_errors import from_status
from updater.trust import FeedClient, obtain_root

__all__ = ["TARGETS", "publisher", "sign"]

_FAR = datetime(2099, 1, 1, tzinfo=UTC)
_FEED = b'{"schema": "1.0"}'


@lru_cache(maxsize=1)
def publisher() -> TrustRepository:
    """A publisher whose keys and dates are the same every time, so that its files are too."""
    counter = iter(range(1000))

    def keys(count: int) -> list[CryptoSigner]:
        seeds = [hashlib.sha256(b"fuzz %d" % next(counter)).digest() for _ in range(count)]
        return [CryptoSigner(Ed25519PrivateKey.from_private_bytes(seed)) for seed in seeds]

    repository = TrustRepository(expires=_FAR, make_keys=keys)
    repository.publish("stable", _FEED)
    return repository


_SERVED = ("timestamp.json", "3.snapshot.json", "1.targets.json", "2.stable.json", "2.root.json")
_KEPT = ("timestamp.json", "snapshot.json", "targets.json", "stable.json", "root.json")


@lru_cache(maxsize=1)
def _trusted() -> dict[str, bytes]:
    """The trust directory of a site that has fetched once: path to content."""
    from tests.torture.fuzz.engine import sandbox

    with sandbox() as folder:
        repository = publisher()
        FeedClient(repository.location(), folder, repository.root, repository).fetch(now=NOW, accept=lambda data: None)
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != "lock"
        }


def _metadata() -> list[bytes]:
    repository = publisher()
    served = {name: repository.files.get(f"metadata/{name}", repository.root) for name in _served_names()}
    kept = {f"metadata/{name}": _trusted().get(f"metadata/{name}", b"") for name in _KEPT}
    return [
        *(b"served metadata/%s\n%s" % (name.encode(), data) for name, data in served.items()),
        *(b"kept %s\n%s" % (name.encode(), data) for name, data in kept.items()),
        b"kept last_good.json\n" + _trusted()["last_good.json"],
        b"root root.json\n" + repository.root,
    ]


def _served_names() -> list[str]:
    files = publisher().files
    newest = [name.removeprefix("metadata/") for name in files if name.startswith("metadata/")]
    last = {name.split(".")[-2]: name for name in sorted(newest, key=lambda name: (len(name), name))}
    return [*last.values(), "2.root.json"]


def _signed_again(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A hostile document, often with a good signature: what a thief of keys, or a careless publisher, could serve."""
    head, _, body = data.partition(b"\n")
    changed = json_document(rng, body, [other.partition(b"\n")[2] for other in others[:6]])
    if rng.randrange(3):
        changed = sign(changed)
    return head + b"\n" + changed


def sign(body: bytes) -> bytes:
    try:
        document = json.loads(body)
        payload = encode_canonical(document["signed"]).encode()
        signers = [signer for signers in publisher().signers.values() for signer in signers]
        made = {signer.public_key.keyid: signer.sign(payload) for signer in signers}
        document["signatures"] = [
            made[entry["keyid"]].to_dict() if entry.get("keyid") in made else entry for entry in document["signatures"]
        ]
        return json.dumps(document).encode()
    except Exception:
        return body


def _trust(folder: Path) -> Callable[[bytes], None]:
    repository, trusted = publisher(), _trusted()
    trust = folder / "trust"

    def work(data: bytes) -> None:
        head, _, body = data.partition(b"\n")
        where, _, name = head.decode("latin-1").partition(" ")
        shutil.rmtree(trust, ignore_errors=True)
        files, root = dict(repository.files), repository.root
        if where == "kept" and name in trusted:
            for path, content in (trusted | {name: body}).items():
                (trust / path).parent.mkdir(parents=True, exist_ok=True)
                (trust / path).write_bytes(content)
        elif where == "root":
            root = body
        else:
            files[name] = body
        with repository.serving(files):
            if where == "root":
                obtain_root(repository.location(), repository, root=root)
            client = FeedClient(repository.location(), trust, root, repository)
            found = client.fetch(now=NOW, accept=lambda data: None)
        if found.data != _FEED:
            raise Wrong("another feed than was signed")

    return work


def _content_range(data: bytes) -> None:
    value, _, bounds = data.decode("latin-1").partition("\n")
    start = len(bounds) % 7
    end = None if len(bounds) % 2 else start + 100
    announced, total = parse_content_range(value, url="https://a.example/x?token=geheim", start=start, end=end)
    if (
        not 0 < announced <= 10**18
        or (end is not None and announced > end - start)
        or (total is not None and total < announced)
    ):
        raise Wrong(f"{value!r}: {announced}, {total}")


def _status_line(data: bytes) -> None:
    status, *rows = data.decode("latin-1").split("\n")
    headers = dict(row.partition(":")[::2] for row in rows)
    raise from_status(
        int(status) if status.isdigit() and status.isascii() and len(status) < 4 else 500,
        "https://a.example/x",
        headers,
    )


def _dates(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """One part of a date replaced by one that no calendar has."""
    words = data.split(b" ")
    extreme = (
        b"0",
        b"00",
        b"31",
        b"32",
        b"-1",
        b"0001",
        b"1969",
        b"9999",
        b"10000",
        b"9" * 20,
        b"9" * 5000,
        b"Dec",
        b"Foo",
    )
    zones = (b"+0000", b"-0000", b"-0100", b"+2359", b"-2359", b"-9999", b"+99999999", b"EST", b"23:59:60", b"24:00:00")
    words[rng.randrange(len(words))] = rng.choice((*extreme, *zones, b"", b",", b"::", b"1:2:3:4"))
    return b" ".join(words)


def _health_answer(data: bytes) -> None:
    for key in ("version", ""):
        result = _judge(_read(data), HealthConfig(version_key=key, worker_key="worker"), "1.0.0")
        if result.ok and key and json.loads(data)["version"] != "1.0.0":
            raise Wrong("took another version for the expected one")
        if not result.reason or len(result.reason) + len(result.worker) > 1000:
            raise Wrong("says nothing, or too much")


class _RawServer:
    """Answers every connection on 127.0.0.1 with the same bytes, whatever was asked."""

    def __init__(self) -> None:
        self.answer = b""
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with connection:
                try:
                    connection.settimeout(5)
                    connection.recv(4096)
                    connection.sendall(self.answer)
                except OSError:
                    continue


@lru_cache(maxsize=1)
def _server() -> _RawServer:
    return _RawServer()


_ANSWERS = (
    b'HTTP/1.1 200 OK\r\nContent-Length: 20\r\nContent-Type: application/json\r\n\r\n{"version": "1.0.0"}',
    b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 5-9/10\r\nContent-Length: 5\r\n\r\n56789",
    b"HTTP/1.1 302 Found\r\nLocation: /b?token=geheim\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 301 Moved\r\nLocation: https://b.example/x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5;x=y\r\n56789\r\n0\r\nTrailer: x\r\n\r\n",
    b"HTTP/1.1 503 Unavailable\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n\r\nlater",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08",
    b"HTTP/1.0 200\r\nSet-Cookie: a=b\r\n\r\nx",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
)


def _download(folder: Path) -> Callable[[bytes], None]:
    server = _server()
    limits = Limits(connect=2.0, headers=2.0, total=4.0, min_rate=0.0, window=2.0, grace=2.0)
    transport = HTTPTransport(limits)

    def work(data: bytes) -> None:
        server.answer = data
        start = 5 if data[:12].endswith(b"206") else 0
        received = 0
        try:
            with transport.open(f"{server.url}a.zip?token=geheim", max_bytes=1000, start=start) as response:
                for chunk in response.chunks:
                    received += len(chunk)
        finally:
            transport.close()
        if received > 1000:
            raise Wrong(f"{received} bytes")

    def careful(data: bytes) -> None:
        try:
            work(data)
        except UpdaterError as error:
            if "geheim" in str(error) and b"geheim" not in data:
                raise Wrong(f"tells a secret: {error}") from error
            raise

    return careful


def _health(folder: Path) -> Callable[[bytes], None]:
    server = _server()

    def work(data: bytes) -> None:
        server.answer = data
        (answer,) = ask(f"{server.url}health", timeout=3.0, token="geheim")
        result = _judge(answer, HealthConfig(version_key="version", worker_key="worker", workers=1), "1.0.0")
        if result.ok and b"1.0.0" not in data:
            raise Wrong("healthy without the version")
        if not result.reason or len(result.reason) > 2000 or message_problem(answer.problem):
            raise Wrong(f"says nothing, too much, or what nobody can show: {result.reason[:300]!r}")

    return work


def _list(*texts: bytes) -> Callable[[], list[bytes]]:
    return lambda: list(texts)


_http: Any = mostly((3, lines), (2, byte_level))

TARGETS = [
    Target(
        "trust",
        "metadata that is served or kept, and a root",
        _metadata,
        mostly((6, _signed_again), (1, byte_level)),
        _trust,
        (UpdaterError,),
        20_000,
        weight=6,
    ),
    Target(
        "content-range",
        "Content-Range",
        _list(b"bytes 0-9/10\n", b"bytes 1-9/*\nx", b"bytes 3-99/1000\nxyz", b"bytes */10\n"),
        _http,
        stateless(_content_range),
        (DownloadError,),
        40_000,
    ),
    Target(
        "http-headers",
        "the headers of an error",
        _list(
            b"503\nRetry-After: 120",
            b"429\nRetry-After: Fri, 31 Dec 2027 23:59:59 GMT",
            b"404\nX: y",
            b"500\nRetry-After:Mon, 1 Jan 0001 00:00 +2359",
        ),
        mostly((2, _dates), (2, lines), (1, byte_level)),
        stateless(_status_line),
        (DownloadError,),
        40_000,
    ),
    Target(
        "http-answer",
        "a whole answer, to a download",
        _list(*_ANSWERS),
        _http,
        _download,
        (UpdaterError,),
        15_000,
        weight=4,
    ),
    Target("health-answer", "a whole answer, to a health probe", _list(*_ANSWERS), _http, _health, (), 10_000),
    Target(
        "health-json",
        "the JSON of a health answer",
        _list(b'{"version": "1.0.0", "status": "ok", "worker": 7}', b'{"version": ["1.0.0"]}'),
        mostly((6, json_document), (1, byte_level)),
        stateless(_health_answer),
        (),
        12_500,
    ),
]
