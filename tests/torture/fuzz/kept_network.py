"""Hostile inputs that are kept: what servers answer (see `kept.py`)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.torture.fuzz.kept_documents import Case
from tests.torture.fuzz.network import publisher, sign

__all__ = ["CASES"]


def _served(name: str, body: bytes, expected: str) -> Case:
    return f"served metadata/{name}\n".encode() + body, expected


def _metadata(name: str) -> bytes:
    return publisher().files[f"metadata/{name}"]


def _changed(name: str, change: Callable[[dict[str, Any]], object], expected: str, *, signed: bool = True) -> Case:
    """Metadata that says something else, with the right signature or with the one it had."""
    document = json.loads(_metadata(name))
    change(document["signed"])
    body = json.dumps(document).encode()
    return _served(name, sign(body) if signed else body, expected)


def _kept(name: str, body: bytes, expected: str) -> Case:
    return f"kept {name}\n".encode() + body, expected


_NOT_TUF = "SchemaError: not valid TUF metadata"
_TRUST: dict[str, Case] = {
    "timestamp-empty": _served("timestamp.json", b"", _NOT_TUF),
    "timestamp-is-a-web-page": _served("timestamp.json", b"<html>captive portal</html>", _NOT_TUF),
    "timestamp-is-a-list": _served("timestamp.json", b"[]", _NOT_TUF),
    "timestamp-nested-3000-deep": _served("timestamp.json", b"[" * 3000, _NOT_TUF),
    "timestamp-is-a-root": _served("timestamp.json", _metadata("1.root.json"), "FeedError: "),
    "timestamp-unsigned": _changed(
        "timestamp.json", lambda signed: signed.update(version=9), "SignatureError: ", signed=False
    ),
    "timestamp-expired": _changed(
        "timestamp.json", lambda signed: signed.update(expires="2020-01-01T00:00:00Z"), "ExpiredError: "
    ),
    "timestamp-of-version-zero": _changed("timestamp.json", lambda signed: signed.update(version=0), _NOT_TUF),
    "timestamp-with-a-version-in-words": _changed(
        "timestamp.json", lambda signed: signed.update(version="x"), _NOT_TUF
    ),
    "timestamp-with-a-date-that-is-none": _changed(
        "timestamp.json", lambda signed: signed.update(expires="2099-02-30T00:00:00Z"), _NOT_TUF
    ),
    "timestamp-with-a-terminal-escape": _changed(
        "timestamp.json", lambda signed: signed.update(expires="\x1b[31m"), _NOT_TUF
    ),
    "timestamp-without-snapshot": _changed("timestamp.json", lambda signed: signed.update(meta={}), _NOT_TUF),
    "timestamp-of-specification-9": _changed(
        "timestamp.json", lambda signed: signed.update(spec_version="9.9.9"), _NOT_TUF
    ),
    "timestamp-larger-than-allowed": _served("timestamp.json", b" " * 20_000, "FeedError: "),
    "root-endless": _served("2.root.json", b"{" * 9000, _NOT_TUF),
    "root-of-other-keys": _served("2.root.json", _metadata("1.root.json"), "FeedError: "),
    "kept-timestamp-damaged": _kept("metadata/timestamp.json", b"\0" * 100, "accepted"),
    "kept-root-damaged": _kept("metadata/root.json", b"{}", "accepted"),
    "kept-snapshot-of-the-wrong-kind": _kept("metadata/snapshot.json", _metadata("timestamp.json"), "accepted"),
    "kept-record-damaged": _kept("last_good.json", b"[]", "accepted"),
    "given-root-is-empty": (b"root root.json\n", _NOT_TUF),
    "given-root-is-a-timestamp": (b"root root.json\n" + _metadata("timestamp.json"), _NOT_TUF),
}

_CONTENT_RANGE: dict[str, Case] = {
    "empty": (b"\n", "DownloadError: unreadable byte range"),
    "unit-unknown": (b"items 0-9/10\n", "DownloadError: unreadable byte range"),
    "backwards": (b"bytes 9-0/10\n", "DownloadError: instead of those"),
    "beyond-the-end": (b"bytes 0-99/10\n", "DownloadError: instead of those"),
    "of-another-place": (b"bytes 5-9/10\n", "DownloadError: instead of those"),
    "numbers-of-20-digits": (b"bytes 0-" + b"9" * 20 + b"/*\n", "DownloadError: unreadable"),
    "two-ranges": (b"bytes 0-1/10, 3-4/10\n", "DownloadError: unreadable"),
    "negative": (b"bytes -5--1/10\n", "DownloadError: unreadable"),
    "terminal-escape": (b"bytes \x1b[31m\n", "DownloadError: x1b[31m"),
    "of-an-unknown-whole": (b"bytes 0-9/*\n", "accepted"),
}

_HEADERS: dict[str, Case] = {
    "retry-in-the-year-10000": (b"503\nRetry-After: Fri, 31 Dec 9999 23:59:59 -0100", "DownloadHTTPError: 503"),
    "retry-on-a-day-of-20-digits": (
        b"503\nRetry-After: Mon, " + b"9" * 20 + b" Jan 2000 00:00:00 GMT",
        "DownloadHTTPError: 503",
    ),
    "retry-in-a-year-of-20-digits": (
        b"429\nRetry-After: Fri, 31 Dec " + b"9" * 20 + b" 23:59:59 GMT",
        "DownloadHTTPError: 429",
    ),
    "retry-on-february-30": (b"503\nRetry-After: Mon, 30 Feb 2026 00:00:00 GMT", "DownloadHTTPError: 503"),
    "retry-in-a-zone-of-99-hours": (b"503\nRetry-After: Mon, 2 Feb 2026 00:00:00 +9999", "DownloadHTTPError: 503"),
    "retry-without-zone": (b"503\nRetry-After: Mon, 2 Feb 2026 00:00:00 -0000", "DownloadHTTPError: 503"),
    "retry-in-9999999-seconds": (b"503\nRetry-After: 9999999", "DownloadHTTPError: 503"),
    "status-unknown": (b"599\n", "DownloadHTTPError: 599"),
}


def _answer(*lines: str, body: bytes = b"") -> bytes:
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


_ANSWER: dict[str, Case] = {
    "nothing": (b"", "DownloadTruncatedError: "),
    "no-http": (b"SSH-2.0-OpenSSH_9\r\n", "DownloadError: "),
    "status-line-with-a-terminal-escape": (_answer("HTTP/1.1 200\x1b[31m OK"), "DownloadError: "),
    "status-is-no-number": (_answer("HTTP/1.1 abc OK"), "DownloadError: "),
    "status-999": (_answer("HTTP/1.1 999 Odd", "Content-Length: 0"), "DownloadHTTPError: 999"),
    "length-negative": (_answer("HTTP/1.1 200 OK", "Content-Length: -5", body=b"x"), "DownloadError: unreadable len"),
    "length-of-30-digits": (_answer("HTTP/1.1 200 OK", "Content-Length: " + "9" * 30), "DownloadError: unreadable len"),
    "length-longer-than-the-body": (
        _answer("HTTP/1.1 200 OK", "Content-Length: 50", body=b"x"),
        "DownloadTruncatedError: ",
    ),
    "body-larger-than-asked": (_answer("HTTP/1.1 200 OK", body=b"x" * 5000), "DownloadTooLargeError: "),
    "chunk-size-is-no-number": (
        _answer("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"zz\r\nx\r\n0\r\n\r\n"),
        "DownloadTruncatedError: ",
    ),
    "chunk-size-of-30-digits": (
        _answer("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"f" * 30 + b"\r\nx"),
        "DownloadTruncatedError: ",
    ),
    "compressed-against-our-will": (_answer("HTTP/1.1 200 OK", "Content-Encoding: gzip"), "DownloadError: compressed"),
    "part-that-was-not-asked-for": (
        _answer("HTTP/1.1 206 Partial Content", "Content-Range: bytes 0-1/9", body=b"xy"),
        "DownloadError: ",
    ),
    "part-without-range": (_answer("HTTP/1.1 206 Partial Content", body=b"xy"), "DownloadError: unreadable byte range"),
    "redirect-to-a-file": (_answer("HTTP/1.1 302 Found", "Location: file:///etc/passwd"), "DownloadError: refused"),
    "redirect-to-plain-http": (_answer("HTTP/1.1 302 Found", "Location: http://a.example/"), "DownloadError: refused"),
    "redirect-to-half-an-address": (_answer("HTTP/1.1 302 Found", "Location: https://[::1"), "DownloadError: refused"),
    "redirect-with-a-terminal-escape": (
        _answer("HTTP/1.1 302 Found", "Location: \x1b]0;x\x07"),
        "DownloadError: ",
    ),
    "redirect-to-itself": (
        _answer("HTTP/1.1 302 Found", "Location: a.zip", "Content-Length: 0"),
        "DownloadError: more than",
    ),
    "redirect-of-20000-letters": (_answer("HTTP/1.1 302 Found", "Location: /" + "a" * 20_000), "DownloadError: "),
    "headers-500": (_answer("HTTP/1.1 200 OK", *(f"X-{n}: y" for n in range(500))), "DownloadError: "),
    "header-of-20000-letters": (_answer("HTTP/1.1 200 OK", "X: " + "y" * 20_000), "accepted"),
}

_HEALTH: dict[str, Case] = {
    "nothing": (b"", "accepted"),
    "status-is-no-number": (_answer("HTTP/1.1 abc OK"), "accepted"),
    "redirect-to-another-host": (
        _answer("HTTP/1.1 302 Found", "Location: https://" + "a" * 900 + ".example/"),
        "accepted",
    ),
    "redirect-to-half-an-address": (_answer("HTTP/1.1 302 Found", "Location: http://[::1"), "accepted"),
    "redirect-to-a-file": (_answer("HTTP/1.1 302 Found", "Location: file:///etc/passwd"), "accepted"),
    "redirect-with-a-terminal-escape": (_answer("HTTP/1.1 302 Found", "Location: \x1b[31m"), "accepted"),
    "length-is-no-number": (_answer("HTTP/1.1 200 OK", "Content-Length: x", body=b"{}"), "accepted"),
    "body-of-20000-spaces": (_answer("HTTP/1.1 200 OK", body=b" " * 20_000), "accepted"),
}


def _json(text: bytes) -> Case:
    return text, "accepted"


_HEALTH_JSON: dict[str, Case] = {
    "version-nested-900-deep": _json(b'{"version": ' + b"[" * 900 + b"]" * 900 + b"}"),
    "version-of-4000-digits": _json(b'{"version": ' + b"9" * 4000 + b"}"),
    "version-of-5000-digits": _json(b'{"version": ' + b"9" * 5000 + b"}"),
    "version-is-an-object": _json(b'{"version": {"version": "1.0.0"}}'),
    "version-twice": _json(b'{"version": "1.0.0", "version": "2.0.0"}'),
    "version-with-a-terminal-escape": _json(b'{"version": "\\u001b[2J"}'),
    "not-utf-8": _json(b'{"version": "\xff"}'),
    "nested-3000-deep": _json(b"[" * 3000),
    "65000-bytes": _json(b'{"version": "1.0.0", "x": "' + b"y" * 65_400 + b'"}'),
}

CASES: dict[str, dict[str, Case]] = {
    "trust": _TRUST,
    "content-range": _CONTENT_RANGE,
    "http-headers": _HEADERS,
    "http-answer": _ANSWER,
    "health-answer": _HEALTH,
    "health-json": _HEALTH_JSON,
}
