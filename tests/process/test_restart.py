"""Stopping and restarting: each way on its own, their order, and pid files that lie."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from updater.errors import CommandError
from updater.process import restart_app, stop_app
from updater.schema.site_config import RestartConfig

SERVER = (
    "import signal, sys, time\n"
    "signal.signal(signal.SIGHUP, lambda *a: (print('reloaded', flush=True), sys.exit(0)))\n"
    "print('ready', flush=True)\n"
    "time.sleep(30)"
)


@pytest.fixture
def server() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_nothing_configured(tmp_path: Path) -> None:
    stop_app(RestartConfig(), tmp_path)
    restart_app(RestartConfig(), tmp_path)


def test_all_in_order(tmp_path: Path, server: subprocess.Popen[str]) -> None:
    (tmp_path / "shop.pid").write_text(f"{server.pid}\n")
    config = RestartConfig(
        stop=("sh", "-c", "echo stopped"),
        command=("sh", "-c", "test ! -e tmp/restart.txt && echo restarted"),
        touch="tmp/restart.txt",
        signal="HUP",
        pidfile="shop.pid",
    )
    lines: list[str] = []
    stop_app(config, tmp_path, lines.append)
    restart_app(config, tmp_path, lines.append)
    assert lines == ["stopped", "restarted"]
    assert (tmp_path / "tmp/restart.txt").exists()
    assert server.stdout is not None
    assert server.stdout.readline() == "reloaded\n"


def test_touch_renews_the_time(tmp_path: Path) -> None:
    mark = tmp_path / "restart.txt"
    mark.write_text("kept")
    os.utime(mark, (1, 1))
    restart_app(RestartConfig(touch="restart.txt"), tmp_path)
    assert mark.stat().st_mtime > time.time() - 60
    assert mark.read_text() == "kept"


def test_touch_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "tmp").write_text("a file")
    with pytest.raises(CommandError, match="cannot touch"):
        restart_app(RestartConfig(touch="tmp/restart.txt"), tmp_path)


@pytest.mark.parametrize(("name", "act"), [("stop", stop_app), ("command", restart_app)])
def test_a_command_that_fails(tmp_path: Path, name: str, act: object) -> None:
    config = RestartConfig(**{name: ("sh", "-c", "echo no such unit; exit 5")})  # type: ignore[arg-type]
    with pytest.raises(CommandError, match="exited with 5") as caught:
        act(config, tmp_path)  # type: ignore[operator]
    assert caught.value.output == "no such unit"
    assert name in caught.value.hint


def test_a_command_that_hangs(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"within 0\.2 seconds"):
        restart_app(RestartConfig(command=("sleep", "60"), timeout=0.2), tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not begin with a process id"),
        ("shop", "does not begin with a process id"),
        ("0", "cannot be the app"),
        ("1", "cannot be the app"),
        ("-5", "cannot be the app"),
        pytest.param(str(os.getpid()), "cannot be the app", id="own pid"),
        ("99999999999999999999", "cannot be the app"),
        ("4194304", "does not run"),
    ],
)
def test_pid_files_that_lie(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "shop.pid").write_text(text)
    with pytest.raises(CommandError, match=message):
        restart_app(RestartConfig(signal="HUP", pidfile="shop.pid"), tmp_path)


def test_a_pid_file_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot read") as caught:
        restart_app(RestartConfig(signal="HUP", pidfile="shop.pid"), tmp_path)
    assert "running" in caught.value.hint


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the start time of a process is read from /proc")
def test_a_pid_that_belongs_to_a_younger_process(tmp_path: Path, server: subprocess.Popen[str]) -> None:
    pidfile = tmp_path / "shop.pid"
    pidfile.write_text(str(server.pid))
    hour_ago = time.time() - 3600
    os.utime(pidfile, (hour_ago, hour_ago))
    with pytest.raises(CommandError, match="is stale"):
        restart_app(RestartConfig(signal="TERM", pidfile="shop.pid"), tmp_path)
    assert server.poll() is None


def test_the_configured_signal_is_the_one_sent(tmp_path: Path, server: subprocess.Popen[str]) -> None:
    (tmp_path / "shop.pid").write_text(f"{server.pid} extra words\n")
    restart_app(RestartConfig(signal="TERM", pidfile=str(tmp_path / "shop.pid")), Path("/"))
    assert server.wait(5) == -signal.SIGTERM
