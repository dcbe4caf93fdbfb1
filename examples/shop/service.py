"""Starts and stops the shop in the background: a stand-in for systemd on a laptop.

    service.py start|stop|status SITE PORT

The process id is kept in SITE/shop.pid, what the shop prints in SITE/shop.log.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

START_SECONDS = 30.0
STOP_SECONDS = 10.0


def running_pid(site: Path) -> int | None:
    """The process id of the running shop, or None."""
    try:
        pid = int((site / "shop.pid").read_text())
        command = Path(f"/proc/{pid}/cmdline")
        if command.exists() and b"manage.py" not in command.read_bytes():
            return None  # the number belongs to another process by now
        os.kill(pid, 0)
    except (OSError, ValueError):
        return None
    return pid


def start(site: Path, port: int) -> None:
    """Start the shop and return when it answers, however it answers: judging that is the updater's health check."""
    stop(site)
    tree = Path(os.path.realpath(site / "current")) if (site / "current").exists() else site
    with (site / "shop.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"],
            cwd=tree,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (site / "shop.pid").write_text(f"{process.pid}\n")
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health/", timeout=2).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"The shop did not start; see {site / 'shop.log'}")


def stop(site: Path) -> None:
    """Stop the shop, if it runs."""
    pid = running_pid(site)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while running_pid(site) is not None:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
    (site / "shop.pid").unlink(missing_ok=True)


def main() -> None:
    if len(sys.argv) < 3 or sys.argv[1] not in ("start", "stop", "status"):
        sys.exit(__doc__)
    site = Path(sys.argv[2]).absolute()
    if sys.argv[1] == "start":
        if len(sys.argv) != 4:
            sys.exit(__doc__)
        start(site, int(sys.argv[3]))
    elif sys.argv[1] == "stop":
        stop(site)
    else:
        pid = running_pid(site)
        print(f"The shop runs as process {pid}." if pid else "The shop does not run.")


if __name__ == "__main__":
    main()
