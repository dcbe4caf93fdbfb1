"""The fuzzer finds what it is there to find, the same every time, and goes on where it ended."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.torture.fuzz import command, guard
from tests.torture.fuzz.command import Job
from tests.torture.fuzz.coverage import Coverage
from tests.torture.fuzz.engine import fuzz, last_input, sandbox
from tests.torture.fuzz.guard import Guard
from tests.torture.fuzz.mutations import byte_level
from tests.torture.fuzz.structured import json_document
from tests.torture.fuzz.target import Target, stateless
from tests.torture.fuzz.targets import TARGETS
from updater.errors import ConfigError, SchemaError
from updater.schema.feed import Feed
from updater.schema.version_file import VersionFile


def judged(work: Callable[[bytes], object], *allowed: type[Exception]) -> str | None:
    with sandbox() as folder, Guard(folder) as watching:
        return watching.run(lambda data: (work(data), None)[1], b"x", allowed)


def test_what_is_fine():
    assert judged(lambda data: None) is None
    assert judged(Feed.parse, SchemaError) is None


def test_an_undeclared_exception_is_a_finding():
    assert "KeyError" in str(judged(lambda data: {}[data], ValueError))


def test_a_message_that_drives_the_terminal_is_a_finding():
    def work(data: bytes) -> None:
        raise ValueError("\x1b[31mred")

    assert "'\\x1b'" in str(judged(work, ValueError))


def test_a_message_that_says_nothing_is_a_finding():
    def work(data: bytes) -> None:
        raise ValueError

    assert "says nothing" in str(judged(work, ValueError))


def test_a_hang_is_ended_and_is_a_finding(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guard, "PATIENCE", 0.2)

    def work(data: bytes) -> None:
        try:
            while True:
                data += b""
        except Exception:  # what swallows everything must not swallow the end of patience
            return

    assert "hangs" in str(judged(work))


def test_waiting_for_ever_is_a_finding(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guard, "ASLEEP", 0.2)
    assert "hangs" in str(judged(lambda data: time.sleep(60)))


def test_memory_without_bound_is_a_finding():
    assert "MiB of memory" in str(judged(lambda data: bytearray(b"x") * (guard.MEMORY + guard._peak())))


@pytest.mark.parametrize(
    "reach",
    [
        lambda place: (place / "new").write_bytes(b""),
        lambda place: (place / "new").mkdir(),
        lambda place: (place / "file").unlink(),
        lambda place: (place / "file").rename(place / "other"),
        lambda place: (place / "file").chmod(0o777),
        lambda place: (place / "new").symlink_to("x"),
        lambda place: os.truncate(place / "file", 0),
        lambda place: (place / "file").read_bytes(),
        lambda place: subprocess.run(["true"], check=True),
    ],
    ids=["write", "mkdir", "unlink", "rename", "chmod", "symlink", "truncate", "read", "run"],
)
def test_a_hand_outside_the_sandbox_is_a_finding_and_is_stopped(reach: Callable[[Path], object], tmp_path: Path):
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "file").chmod(0o600)

    def swallow(data: bytes) -> None:
        try:
            reach(tmp_path)
        except Exception:
            pass

    assert "outside the sandbox" in str(judged(swallow))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"mine"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def test_a_hand_through_a_symlink_is_a_finding(tmp_path: Path):
    with sandbox() as folder, Guard(folder) as watching:
        (folder / "way out").symlink_to(tmp_path)
        reason = watching.run(lambda data: (folder / "way out/x").write_bytes(data) and None, b"x", ())
    assert "outside the sandbox" in str(reason)
    assert list(tmp_path.iterdir()) == []


def test_inside_the_sandbox_everything_is_allowed():
    def work(data: bytes) -> None:
        (folder / "a/b").mkdir(parents=True)
        (folder / "a/b/c").write_bytes(data)
        (folder / "a/d").symlink_to("b/c")
        assert (folder / "a/d").read_bytes() == data
        (folder / "a").rename(folder / "e")

    with sandbox() as folder, Guard(folder) as watching:
        assert watching.run(work, b"x", ()) is None


def test_other_machines_are_out_of_reach():
    def work(data: bytes) -> None:
        for host in ("192.0.2.1", "a.example"):
            with pytest.raises(OSError, match="no network"):
                socket.create_connection((host, 80), timeout=1)

    assert judged(work) is None


def test_what_dies_in_a_thread_is_a_finding():
    def work(data: bytes) -> None:
        thread = threading.Thread(target=lambda: {}["x"])
        thread.start()
        thread.join()

    assert "in a thread: KeyError" in str(judged(work))


BROKEN = Target(
    "broken",
    "a parser with a mistake that only a changed document reaches",
    lambda: [b'{"schema": "1.0", "version": "1.0.0"}'],
    json_document,
    stateless(lambda data: json.loads(data)["version"].split(".")[2]),
    (json.JSONDecodeError,),
    1,
)


def test_a_mistake_is_found_the_same_every_time():
    first = fuzz(BROKEN, seed=3, executions=300)
    assert {finding.reason.partition(":")[0] for finding in first.findings} >= {"IndexError", "KeyError"}
    again = fuzz(BROKEN, seed=3, executions=300)
    assert again.findings == first.findings
    other = fuzz(BROKEN, seed=4, executions=300)
    assert [finding.data for finding in other.findings] != [finding.data for finding in first.findings]


def test_a_run_goes_on_where_it_ended(tmp_path: Path):
    target = TARGETS["version"]
    whole = fuzz(target, seed=5, executions=600)
    first = fuzz(target, seed=5, executions=250, state=tmp_path / "state")
    second = fuzz(target, seed=5, executions=350, state=tmp_path / "state")
    assert (first.next, second.next) == (250, 600)
    assert (second.corpus, second.edges) == (whole.corpus, whole.edges)


def test_inputs_that_reach_new_lines_are_kept():
    report = fuzz(TARGETS["feed"], seed=1, executions=400)
    assert report.corpus > len(TARGETS["feed"].seeds())


def test_coverage_sees_new_ways_through_a_function_only_once():
    coverage = Coverage()

    def parse(data: bytes) -> str | None:
        try:
            VersionFile.parse(data)
        except SchemaError:
            pass
        return None

    assert coverage.watch(lambda: parse(b"{}"))[1]
    assert not coverage.watch(lambda: parse(b"{}"))[1]
    assert coverage.watch(lambda: parse(b"["))[1]


def test_a_process_that_dies_leaves_the_input_that_it_died_of():
    worker = command._Worker(Job("paths", 1, 1_000_000), None)
    try:
        until = time.monotonic() + 30
        while not (worker._current.exists() and last_input(worker._current)) and time.monotonic() < until:
            assert worker.report() is None
            time.sleep(0.05)
    finally:
        worker._process.kill()
        worker._process.wait()
    report = worker.report()
    assert report is not None
    assert (report["target"], report["executions"]) == ("paths", 0)
    [finding] = report["findings"]
    assert "hangs where no signal reaches it" in finding["reason"]
    assert finding["data"]


def test_the_command_line(capsys: pytest.CaptureFixture[str]):
    assert command.main(["--list"]) == 0
    assert "restore-point" in capsys.readouterr().out
    assert command.main(["--target", "content-range", "--executions", "50", "--jobs", "1"]) == 0
    assert "50 executions" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        command.main(["--target", "nothing"])


def test_byte_level_damage_stays_small():
    import random

    for seed in range(200):
        assert len(byte_level(random.Random(seed), b"x" * 60_000, [b"y" * 60_000])) <= 64 * 1024


def test_config_errors_stay_printable():
    assert str(ConfigError("\x1b[31m\u202e\ud800")) == "\\x1b[31m\\u202e\\ud800"
    assert len(str(ConfigError("x" * 100_000))) < 20_000
