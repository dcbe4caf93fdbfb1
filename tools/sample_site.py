"""A real site to measure: a tiny app is tagged, published, served on loopback, and installed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Say nothing."""


@contextmanager
def sample_site(folder: Path) -> Iterator[Path]:
    """The folder of an installed site, whose feed is served until the end of the block."""
    app, published, site = folder / "app", folder / "published", folder / "site"
    app.mkdir()
    published.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(published))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}/"
        programs = Path(sys.executable).parent
        passphrase = {"FEEDGEN_PASSPHRASE": "only for measuring"}
        places = ("--site", str(published), "--keys", str(folder / "keys"))

        def run(*command: str) -> None:
            subprocess.run(command, cwd=app, check=True, capture_output=True, env={**os.environ, **passphrase})

        git = ("git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false")
        (app / "app.py").write_text("print('hello')\n", encoding="utf-8")
        run("git", "init", "-q")
        run(str(programs / "feedgen"), "init", "--app", "sample", "--base-url", base, "--solo", *places)
        run(*git, "add", "-A")
        run(*git, "commit", "-q", "-m", "One")
        run("git", "tag", "v1.0.0")
        run(str(programs / "feedgen"), "publish", "v1.0.0", *places)
        run(str(programs / "updater"), "install", f"{base}stable.json", str(site), "--yes")
        yield site
        server.shutdown()
