"""The nginx files of examples/maintenance, in a real nginx, in front of a real Django app under gunicorn."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.sites import run_program
from tests.engine.world import V1, World
from tests.support.require import require
from updater.process import HealthResult, probe
from updater.schema.site_config import HealthConfig
from updater.site.maintenance import MaintenanceFlag

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples" / "maintenance"
FILES = ("nginx.conf", "nginx-with-middleware.conf")

WSGI = """
import os
import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path
from updater.contrib.maintenance import MaintenanceWSGI

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="x", USE_TZ=True)
urlpatterns = [path("health/", lambda request: JsonResponse({"version": "1.0.0"}))]
application = get_wsgi_application()
if os.environ["FLAG"]:
    application = MaintenanceWSGI(application, os.environ["FLAG"])
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Front:
    """nginx before gunicorn before Django; ``name`` is the example that is tested."""

    def __init__(self, home: Path, name: str) -> None:
        self.home = home
        self.world = World(home / "site").create('[maintenance]\nfile = "maintenance.json"\n')
        self.world.update("1.0.0", V1)
        self.path = self.world.path / "maintenance.json"
        self.flag = MaintenanceFlag.of(self.world.path, self.world.site.config().maintenance)
        self.wrapped = "middleware" in name
        self.port, self.app_port = free_port(), free_port()
        (home / "pages").mkdir()
        shutil.copy(EXAMPLES / "maintenance.html", home / "pages")
        text = (EXAMPLES / name).read_text()
        for old, new in (
            ("/srv/shop-pages", str(home / "pages")),
            ("/srv/shop/", f"{self.world.path}/"),
            ("127.0.0.1:8000", f"127.0.0.1:{self.app_port}"),
            ("listen 80;", f"listen 127.0.0.1:{self.port};"),
        ):
            assert old in text
            text = text.replace(old, new)
        user = "user root;\n" if os.geteuid() == 0 else ""  # its pages lie in a folder of this user alone
        places = "".join(
            f"{kind}_temp_path {home}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (home / "nginx.conf").write_text(
            f"{user}daemon off;\nworker_processes 1;\npid {home}/pid;\nerror_log {home}/error.log;\n"
            f"events {{}}\nhttp {{\naccess_log off;\n{places}{text}}}\n"
        )
        self.nginx: subprocess.Popen[bytes] | None = None
        self.app: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = require("nginx", "nginx-light")
        self.nginx = subprocess.Popen(
            [program, "-p", str(self.home), "-c", str(self.home / "nginx.conf"), "-e", str(self.home / "error.log")]
        )
        self.start_app()

    def start_app(self) -> None:
        (self.home / "wsgi.py").write_text(WSGI)
        command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{self.app_port}", "wsgi:application"]
        root = str(Path(__file__).parents[2])
        environ = {**os.environ, "FLAG": str(self.path) if self.wrapped else "", "PYTHONPATH": root}
        with (self.home / "app.log").open("ab") as log:
            self.app = subprocess.Popen(command, cwd=self.home, env=environ, stdout=log, stderr=log)
        for port in (self.app_port, self.port):
            self.wait_for(port)

    def wait_for(self, port: int) -> None:
        for _ in range(400):
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1):
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError((self.home / "app.log").read_text() + (self.home / "error.log").read_text())

    def stop_app(self) -> None:
        if self.app is not None:
            self.app.terminate()
            self.app.wait(20)
            self.app = None

    def close(self) -> None:
        self.stop_app()
        if self.nginx is not None:
            self.nginx.terminate()
            self.nginx.wait(20)

    def ask(self, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        url = f"http://127.0.0.1:{self.port}/health/"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(url, method=method, headers=named, data=b"x" if method == "POST" else None)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers), error.read()

    def probe(self, token: str) -> HealthResult:
        return probe(HealthConfig(url=f"http://127.0.0.1:{self.port}/health/"), "1.0.0", cwd=self.home, token=token)


@pytest.fixture(params=FILES)
def front(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Front]:
    found = Front(tmp_path, request.param)
    try:
        found.start()
        yield found
    finally:
        found.close()


def is_the_page(answer: tuple[int, dict[str, str], bytes]) -> bool:
    status, headers, _ = answer
    marks = {"Retry-After": "60", "Cache-Control": "no-store", "X-Tagship-Maintenance": "1"}
    return status == 503 and {name: headers.get(name) for name in marks} == marks


def test_a_whole_life(front: Front) -> None:
    now = datetime.now(UTC)
    # normal
    assert json.loads(front.ask()[2]) == {"version": "1.0.0"}
    # maintenance
    token = front.flag.raise_flag(now)
    for method in ("GET", "POST", "HEAD"):
        assert is_the_page(front.ask(method)), method
    # the probe passes, and is told what it met without its token
    assert front.probe(token) == HealthResult(True, "answered version 1.0.0")
    assert front.probe("") == HealthResult(False, "the maintenance page answered instead of the app")
    wrong = front.probe("0" * 64)
    assert wrong.ok is not front.wrapped  # nginx alone cannot check the token; it lets only this machine try
    # the app stops: nginx answers, and says the same
    front.stop_app()
    assert is_the_page(front.ask())
    assert not front.probe(token).ok
    # an accident without an update is no maintenance
    front.flag.lower()
    status, headers, _ = front.ask()
    assert (status, headers.get("X-Tagship-Maintenance")) == (502, None)
    # removed
    front.start_app()
    assert front.ask()[0] == 200


def test_an_expired_flag(front: Front) -> None:
    """The app's own middleware reads the time; before nginx alone, recovery (at boot, by a timer) removes the flag."""
    front.flag.raise_flag(datetime.now(UTC) - timedelta(hours=1))
    assert is_the_page(front.ask()) is not front.wrapped
    done = run_program("recover", "--site", front.world.path)
    assert done.code == 0, done.err
    assert not front.path.exists()
    assert front.ask()[0] == 200


def test_the_probe_s_header_from_elsewhere(tmp_path: Path) -> None:
    """Whoever is not on this machine gets the page, whatever is sent. (The middleware checks the token itself.)"""
    front = Front(tmp_path, "nginx.conf")
    config = tmp_path / "nginx.conf"
    config.write_text(config.read_text().replace("127.0.0.0/8 1;", "127.9.9.9/32 1;"))
    try:
        front.start()
        front.flag.raise_flag(datetime.now(UTC))
        assert is_the_page(front.ask(X_Tagship_Probe="0" * 64))
    finally:
        front.close()
