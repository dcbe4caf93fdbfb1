"""Single files out of a package, from a real server: resuming, failing over, and servers that do what they like."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acquire.shop import BASE, noise
from tests.support.packages import Built, make_package
from tests.support.server import Behaviour, Exchange, LoopbackServer, redirect, status
from updater.acquire.addresses import Addresses
from updater.acquire.members import MemberFetch
from updater.acquire.ranges import Located, locate
from updater.acquire.store import ContentStore
from updater.errors import DownloadError, DownloadHTTPError, LockedError, RangesIgnoredError, TargetMismatchError
from updater.package import read_tail
from updater.transport import HTTPTransport
from updater.transport.part_file import alone_in
from updater.transport.patience import Patience

BUILT = make_package({**BASE, **{f"big/{n}.bin": noise(n, 200_000) for n in range(10)}})
NAME = "a.zip"


def every(built: Built, *names: str) -> list[Located]:
    tail = read_tail(
        built.tail, built.tail_offset, manifest_sha256=built.manifest_sha256, manifest_size=len(built.manifest_bytes)
    )
    return [
        locate(built.manifest.files[m.path], m.offset, m.packed_size, stored=m.method == 0)
        for m in tail.members
        if m.path in names
    ]


WANTED = every(BUILT, "shop/part3.py", "big/2.bin", "big/7.bin", "docs/latest", "shop/empty.py")


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer({NAME: BUILT.package, "b.zip": BUILT.package}) as server:
        yield server


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def fetch(
    home: Path,
    server: LoopbackServer,
    *names: str,
    wanted: list[Located] = WANTED,
    connections: int = 4,
    backoff: tuple[float, ...] = (0.01,),
    until: float | None = None,
) -> tuple[ContentStore, int]:
    store, came = ContentStore(home / "content"), [0]
    with HTTPTransport() as transport:
        MemberFetch(
            transport=transport,
            addresses=Addresses([f"{server.url}{name}" for name in names or (NAME,)]),
            size=BUILT.size,
            directory=home / "ranges/x",
            store=store,
            patience=Patience(backoff, until=until),
            connections=connections,
            progress=lambda count: came.__setitem__(0, came[0] + count),
            name="the package",
        ).fetch(wanted)
    return store, came[0]


def complete(store: ContentStore, wanted: list[Located] = WANTED) -> bool:
    return all(store.find(file.file) == file.file.sha256 for file in wanted)


def ranged(request: object) -> tuple[int, int]:
    match = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("range", ""))  # type: ignore[attr-defined]
    return (int(match[1]), int(match[2]) + 1) if match else (0, 0)


def answer_once(server: LoopbackServer, first: Behaviour) -> Behaviour:
    """``first`` for the first request, the truth for all others."""
    lock = threading.Lock()

    def behave(exchange: Exchange) -> None:
        mine = lock.acquire(blocking=False)
        (first if mine else server.serve)(exchange)

    return behave


def cut_after(keep: int, data: bytes = BUILT.package) -> Behaviour:
    """Sends ``keep`` bytes of the range and hangs up."""

    def behave(exchange: Exchange) -> None:
        start, end = ranged(exchange.request)
        exchange.hang_up()
        headers = {"Content-Length": str(end - start), "Content-Range": f"bytes {start}-{end - 1}/{len(data)}"}
        exchange.start(206, headers)
        exchange.write(data[start : min(end, start + keep)])

    return behave


@pytest.mark.parametrize("connections", [1, 4])
def test_the_wanted_bytes_come_and_hardly_others(home: Path, server: LoopbackServer, connections: int) -> None:
    store, came = fetch(home, server, connections=connections)
    assert complete(store)
    assert came == server.body_bytes < sum(file.packed_size for file in WANTED) + 16_384
    assert not (home / "ranges/x").exists()


def test_nothing_wanted_asks_for_nothing(home: Path, server: LoopbackServer) -> None:
    store, came = fetch(home, server, wanted=every(BUILT, "shop/empty.py"))
    assert complete(store, every(BUILT, "shop/empty.py"))
    assert (came, server.requests) == (0, [])


def test_a_connection_that_is_cut_is_continued_where_it_was(home: Path, server: LoopbackServer) -> None:
    server.behaviours[NAME] = answer_once(server, cut_after(70_000))
    store, came = fetch(home, server, wanted=every(BUILT, "big/7.bin"))
    assert complete(store, every(BUILT, "big/7.bin"))
    (first, end), (second, again) = (ranged(request) for request in server.requests)
    assert (second - first, again) == (70_000, end)
    assert came == 200_000


@pytest.mark.parametrize("kept", [0, 1, 3000, 150_000])
def test_another_day_continues(home: Path, server: LoopbackServer, kept: int) -> None:
    """Also when other files are wanted by then, so that the ranges are others."""
    server.behaviours[NAME] = cut_after(kept)
    with pytest.raises(DownloadError):
        fetch(home, server, backoff=(), connections=1)
    server.behaviours.clear()
    server.reset()
    more = every(BUILT, "big/2.bin", "big/7.bin", "shop/part3.py", "big/8.bin", "shop/part9.py")
    store, came = fetch(home, server, wanted=more)
    assert complete(store, more)
    assert came <= sum(file.packed_size for file in more) + 16_384 - kept + (kept if kept < 200_000 else 0)
    assert not (home / "ranges/x").exists()


def test_a_damaged_part_is_fetched_anew_without_blaming_the_server(home: Path, server: LoopbackServer) -> None:
    wanted = every(BUILT, "big/7.bin")
    (home / "ranges/x").mkdir(parents=True)
    (home / f"ranges/x/{wanted[0].start}.part").write_bytes(b"x" * 1000)
    (home / "ranges/x/12.part").write_bytes(b"of no use")
    (home / "ranges/x/what.part").write_bytes(b"nothing of ours")
    store, _ = fetch(home, server, wanted=wanted)
    assert complete(store, wanted)
    assert [ranged(request)[0] - wanted[0].start for request in server.requests] == [1000, 0]


@pytest.mark.parametrize("connections", [1, 4])
def test_a_server_that_ignores_ranges_is_asked_once(home: Path, server: LoopbackServer, connections: int) -> None:
    server.ranges = False
    with pytest.raises(RangesIgnoredError):
        fetch(home, server, connections=connections)
    assert len(server.requests) == 1


def test_the_next_address_may_serve_ranges(home: Path, server: LoopbackServer) -> None:
    server.behaviours[NAME] = status(200, BUILT.package)
    store, _ = fetch(home, server, NAME, "b.zip")
    assert complete(store)
    assert server.paths().count(NAME) == 1


def wrong_start(exchange: Exchange) -> None:
    start, end = ranged(exchange.request)
    body = BUILT.package[start + 1 : end + 1]
    exchange.start(206, {"Content-Length": str(len(body)), "Content-Range": f"bytes {start + 1}-{end}/{BUILT.size}"})
    exchange.write(body)


def other_file(exchange: Exchange) -> None:
    start, end = ranged(exchange.request)
    headers = {"Content-Length": str(end - start), "Content-Range": f"bytes {start}-{end - 1}/{BUILT.size + 5}"}
    exchange.start(206, headers)
    exchange.write(BUILT.package[start:end])


def damaged(exchange: Exchange) -> None:
    start, end = ranged(exchange.request)
    body = bytearray(BUILT.package[start:end])
    body[len(body) // 2] ^= 1
    headers = {"Content-Length": str(end - start), "Content-Range": f"bytes {start}-{end - 1}/{BUILT.size}"}
    exchange.start(206, headers)
    exchange.write(bytes(body))


LIES: dict[str, tuple[Callable[[Exchange], None], type[Exception]]] = {
    "a range that begins elsewhere": (wrong_start, DownloadError),
    "a range of another file": (other_file, DownloadError),
    "other bytes": (damaged, TargetMismatchError),
    "not there": (status(404), DownloadHTTPError),
    "no such range": (status(416, Content_Range="bytes */5"), DownloadHTTPError),
    "broken": (status(503), DownloadHTTPError),
    "cut at once": (cut_after(0), DownloadError),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_mirror_that_lies_is_left_and_the_next_one_goes_on(home: Path, server: LoopbackServer, lie: str) -> None:
    behaviour, kind = LIES[lie]
    server.behaviours[NAME] = behaviour
    store, _ = fetch(home, server, NAME, "b.zip")
    assert complete(store)
    with pytest.raises(kind):
        fetch(home / "again", server)


def test_a_mirror_that_fails_in_the_middle(home: Path, server: LoopbackServer) -> None:
    """What came from it is kept: the next one only sends the rest."""
    server.behaviours[NAME] = cut_after(100_000)
    store, came = fetch(home, server, NAME, "b.zip", wanted=every(BUILT, "big/7.bin"), backoff=())
    assert complete(store, every(BUILT, "big/7.bin"))
    assert came == 200_000


def test_bytes_of_a_bad_mirror_do_not_stay(home: Path, server: LoopbackServer) -> None:
    """The first one sends wrong bytes and fails; what the second adds to them is not the file. It is asked again."""

    def bad(exchange: Exchange) -> None:
        cut_after(50_000, bytes(BUILT.size))(exchange)

    server.behaviours[NAME] = bad
    store, _ = fetch(home, server, NAME, "b.zip", wanted=every(BUILT, "big/7.bin"), backoff=())
    assert complete(store, every(BUILT, "big/7.bin"))


def test_signed_addresses_expire_and_are_asked_for_again(home: Path, server: LoopbackServer) -> None:
    """Like GitHub: each signed address works once, and the ranges are asked for at the published one."""
    tickets = iter(range(1000))

    def sign(exchange: Exchange) -> None:
        ticket = f"signed/{next(tickets)}"
        server.behaviours[ticket] = answer_once(server, cut_after(60_000)) if ticket == "signed/0" else used_up(ticket)
        redirect(f"{server.url}{ticket}")(exchange)

    def used_up(ticket: str) -> Behaviour:
        def behave(exchange: Exchange) -> None:
            server.behaviours[ticket] = status(403)
            exchange.request.path = NAME
            server.serve(exchange)

        return behave

    server.behaviours[NAME] = sign
    store, _ = fetch(home, server, wanted=every(BUILT, "big/2.bin", "big/7.bin"))
    assert complete(store, every(BUILT, "big/2.bin", "big/7.bin"))


def test_two_processes_do_not_mix(home: Path, server: LoopbackServer) -> None:
    (home / "ranges/x").mkdir(parents=True)
    with alone_in(home / "ranges/x"), pytest.raises(LockedError):
        fetch(home, server)
    assert server.requests == []


def test_the_deadline_ends_it_and_keeps_what_came(home: Path, server: LoopbackServer) -> None:
    with pytest.raises(DownloadError, match="time that is allowed"):
        fetch(home, server, until=0.0, backoff=())
    assert sum(path.stat().st_size for path in (home / "ranges/x").iterdir()) > 0


def test_who_watches_may_stop_it(home: Path, server: LoopbackServer) -> None:
    class Closed(Exception):
        pass

    store = ContentStore(home / "content")

    def progress(_: int) -> None:
        raise Closed

    with HTTPTransport() as transport, pytest.raises(Closed):
        MemberFetch(
            transport=transport,
            addresses=Addresses([f"{server.url}{NAME}"]),
            size=BUILT.size,
            directory=home / "ranges/x",
            store=store,
            patience=Patience(()),
            connections=2,
            progress=progress,
            name="the package",
        ).fetch(WANTED)
    store, _ = fetch(home, server)
    assert complete(store)
