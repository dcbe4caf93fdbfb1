"""Real gunicorn workers, one of which still runs the old version: the health check must not be fooled by the others."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from updater.errors import HealthCheckError
from updater.process import wait_until_healthy
from updater.schema.site_config import HealthConfig

pytestmark = pytest.mark.slow

APP = """
import json, os, pathlib
VERSION = json.loads(pathlib.Path(__file__).with_name("version.json").read_text())["version"]

def application(environ, start_response):
    body = json.dumps({"version": VERSION, "pid": os.getpid()}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
"""


class Gunicorn:
    """A master and its workers, each of which read the version when it started."""

    def __init__(self, home: Path, workers: int) -> None:
        self.home = home
        (home / "app.py").write_text(APP)
        self.release("1.0.0")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/health/"
        command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{self.port}", "--workers", str(workers)]
        with (home / "log").open("wb") as log:
            self.master = subprocess.Popen(
                [*command, "--worker-tmp-dir", str(home), "app:application"], cwd=home, stdout=log, stderr=log
            )
        self.wait_for(workers)

    def release(self, version: str) -> None:
        (self.home / "version.json").write_text(json.dumps({"version": version}))

    def seen(self, times: int = 40) -> dict[int, str]:
        found = {}
        for _ in range(times):
            with urllib.request.urlopen(self.url, timeout=5) as answer:
                said = json.load(answer)
                found[said["pid"]] = said["version"]
        return found

    def wait_for(self, workers: int) -> dict[int, str]:
        for _ in range(200):
            assert self.master.poll() is None, (self.home / "log").read_text()
            try:
                found = self.seen()
                if len(found) == workers:
                    return found
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError((self.home / "log").read_text())

    def restart(self, pid: int) -> None:
        """End one worker; the master starts another, which reads the version anew."""
        os.kill(pid, signal.SIGTERM)
        for _ in range(400):
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.02)
        raise AssertionError(f"worker {pid} does not end")

    def close(self) -> None:
        self.master.terminate()
        try:
            self.master.wait(10)
        except subprocess.TimeoutExpired:
            self.master.kill()
            self.master.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Gunicorn]:
    found = Gunicorn(tmp_path, 3)
    yield found
    found.close()


def config(server: Gunicorn, **more: object) -> HealthConfig:
    return HealthConfig(url=server.url, timeout=2.0, interval=0.02, worker_key="pid", **more)  # type: ignore[arg-type]


def test_one_old_worker_of_three(server: Gunicorn) -> None:
    old, *others = sorted(server.seen())
    server.release("1.1.0")
    for pid in others:
        server.restart(pid)
    mixed = server.wait_for(3)
    assert sorted(mixed.values()) == ["1.0.0", "1.1.0", "1.1.0"]
    assert mixed[old] == "1.0.0"
    with pytest.raises(HealthCheckError) as caught:
        wait_until_healthy(config(server, workers=3), "1.1.0", cwd=server.home)
    assert f"expected 1.1.0 (worker {old})" in str(caught.value) or "workers answered" in str(caught.value)
    server.restart(old)
    seen = []
    assert wait_until_healthy(config(server, workers=3), "1.1.0", cwd=server.home, on_probe=seen.append).ok
    last = seen[max([-1, *(at for at, result in enumerate(seen) if not result.ok)]) + 1 :]
    counts = {result.worker: sum(other.worker == result.worker for other in last) for result in last}
    assert len(counts) == 3
    assert min(counts.values()) >= 3


def test_a_master_that_was_restarted_with_more_workers_than_asked_for(server: Gunicorn) -> None:
    server.release("1.1.0")
    os.kill(server.master.pid, signal.SIGHUP)
    assert wait_until_healthy(config(server, workers=2), "1.1.0", cwd=server.home).ok
