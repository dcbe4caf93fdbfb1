"""The example shop as a site with visitors: gunicorn behind nginx, with a content security policy."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.require import require
from tests.support.server import LoopbackServer
from tests.support.shop_site import publish_shop
from tests.support.site_publisher import SitePublisher
from updater import Updater, set_up_site
from updater.schema.feed import Release

__all__ = ["PASSWORD", "WebShop", "free_port", "web_shop"]

PASSWORD = "a password that only this test has"
_NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        add_header Content-Security-Policy "default-src 'self'" always;
        location / {{ proxy_pass http://127.0.0.1:{app}; proxy_set_header Host $http_host; }}
    }}
}}
"""
_SERVICE = """\
import os, signal, subprocess, sys, time
from pathlib import Path
site, port = Path(sys.argv[2]), sys.argv[3]
pidfile = site / "gunicorn.pid"
os.environ |= {"SHOP_UPDATES": "1", "SHOP_SECRET_KEY": "only for tests"}

def stop():
    try:
        pid = int(pidfile.read_text())
        os.kill(pid, signal.SIGTERM)
        for _ in range(200):
            os.kill(pid, 0)
            time.sleep(0.05)
    except (OSError, ValueError):
        pass
    pidfile.unlink(missing_ok=True)

stop()
if sys.argv[1] == "start":
    words = ["-m", "gunicorn", "--daemon", "--pid", str(pidfile), "--bind", f"127.0.0.1:{port}", "--workers", "2"]
    words += ["--log-file", str(site / "gunicorn.log"), "--chdir", str(site), "shop.wsgi:application"]
    subprocess.run([sys.executable, *words], check=True)
"""


@dataclass
class WebShop:
    """``url`` is nginx's; ``app`` the address of gunicorn behind it."""

    path: Path
    url: str
    app: str
    publisher: SitePublisher
    server: LoopbackServer
    broken: Release

    @property
    def updater(self) -> Updater:
        return Updater(self.path)

    def version(self) -> str:
        """What answers visitors."""
        with urllib.request.urlopen(f"{self.url}/health/", timeout=10) as answer:
            return str(json.load(answer)["version"])

    def publish_broken(self) -> None:
        """1.2.0, which cannot serve."""
        self.publisher.set_releases([self.broken, *self.publisher.feeds["stable"].releases])

    def manage(self, *words: str, **environ: str) -> None:
        """A command of the shop's."""
        subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=self.path,
            env=_environment() | environ,
            check=True,
            capture_output=True,
        )


@contextmanager
def web_shop(folder: Path) -> Iterator[WebShop]:
    """1.0.0 runs, 1.1.0 is published and has not been asked for yet."""
    nginx = require("nginx", "nginx-light")
    publisher = publish_shop()
    releases = list(publisher.feeds["stable"].releases)
    publisher.set_releases([release for release in releases if release.version != "1.2.0"])
    path, port, app = folder / "site", free_port(), free_port()
    path.mkdir()
    service = folder / "service.py"
    service.write_text(_SERVICE)
    with publisher.serving() as server:
        feed = f"{server.url}stable.json"
        (path / "updater.toml").write_text(_settings(feed, path, service, app), encoding="utf-8")
        set_up_site(feed, path, root=publisher.root, version="1.0.0", environ=_environment())
        shop = WebShop(path, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{app}", publisher, server, releases[0])
        shop.manage("collectstatic", "--noinput", "-v0")
        shop.manage("seed_demo", SHOP_ADMIN_USER="ada", SHOP_ADMIN_PASSWORD=PASSWORD)
        (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port, app=app))
        front = subprocess.Popen([nginx, "-e", str(folder / "nginx.log"), "-c", str(folder / "nginx.conf")])
        try:
            yield shop
        finally:
            front.terminate()
            front.wait()
            subprocess.run([sys.executable, str(service), "stop", str(path), str(app)], check=False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environment() -> dict[str, str]:
    return os.environ | {"SHOP_UPDATES": "1", "SHOP_SECRET_KEY": "only for tests", "PYTHONDONTWRITEBYTECODE": "1"}


def _settings(feed: str, path: Path, service: Path, app: int) -> str:
    words = [sys.executable, str(service)]
    rest = [str(path), str(app)]
    return f"""
[feed]
url = "{feed}"
[database]
kind = "sqlite"
path = "db.sqlite3"
[commands]
runner = ["{sys.executable}", "manage.py"]
allow = ["migrate"]
env = {{SHOP_UPDATES = "1", SHOP_SECRET_KEY = "only for tests"}}
[restart]
stop = {json.dumps([*words, "stop", *rest])}
command = {json.dumps([*words, "start", *rest])}
[health]
url = "http://127.0.0.1:{app}/health/"
timeout = 20
interval = 0.2
"""
