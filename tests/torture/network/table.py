"""Every wrong thing a server does here, and how it must end for each kind of file. Data only; `runner` runs it.

How it must end: the class of the error, or None when the client copes and the file arrives all the same. The exit code
follows from docs/exit-codes.md: 7 for the network, 8 for what is not what was signed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from tests.support.server import Behaviour, drip_headers, silent, status
from tests.torture.network import answers, refusals
from updater.errors import (
    DownloadError,
    DownloadHTTPError,
    DownloadTimeoutError,
    DownloadTooLargeError,
    DownloadTruncatedError,
    FeedError,
    SchemaError,
    TargetMismatchError,
    UpdaterError,
)

__all__ = ["POSITIONS", "TABLE", "Case", "Expected", "Kind", "Position", "Row", "cases"]

Kind = Literal["metadata", "feed", "package"]
Position = Literal["start", "middle", "last"]
Verb = Literal["update", "setup", "download"]
Slow = Literal["", "time", "rate"]
Expected = type[UpdaterError] | None

POSITIONS: tuple[Position, ...] = ("start", "middle", "last")
WAYS: tuple[tuple[Verb, Kind], ...] = (
    ("update", "metadata"),
    ("update", "feed"),
    ("update", "package"),
    ("setup", "metadata"),
    ("setup", "feed"),
    ("download", "package"),
)


@dataclass(frozen=True)
class Row:
    """One behaviour.

    ``make(at)`` is the behaviour. In the body it strikes at byte ``at``: the first, the middle, the last. A refusal
    replaces the whole answer; there the three positions are: the first, a middle and the last file of a check, and a
    package of which nothing, half, or all but one byte is here already.

    ``slow``: what alone ends it, a time that has passed or a rate that is not reached; the client gets short limits.
    ``requests``: how many it may send at the most, in one try. ``arrives``: positions at which the file arrives all the
    same. ``spoils``: it may leave something in the part that is no beginning of the file.
    """

    name: str
    make: Callable[[int], Behaviour]
    metadata: Expected
    feed: Expected
    package: Expected
    in_body: bool = False
    slow: Slow = ""
    spoils: bool = False
    requests: int = 12
    arrives: tuple[Position, ...] = ()

    def ends(self, kind: Kind, position: Position) -> Expected:
        """How it must end."""
        if position in self.arrives:
            return None
        expected: Expected = getattr(self, kind)
        return expected


def _body(
    name: str,
    make: Callable[[int], Behaviour],
    metadata: Expected,
    feed: Expected,
    package: Expected,
    *,
    slow: Slow = "",
    spoils: bool = False,
    arrives: tuple[Position, ...] = (),
) -> Row:
    return Row(name, make, metadata, feed, package, in_body=True, slow=slow, spoils=spoils, arrives=arrives)


def _answer(
    name: str,
    behaviour: Behaviour,
    metadata: Expected,
    feed: Expected,
    package: Expected,
    *,
    slow: Slow = "",
    spoils: bool = False,
    requests: int = 12,
    arrives: tuple[Position, ...] = (),
) -> Row:
    return Row(
        name,
        lambda at: behaviour,
        metadata,
        feed,
        package,
        slow=slow,
        spoils=spoils,
        requests=requests,
        arrives=arrives,
    )


def _refusal(
    name: str, behaviour: Behaviour, kind: type[DownloadError] = DownloadError, *, slow: Slow = "", requests: int = 12
) -> Row:
    """The same for every file."""
    return _answer(name, behaviour, kind, kind, kind, slow=slow, requests=requests)


_TOO_MANY = status(429, b"slow down\n", Retry_After="3600")
_LATER = status(503, b"later\n", Retry_After="Fri, 31 Dec 2100 10:00:00 GMT")
_AT_ONCE = status(503, b"again\n", Retry_After="0")

TABLE: tuple[Row, ...] = (
    # Bodies that end too early. Without an announced length only the digest can tell, in metadata the signature.
    _body("reset", answers.reset, DownloadTruncatedError, DownloadTruncatedError, DownloadTruncatedError),
    _body("cut", answers.cut, DownloadTruncatedError, DownloadTruncatedError, DownloadTruncatedError),
    _body("cut, no length", answers.unannounced_cut, SchemaError, TargetMismatchError, DownloadTruncatedError),
    _body("chunked, cut", answers.chunked_cut, DownloadTruncatedError, DownloadTruncatedError, DownloadTruncatedError),
    _body("half an upload", answers.short_file, SchemaError, TargetMismatchError, DownloadTruncatedError),
    # Bodies that are too long, or never end.
    _body("endless", answers.endless, DownloadTooLargeError, TargetMismatchError, TargetMismatchError),
    _body("endless chunks", answers.endless_chunked, DownloadTooLargeError, TargetMismatchError, TargetMismatchError),
    _body("too many bytes", answers.inserted, FeedError, TargetMismatchError, TargetMismatchError),
    _body("endless trailers", answers.endless_trailers, DownloadTimeoutError, DownloadTimeoutError,
          DownloadTimeoutError, slow="time"),
    _body("garbage for a chunk size", answers.garbage_chunk, DownloadError, DownloadError, DownloadError),
    # Other bytes.
    _body("flipped bit", answers.flipped, FeedError, TargetMismatchError, TargetMismatchError),
    _body("zeros", answers.zeros, FeedError, TargetMismatchError, TargetMismatchError),
    _body("another file's bytes", answers.other_bytes, FeedError, TargetMismatchError, TargetMismatchError),
    # Slow ones.
    _body("drip", answers.drip, DownloadTimeoutError, DownloadTimeoutError, DownloadTimeoutError, slow="rate",
          arrives=("last",)),
    _body("hang", answers.hang, DownloadTimeoutError, DownloadTimeoutError, DownloadTimeoutError, slow="time"),
    _body("drip in a chunk size", answers.chunked_drip, DownloadTimeoutError, DownloadTimeoutError,
          DownloadTimeoutError, slow="time"),
    _refusal("slow headers", drip_headers(0.02), DownloadTimeoutError, slow="time"),
    _refusal("no answer", silent(), DownloadTimeoutError, slow="time"),
    _refusal("100 Continue for ever", refusals.continues, slow="time"),
    _refusal("slow error page", refusals.slow_error_page, DownloadHTTPError, slow="time"),
    # Connections that bring nothing.
    _refusal("server gone", refusals.gone),
    _refusal("closed without an answer", refusals.closed, DownloadTruncatedError),
    _refusal("no HTTP", refusals.no_http),
    _refusal("huge header", refusals.huge_header),
    _refusal("headers without end", refusals.headers_without_end),
    # Other pages, and ways to them.
    _answer("captive portal", refusals.portal, SchemaError, TargetMismatchError, DownloadTruncatedError),
    _answer("login redirect", refusals.to("/login"), SchemaError, TargetMismatchError, DownloadTruncatedError),
    _refusal("redirect loop", refusals.to_itself, requests=36),
    _refusal("redirect without an address", status(302, b"moved\n"), DownloadHTTPError),
    _refusal("redirect to plain http", refusals.to("http://updates.example/file")),
    _refusal("redirect to file://", refusals.to("file:///etc/passwd")),
    _refusal("redirect to nonsense", refusals.to("http://[nonsense/")),
    _refusal("TLS to a plain port", refusals.to_tls),
    _answer("redirect to another host", refusals.to_copy, None, None, None),
    _answer("endless body of a redirect", refusals.endless_redirect, None, None, None),
    # Statuses.
    _refusal("401", status(401), DownloadHTTPError),
    _refusal("403", status(403), DownloadHTTPError),
    _refusal("404", status(404, b"not here\n"), DownloadHTTPError),
    _refusal("429, come back in an hour", _TOO_MANY, DownloadHTTPError, requests=5),
    _refusal("503, come back in 2100", _LATER, DownloadHTTPError, requests=5),
    _refusal("500", status(500, b"oops\n"), DownloadHTTPError),
    _refusal("304 unasked", status(304), DownloadHTTPError),
    _refusal("204", status(204), DownloadHTTPError),
    _refusal("endless error page", refusals.endless_error_page, DownloadHTTPError),
    # Encodings and lengths.
    _refusal("gzip bomb", refusals.bomb),
    _refusal("compressed", refusals.compressed),
    _refusal("transfer coding gzip", refusals.transfer_gzip),
    _refusal("negative length", refusals.announced("-5")),
    _refusal("two lengths", refusals.announced("5, 6")),
    _refusal("no number for a length", refusals.announced("0x10")),
    _answer("bytes behind the body", refusals.bytes_behind, None, None, None),
    # Ranges.
    _refusal("206 for another range", refusals.other_range),
    _refusal("unreadable Content-Range", refusals.unreadable_range("bytes x-y/z")),
    _refusal("206 in several parts", refusals.unreadable_range("", "multipart/byteranges; boundary=b")),
    _answer("206 longer than its range", refusals.overlong_range, None, None, DownloadError, arrives=("start",)),
    _answer("200 instead of 206", refusals.ignores_ranges, None, None, None),
    _answer("416 for every range", refusals.refuses_ranges, None, None, None),
)  # fmt: skip

PASSING: tuple[Row, ...] = (
    Row("500, then good", lambda at: refusals.first_only(status(500)), DownloadHTTPError, DownloadHTTPError, None),
    Row("503 at once again", lambda at: refusals.first_only(_AT_ONCE), DownloadHTTPError, DownloadHTTPError, None),
    Row("two resets", lambda at: refusals.first_only(answers.reset(at), 2), DownloadTruncatedError,
        DownloadTruncatedError, None),
)  # fmt: skip
"""Those that pass by themselves: a package is tried again, a check is not (the next one will do)."""


@dataclass(frozen=True)
class Case:
    """One row at one position on one way."""

    verb: Verb
    kind: Kind
    row: Row
    position: Position

    def __str__(self) -> str:
        return f"{self.verb}, {self.kind}: {self.row.name}, {self.position}"

    @property
    def ends(self) -> Expected:
        """How it must end."""
        return self.row.ends(self.kind, self.position)


def cases(verb: Verb, kind: Kind) -> Iterator[Case]:
    """Every row on one way. A refusal of the feed has no positions: it is one file, and never resumed."""
    for row in (*TABLE, *PASSING):
        for position in POSITIONS if row.in_body or kind != "feed" else POSITIONS[:1]:
            yield Case(verb, kind, row, position)
