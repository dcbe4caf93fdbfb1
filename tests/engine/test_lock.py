"""Who holds the lock: what a second updater is told, and what the next one learns of one that died."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import updater.site.lock
from updater.errors import LockedError
from updater.site.lock import Holder, SiteLock, boot_id, explain_holder, read_holder

HOLDER = Holder(pid=4711, boot_id="b", since=1000.0, alive=2000.0)
HOLD = "import sys; from pathlib import Path; from updater.site import SiteLock\nwith SiteLock(Path(sys.argv[1])):\n"


@pytest.mark.parametrize(
    ("holder", "now", "runs", "words"),
    [
        (None, 0.0, False, "Another updater is at work"),
        (HOLDER, 2001.0, True, "process 4711, since "),
        (HOLDER, 2100.0, True, "no sign of life for 100 seconds"),
        (HOLDER, 1000.0, True, "process 4711, since "),
        (HOLDER, 2001.0, False, "process 4711) is gone, but a command that it started still runs"),
    ],
)
def test_a_held_lock_is_explained(holder, now, runs, words):
    said = explain_holder(holder, now=now, runs=runs)
    assert words in said
    assert ("sign of life" in said) is ("sign of life" in words)


def start(path: Path, then: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLD + f"    {then}", str(path)]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)


def test_the_killed_holder_is_told_about_and_the_lock_is_free(tmp_path):
    path = tmp_path / "lock"
    child = start(path, "print('held', flush=True); input()")
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    with pytest.raises(LockedError, match=f"process {child.pid}, since"), SiteLock(path):
        pass
    child.kill()
    child.communicate()
    with SiteLock(path) as lock:
        assert lock.died is not None
        assert (lock.died.pid, lock.died.boot_id) == (child.pid, boot_id())
    with SiteLock(path) as lock:
        assert lock.died is None


def test_a_child_that_outlives_the_updater_is_named_as_the_reason(tmp_path):
    path = tmp_path / "lock"
    then = (
        "import subprocess; from updater.site.lock import lock_handles; "
        "print(subprocess.Popen(['sleep', '60'], stdout=subprocess.DEVNULL,"
        " pass_fds=lock_handles(Path(sys.argv[1]))).pid, flush=True); input()"
    )
    child = start(path, then)
    assert child.stdout is not None
    sleeper = int(child.stdout.readline())
    child.kill()
    child.communicate()
    try:
        with pytest.raises(LockedError, match="is gone, but a command that it started still runs"), SiteLock(path):
            pass
    finally:
        os.kill(sleeper, 9)
    deadline = time.monotonic() + 10
    while True:
        try:
            with SiteLock(path):
                break
        except LockedError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_the_holder_gives_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(updater.site.lock, "HEARTBEAT", 0.02)
    path = tmp_path / "lock"
    with SiteLock(path):
        os.utime(path, (1000, 1000))
        deadline = time.monotonic() + 10
        while (found := read_holder(path)) is None or found.alive == 1000:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    os.utime(path, (1000, 1000))
    time.sleep(0.1)
    assert path.stat().st_mtime == 1000


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"pid": null}', '{"pid": "x", "boot_id": "", "since": 0}'])
def test_a_damaged_lock_file_names_nobody(tmp_path, damage):
    (tmp_path / "lock").write_text(damage)
    assert read_holder(tmp_path / "lock") is None
    with SiteLock(tmp_path / "lock") as lock:
        assert lock.died is None
