"""Starts and stops the shop under a real server: a stand-in for a service manager. A program of its own:

    serve.py start|stop SITE PORT gunicorn|gunicorn-reload|uvicorn

The main process's id is in SITE/shop.pid, what it prints in SITE/shop.log. With slots the server is started in
``current``, which it follows when it loads the app again.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

WORKERS = "2"
START_SECONDS = 60.0
STOP_SECONDS = 20.0


def command(server: str, site: Path, port: int) -> list[str]:
    tree = site / "current" if (site / "current").exists() else site
    python = [sys.executable, "-m"]
    if server == "uvicorn":
        words = ["uvicorn", "shop.asgi:application", "--host", "127.0.0.1", "--port", str(port), "--workers", WORKERS]
        return [*python, *words, "--app-dir", str(tree), "--log-level", "warning"]
    words = ["gunicorn", "shop.wsgi", "--workers", WORKERS, "--threads", "4", "--bind", f"127.0.0.1:{port}"]
    words += ["--chdir", str(tree), "--graceful-timeout", "15", "--timeout", "60", "--no-control-socket"]
    if server == "gunicorn-reload":
        words += ["--reload", "--reload-engine", "poll", "--reload-extra-file", str(site / "tmp" / "restart.txt")]
    return [*python, *words]


def running(site: Path) -> int | None:
    """The process id of the server, or None. A full disk may have kept it from being written down."""
    try:
        pid = int((site / "shop.pid").read_text())
    except (OSError, ValueError):
        return next((int(path.name) for path in Path("/proc").glob("[0-9]*") if _leads(int(path.name), site)), None)
    return pid if _is_ours(pid) else None


def _is_ours(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return b"shop." in Path(f"/proc/{pid}/cmdline").read_bytes() and state != "Z"
    except OSError:
        return False


def _leads(pid: int, site: Path) -> bool:
    """Whether it is the first process of a server of that site."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        trees = {os.fsencode(site), os.fsencode(site / "current")}
        return os.getsid(pid) == pid and _is_ours(pid) and not trees.isdisjoint(words)
    except OSError:
        return False


def start(site: Path, port: int, server: str) -> None:
    stop(site)
    (site / "tmp").mkdir(exist_ok=True)
    (site / "tmp" / "restart.txt").touch()
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    with (site / "shop.log").open("ab") as log:
        process = subprocess.Popen(
            command(server, site, port),
            cwd="/",
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (site / "shop.pid").write_text(f"{process.pid}\n")
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"the server did not start; see {site / 'shop.log'}")


def stop(site: Path) -> None:
    """Let requests end, then stop; whatever is left of the session is killed."""
    pid = running(site)
    if pid is None:
        (site / "shop.pid").unlink(missing_ok=True)
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while running(site) is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    (site / "shop.pid").unlink(missing_ok=True)


def main() -> None:
    verb, site, port, server = sys.argv[1:]
    if verb == "start":
        start(Path(site), int(port), server)
    else:
        stop(Path(site))


if __name__ == "__main__":
    main()
