"""Sites that are served correctly, but stand between two states: stale edges, half an upload, expiry, key exchanges."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.server import Exchange, LoopbackServer
from tests.torture.figures import Figures
from tests.torture.network.runner import Judgement, core, judge_error
from tests.torture.network.world import PATIENT, World, photograph, quick_folder, use_feed
from updater import Updater, set_up_site
from updater.errors import (
    BlockedError,
    DownloadHTTPError,
    DownloadTruncatedError,
    ExpiredError,
    SchemaError,
    SignatureError,
    TargetMismatchError,
    UpdaterError,
    UpToDateError,
)
from updater.transport import HTTPTransport

Files = Mapping[str, bytes]


def _without(*names: Callable[[World], str]) -> Callable[[World], Files]:
    return lambda world: {
        path: data for path, data in world.files.items() if path not in {name(world) for name in names}
    }


def _with(name: Callable[[World], str], change: Callable[[bytes], bytes]) -> Callable[[World], Files]:
    return lambda world: {
        path: change(data) if path == name(world) else data for path, data in world.files.items()
    }  # fmt: skip


def _role(role: str) -> Callable[[World], str]:
    return lambda world: world.metadata(role)


def _package(world: World) -> str:
    return world.package


def _feed(world: World) -> str:
    return world.feed


def _nothing(world: World) -> Files:
    return {}


def _older(world: World) -> Files:
    return world.older_files


def _old_timestamp(world: World) -> Files:
    name = world.metadata("timestamp")
    return {**world.files, name: world.older_files[name]}


def _expired(role: str) -> Callable[[World], Files]:
    def files(world: World) -> Files:
        world.publisher.repository.set_expiry(role)
        expired = world.publisher.repository.photograph()
        world.publisher.repository.renew(role)
        return expired

    return files


def _rotated(*missing: str) -> Callable[[World], Files]:
    """Keys were exchanged; ``missing`` has not arrived yet: "2.root", or "timestamp" (the old one is served)."""

    def files(world: World) -> Files:
        before = world.publisher.repository.photograph()
        world.publisher.repository.rotate("online")
        now = world.publisher.repository.photograph()
        for role in missing:
            name = f"metadata/{role}.json"
            now = {path: data for path, data in now.items() if path != name}
            if name in before:
                now[name] = before[name]
        return now

    return files


@dataclass(frozen=True)
class State:
    """``bad``: what is served meanwhile. How a check and an update of a site end that knows the publisher (``STALE``:
    the last good feed is shown, and nothing installed from it), and how a first install ends.

    ``seen``: the site has seen the newest metadata before.
    """

    name: str
    bad: Callable[[World], Files]
    known: type[UpdaterError] | None
    setup: type[UpdaterError] | None
    seen: bool = False

    def __str__(self) -> str:
        return self.name


STALE = BlockedError

STATES = (
    State("edge with the old timestamp", _old_timestamp, STALE, None, seen=True),
    State("edge with the whole old site", _older, STALE, None, seen=True),
    State("edge with the old site, nothing newer known", _older, UpToDateError, None),
    State("timestamp before its snapshot", _without(_role("snapshot")), STALE, DownloadHTTPError),
    State("snapshot before its channel", _without(_role("stable")), STALE, DownloadHTTPError),
    State("channel before its feed", _without(_feed), STALE, DownloadHTTPError),
    State("feed before its package", _without(_package), DownloadHTTPError, DownloadHTTPError),
    State("half a package", _with(_package, lambda data: data[: len(data) // 2]), DownloadTruncatedError,
          DownloadTruncatedError),
    State("empty package", _with(_package, lambda data: b""), DownloadTruncatedError, DownloadTruncatedError),
    State("a twin of the package", _with(_package, lambda data: hashlib.shake_256(data).digest(len(data))),
          TargetMismatchError, TargetMismatchError),
    State("empty timestamp", _with(_role("timestamp"), lambda data: b""), SchemaError, SchemaError),
    State("another feed under its name", _with(_feed, lambda data: data[:-1] + b" "), TargetMismatchError,
          TargetMismatchError),
    State("no root for new sites", _without(lambda world: "root.json"), None, DownloadHTTPError),
    State("nothing at all", _nothing, STALE, DownloadHTTPError),
    State("expired timestamp", _expired("timestamp"), STALE, ExpiredError),
    State("expired snapshot", _expired("snapshot"), STALE, ExpiredError),
    State("expired channel", _expired("stable"), STALE, ExpiredError),
    State("new keys, the root still missing", _rotated("2.root"), SignatureError, None),
    State("new keys, the old timestamp", _rotated("timestamp"), SignatureError, SignatureError),
    State("new keys", _rotated(), None, None),
)  # fmt: skip


def _update(site: Path) -> None:
    with HTTPTransport(PATIENT) as transport:
        updater = Updater(site, transport=transport)
        updater.install(updater.plan(automatic=True))


def _check(site: Path) -> str:
    with HTTPTransport(PATIENT) as transport:
        return Updater(site, transport=transport).check().freshness.state


def _ends(verb: Callable[[], object], expected: type[UpdaterError] | None) -> object:
    error, found = None, None
    try:
        found = verb()
    except UpdaterError as caught:
        error = caught
    if expected is not UpToDateError:
        judge_error(error, expected)
    elif not isinstance(error, UpToDateError):
        raise Judgement(f"nothing to do was expected: {error!r}")
    return found


def known_site(state: State, world: World, folder: Path) -> None:
    """A check and an update in that state change nothing; afterwards the update succeeds."""
    bad = dict(state.bad(world))
    with LoopbackServer(world.files) as server:
        site = world.copy_site(folder / "known", server.url)
        if state.seen:
            _check(site)
        before, before_core = photograph(site), core(site)
        server.files = bad
        hard = state.known is not None and not issubclass(state.known, BlockedError) and state.name not in _LATE
        found = _ends(lambda: _check(site), state.known if hard else None)
        if state.known is STALE and found != "stale":
            raise Judgement(f"the check says {found}")
        _ends(lambda: _update(site), state.known)
        if state.known is not None:
            if photograph(site) != before or core(site) != before_core:
                raise Judgement("the site was changed")
            server.files = world.publisher.repository.photograph()
            _update(site)
    if not world.is_new(photograph(site)):
        raise Judgement("not the new release")


_LATE = {state.name for state in STATES if "package" in state.name}
"""A check does not look at packages."""


def new_site(state: State, world: World, folder: Path) -> None:
    """A first install in that state leaves nothing, or a whole site; afterwards it succeeds."""
    site = folder / "new"
    with LoopbackServer(dict(state.bad(world))) as server, HTTPTransport(PATIENT) as transport:
        _ends(lambda: set_up_site(server.url + "stable.json", site, transport=transport), state.setup)
        if state.setup is not None:
            if site.exists():
                raise Judgement("a folder is left")
            server.files = world.publisher.repository.photograph()
            set_up_site(server.url + "stable.json", site, transport=transport)
        use_feed(site, server.url)
        if not Updater(site, transport=transport).verify().ok:
            raise Judgement("the new site is not whole")


def _play(state: State, tmp_path: Path) -> None:
    for play in (known_site, new_site):
        with tempfile.TemporaryDirectory(dir=quick_folder(tmp_path)) as name:
            play(state, World.make(Path(name)), Path(name))


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize(
    "name", ["edge with the old timestamp", "timestamp before its snapshot", "feed before its package"]
)
def test_a_sample(name: str, tmp_path: Path) -> None:
    _play(next(state for state in STATES if state.name == name), tmp_path)


def test_edges_of_two_ages_in_turn(world: World, tmp_path: Path) -> None:
    """Every request may reach another edge. Nothing older is ever taken, and the update arrives in the end."""
    timestamp = world.metadata("timestamp")
    edges = [world.older_files[timestamp], world.files[timestamp]]

    def in_turn(exchange: Exchange) -> None:
        edges.reverse()
        data = edges[0]
        exchange.start(200, {"Content-Length": str(len(data))})
        exchange.write(data)

    with LoopbackServer(world.files) as server:
        server.behaviours[timestamp] = in_turn
        site = world.copy_site(tmp_path / "site", server.url)
        assert [_check(site) for _ in range(4)] == ["fresh", "stale", "fresh", "stale"]
        _update(site)
    assert world.is_new(photograph(site))


@pytest.mark.torture
@pytest.mark.usefixtures("short_pauses")
def test_every_state(tmp_path: Path) -> None:
    with Figures("network, published halfway") as figures:
        for state in STATES:
            figures.add(count=2)
            try:
                _play(state, tmp_path)
            except (Judgement, UpdaterError) as error:
                figures.wrong(f"{state}: {error}")
