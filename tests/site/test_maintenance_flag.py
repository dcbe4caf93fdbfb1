"""The flag file by itself: what is written, who may read it, and that what the updater writes is what readers read."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.faults import KILLED, Faults, Strike, injected
from updater.contrib.maintenance import FlagFile
from updater.contrib.maintenance.flag import LONGEST, is_on, read_flag
from updater.errors import StateError
from updater.schema.site_config import MaintenanceConfig
from updater.site.maintenance import MaintenanceFlag

NOW = datetime(2026, 1, 20, 10, 0, 0, tzinfo=UTC)
CONFIG = MaintenanceConfig("maintenance.json", minutes=30, message="Back soon")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "maintenance.json"


def reader(path: Path, now: datetime = NOW) -> FlagFile:
    return FlagFile(path, clock=now.timestamp)


def at(path: Path, **later: float) -> bool:
    return reader(path, NOW + timedelta(**later)).current() is not None


def test_raised_then_lowered(path: Path) -> None:
    flag = MaintenanceFlag(path, CONFIG)
    token = flag.raise_flag(NOW)
    seen = reader(path).current()
    assert seen is not None
    assert (seen.message, seen.retry_after) == ("Back soon", 60)
    assert seen.lets_through(token)
    assert not any(seen.lets_through(other) for other in ("", "x", token[:-1], seen.probe_sha256))
    flag.lower()
    flag.lower()
    assert not path.exists()
    assert reader(path).current() is None


def test_the_token_is_not_in_the_file(path: Path) -> None:
    token = MaintenanceFlag(path, CONFIG).raise_flag(NOW)
    text = path.read_text()
    assert token not in text
    assert hashlib.sha256(token.encode()).hexdigest() in text
    assert len(token) >= 32


def test_the_web_server_s_user_may_read_it_whatever_the_umask(path: Path) -> None:
    before = os.umask(0o077)
    try:
        MaintenanceFlag(path, CONFIG).raise_flag(NOW)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_it_expires(path: Path) -> None:
    flag = MaintenanceFlag(path, CONFIG)
    flag.raise_flag(NOW)
    assert at(path, minutes=29)
    assert not at(path, minutes=31)
    flag.extend(NOW + timedelta(minutes=20))
    assert at(path, minutes=49)
    assert not at(path, minutes=51)
    flag.extend(NOW + timedelta(minutes=20), at_least=7200)
    assert at(path, minutes=139)


def test_raising_and_extending_again_keep_token_and_beginning(path: Path) -> None:
    flag = MaintenanceFlag(path, CONFIG)
    token = flag.raise_flag(NOW)
    assert flag.raise_flag(NOW + timedelta(minutes=5)) == token
    flag.extend(NOW + timedelta(minutes=20))
    assert json.loads(path.read_text())["since"] == "2026-01-20T10:00:00Z"
    written = path.stat().st_ino
    flag.extend(NOW + timedelta(minutes=20, seconds=10))
    assert path.stat().st_ino == written  # not written again for nothing


def test_another_process_gets_a_token_of_its_own(path: Path) -> None:
    """After a crash the old one is gone: it was in memory only."""
    old = MaintenanceFlag(path, CONFIG).raise_flag(NOW)
    recovering = MaintenanceFlag(path, CONFIG)
    token = recovering.probe_token(NOW + timedelta(minutes=1))
    seen = reader(path).current()
    assert seen is not None
    assert seen.lets_through(token)
    assert not seen.lets_through(old)
    assert json.loads(path.read_text())["since"] == "2026-01-20T10:00:00Z"
    recovering.lower()
    assert MaintenanceFlag(path, CONFIG).probe_token(NOW) == ""
    assert not path.exists()


def test_held_until_lowered(path: Path) -> None:
    flag = MaintenanceFlag(path, CONFIG)
    flag.raise_flag(NOW)
    flag.hold(NOW)
    assert at(path, days=4000)
    MaintenanceFlag(path, CONFIG).extend(NOW)  # a recovery that begins anew
    assert not at(path, days=1)


@pytest.mark.parametrize("hours", [-26 * 24, -2, 30 * 24])
def test_a_clock_that_jumps(path: Path, hours: int) -> None:
    """Set back: it counts for its own length from when it was seen. Set forward: it has expired."""
    MaintenanceFlag(path, CONFIG).raise_flag(NOW)
    ticks = [0.0]
    seen = FlagFile(path, clock=(NOW + timedelta(hours=hours)).timestamp, monotonic=lambda: ticks[0])
    assert (seen.current() is not None) == (hours < 0)
    ticks[0] = 29 * 60.0
    assert (seen.current() is not None) == (hours < 0)
    ticks[0] = 31 * 60.0
    assert seen.current() is None


def test_no_flag_counts_for_more_than_a_day(path: Path) -> None:
    path.write_text(json.dumps({"written": "2026-01-20T10:00:00Z", "until": "2099-01-01T00:00:00Z"}))
    assert at(path, hours=23)
    assert not at(path, hours=25)
    path.unlink()
    MaintenanceFlag(path, MaintenanceConfig("x", minutes=10**9)).raise_flag(NOW, at_least=10**9)
    assert at(path, hours=23)
    assert not at(path, hours=25)


@pytest.mark.parametrize("content", [b"", b"x", b"[]", b"null", b"{}", b'{"until": 5, "written": 5}', b"\xff" * 99])
def test_a_flag_made_by_hand_counts_for_half_an_hour(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    os.utime(path, (NOW.timestamp(), NOW.timestamp()))
    assert at(path, minutes=29)
    assert not at(path, minutes=31)


def test_what_is_no_file_does_not_count(path: Path) -> None:
    path.mkdir()
    assert reader(path).current() is None
    path.rmdir()
    os.mkfifo(path)
    assert reader(path).current() is None
    MaintenanceFlag(path, CONFIG).lower()
    assert path.exists()
    with pytest.raises(StateError):
        MaintenanceFlag(path, CONFIG).raise_flag(NOW)


def test_changes_are_seen_at_once(path: Path) -> None:
    seen, flag = reader(path), MaintenanceFlag(path, CONFIG)
    for _ in range(3):
        assert seen.current() is None
        flag.raise_flag(NOW)
        first = seen.current()
        assert first is not None
        flag.hold(NOW)
        held = seen.current()
        assert held is not None
        assert held.until is None
        flag.lower()


def test_a_file_that_cannot_be_written_is_told(path: Path) -> None:
    with pytest.raises(StateError, match="cannot be turned on") as caught:
        MaintenanceFlag(path.parent / "missing" / "flag", CONFIG).raise_flag(NOW)
    assert "[maintenance] file" in caught.value.hint
    MaintenanceFlag(path.parent / "missing" / "flag", CONFIG).lower()


def test_without_a_file_nothing_is_done(tmp_path: Path) -> None:
    flag = MaintenanceFlag.of(tmp_path, MaintenanceConfig())
    assert flag.raise_flag(NOW) == flag.probe_token(NOW) == ""
    flag.extend(NOW)
    flag.hold(NOW)
    flag.lower()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["kill", "error"])
def test_every_fault_leaves_the_flag_whole_and_can_be_cleared(tmp_path: Path, kind: str) -> None:
    """At every change to the disk of raising, extending, holding and lowering: whole or absent, then gone."""

    def work(path: Path) -> None:
        flag = MaintenanceFlag(path, CONFIG)
        flag.raise_flag(NOW)
        flag.extend(NOW, at_least=7200)
        flag.hold(NOW)
        flag.lower()

    counting = Faults()
    with injected(counting):
        work(tmp_path / "count.json")
    points = counting.points(kind)  # type: ignore[arg-type]
    assert len(points) >= 14
    for number in points:
        folder = tmp_path / f"{kind}{number}"
        folder.mkdir()
        path = folder / "maintenance.json"
        child = os.fork()
        if child == 0:
            with injected(Faults(Strike(kind, number))):  # type: ignore[arg-type]
                try:
                    work(path)
                except StateError:
                    os._exit(1)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) in (0, 1, KILLED)
        assert not path.exists() or len(json.loads(path.read_text())["probe_sha256"]) == 64
        MaintenanceFlag(path, CONFIG).lower()
        assert list(folder.iterdir()) == [], (kind, number, counting.log[number - 1])


@given(st.binary(max_size=300), st.floats(0, 4e9))
def test_any_bytes_can_be_read(data: bytes, modified: float) -> None:
    flag = read_flag(data, modified)
    assert not is_on(flag, max(flag.written, modified) + LONGEST + 1, 0.0) or flag.until is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=30),
        lambda inner: (
            st.dictionaries(st.sampled_from(["written", "until", "retry_after", "probe_sha256", "message", "x"]), inner)
            | st.lists(inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_any_document_can_be_read(value: object) -> None:
    flag = read_flag(json.dumps(value).encode(), 1.0)
    assert 1 <= flag.retry_after <= 3600
    assert not flag.lets_through("") or flag.probe_sha256
