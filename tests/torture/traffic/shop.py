"""One shop on one machine: installed, stocked, served behind nginx, visited, updated."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.torture.traffic.ledger import Ledger, Window
from tests.torture.traffic.methods import SERVE, Method, settings
from tests.torture.traffic.proxy import free_port, nginx
from tests.torture.traffic.published import Feed
from updater import set_up_site
from updater.site import Layout, Site

__all__ = ["Shop", "Updated", "open_shop"]

HERE = Path(__file__).parent
STOCK = 1_000_000


@dataclass(frozen=True)
class Updated:
    """One update under traffic. ``result``: "done", or the error's name and message."""

    result: str
    window: Window
    ledger: Ledger
    messages: tuple[str, ...]


class Shop:
    """A running shop. ``port`` is the app server's, ``front`` nginx's."""

    def __init__(self, site: Site, layout: Layout, method: Method, port: int, front: int) -> None:
        self.site, self.layout, self.method = site, layout, method
        self.port, self.front = port, front
        self._runs = 0

    @property
    def home(self) -> Path:
        """Where the site's own data lies."""
        return self.site.shared if self.layout == "slots" else self.site.path

    def version(self) -> str:
        """What the app says it is, asked through nginx; "" when it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.front}/health/", timeout=30) as answer:
                return str(json.load(answer)["version"])
        except (OSError, ValueError):
            return ""

    def update(self, version: str, *, scale: float, before: float = 2.0, after: float = 3.0) -> Updated:
        """Update to ``version`` while visitors come, from ``before`` seconds earlier to ``after`` seconds later."""
        self._runs += 1
        work = self.site.path.parent
        out, stop = work / f"load-{self._runs}.jsonl", work / f"stop-{self._runs}"
        out.touch()
        url = f"http://127.0.0.1:{self.front}"
        load = subprocess.Popen([sys.executable, str(HERE / "load.py"), url, str(out), str(stop), "60", str(scale)])
        try:
            time.sleep(before)
            start = time.time()
            done = _python(str(HERE / "run_update.py"), str(self.site.path), version)
            end = time.time()
            time.sleep(after)
        finally:
            stop.touch()
            load.wait(60)
        lines = [json.loads(line) for line in done.splitlines() if line.startswith("{")]
        saved, started = (_moment(lines, words) or start for words in ("Backing up the database", "Starting the app"))
        window = Window(start, end, saved, started, _restored(lines))
        messages = tuple(line["message"] for line in lines if "message" in line)
        return Updated(lines[-1]["result"], window, Ledger.read(out), messages)


def _moment(lines: list[dict[str, object]], words: str) -> float | None:
    return next((float(str(line["time"])) for line in lines if str(line.get("message", "")).startswith(words)), None)


def _restored(lines: list[dict[str, object]]) -> float | None:
    """When the database was back: the next thing that was said."""
    begun = _moment(lines, "Restoring the database")
    return (
        None if begun is None else min(float(str(line["time"])) for line in lines if float(str(line["time"])) > begun)
    )


def _python(*words: str, cwd: Path | None = None) -> str:
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "SHOP_", "DATABASE_"))}
    environ["PYTHONPATH"] = str(HERE.parents[2])
    done = subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environ, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def open_shop(feed: Feed, home: Path, layout: Layout, method: Method, program: str) -> Iterator[Shop]:
    """Install 1.0.0, fill it, serve it with ``method``'s server behind ``program`` (nginx), and end all of it."""
    path = home / "site"
    path.mkdir(parents=True)
    port = free_port()
    (path / "updater.toml").write_text(settings(feed.url, None, path, port))
    site = set_up_site(feed.url, path, root=feed.root, version="1.0.0", layout=layout).site
    _python("manage.py", "seed_demo", cwd=site.tree(layout))
    data = site.shared if layout == "slots" else path
    with closing(sqlite3.connect(data / "db.sqlite3")) as database, database:
        database.execute("UPDATE catalog_product SET stock = ?", (STOCK,))
    (path / "updater.toml").write_text(settings(feed.url, method, path, port))
    serve = [str(SERVE), "start", str(path), str(port), method.server]
    flag = path / "maintenance.json" if method.page else None
    try:
        _python(*serve)
        with nginx(program, home / "nginx", upstream=port, media=data / "media", flag=flag) as front:
            yield Shop(site, layout, method, port, front)
    finally:
        _python(str(SERVE), "stop", *serve[2:])
