"""The same pages under other servers: uvicorn, which is restarted by the update, and Apache with mod_wsgi, whose user
may write nothing of the site. The way through gunicorn and nginx is in `test_browser.py`."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.contrib.django.site import ROOT, TestSite
from tests.contrib.django.web import free_port
from tests.support.require import give_up, require

pytestmark = pytest.mark.slow

DASHBOARD = "/admin/updates/availableupdate/"
PASSWORD = "a password that only this test has"
_SERVICE = """
import os, signal, subprocess, sys, time
from pathlib import Path
pidfile, words = Path(sys.argv[1]), sys.argv[2:]
try:
    pid = int(pidfile.read_text())
    os.kill(pid, signal.SIGTERM)
    for _ in range(200):
        os.kill(pid, 0)
        time.sleep(0.05)
except (OSError, ValueError):
    pass
if words:
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    pidfile.write_text(str(subprocess.Popen(words, start_new_session=True, **quiet).pid))
"""
_APACHE = """
ServerName localhost
ServerRoot {folder}
PidFile {folder}/apache.pid
ErrorLog {folder}/apache.log
Listen 127.0.0.1:{port}
{user}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule wsgi_module {modules}/mod_wsgi.so
WSGISocketPrefix {folder}/wsgi
WSGIDaemonProcess shop processes=1 threads=4 python-path={paths}
WSGIProcessGroup shop
WSGIApplicationGroup %{{GLOBAL}}
WSGIScriptAlias / {folder}/app.wsgi
<Directory {folder}>
    Require all granted
</Directory>
"""


class Visitor:
    """Somebody with a browser that runs no scripts."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self.post("/admin/login/?next=/own/", username="ada", password=PASSWORD)

    def get(self, path: str) -> str:
        answer = self._session.get(self._url + path, timeout=30)
        answer.raise_for_status()
        return answer.text

    def post(self, path: str, **data: str) -> str:
        """What the page after it says."""
        if "csrftoken" not in self._session.cookies:
            self.get("/admin/login/")
        data["csrfmiddlewaretoken"] = self._session.cookies["csrftoken"]
        answer = self._session.post(self._url + path, data, timeout=30, headers={"Referer": self._url})
        answer.raise_for_status()
        return answer.text

    def follow(self, page: str) -> dict[str, str]:
        """The end of the run that a page shows, whatever the server does meanwhile."""
        token = re.search(r'data-tagship-progress="([^"]+)"', page)
        assert token is not None, page
        deadline, found = time.monotonic() + 90, {}
        while time.monotonic() < deadline:
            try:
                found = requests.get(self._url + token[1], timeout=10).json()
                if found["state"] not in ("requested", "running"):
                    break
            except (requests.RequestException, ValueError):
                pass
            time.sleep(0.2)
        return found


def prepare(environ: dict[str, str]) -> None:
    """Tables, somebody who may do everything, and a check that found 1.1.0."""
    for words in (["migrate", "-v0"], ["createsuperuser", "--noinput"], ["check_updates", "--force"]):
        done = subprocess.run(
            [sys.executable, "-m", "django", *words], env=environ, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


def environment(site: TestSite, database: Path) -> dict[str, str]:
    """For Django, and for whoever makes the first user."""
    return os.environ | {
        "TEST_SITE": str(site.path),
        "TEST_DATABASE": str(database),
        "DJANGO_SETTINGS_MODULE": "tests.contrib.django.project.settings",
        "DJANGO_SUPERUSER_USERNAME": "ada",
        "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        "DJANGO_SUPERUSER_EMAIL": "ada@example.org",
        "PYTHONPATH": str(ROOT),
    }


def wait_for(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            requests.get(url, timeout=10)
            return
        except requests.RequestException:
            assert time.monotonic() < deadline, f"{url} does not answer"
            time.sleep(0.1)


def test_uvicorn_is_restarted_by_the_update_that_it_was_asked_for(site: TestSite, tmp_path: Path) -> None:
    port = free_port()
    pidfile, service = tmp_path / "uvicorn.pid", tmp_path / "service.py"
    service.write_text(_SERVICE)
    start = [sys.executable, str(service), str(pidfile), sys.executable, "-m", "uvicorn"]
    start += ["tests.contrib.django.project.asgi:application", "--host", "127.0.0.1", "--port", str(port)]
    site.config(f"[restart]\ncommand = {start!r}\n".replace("'", '"'))
    environ = environment(site, tmp_path / "db.sqlite3")
    prepare(environ)
    try:
        subprocess.run(start, env=environ, check=True)
        wait_for(f"http://127.0.0.1:{port}/own/")
        first = pidfile.read_text()
        visitor = Visitor(f"http://127.0.0.1:{port}")
        assert "1.1.0 is available" in visitor.get(DASHBOARD)
        ended = visitor.follow(visitor.post(f"{DASHBOARD}install/", version="1.1.0"))
        assert ended["state"] == "done", ended
        assert site.version == "1.1.0"
        assert pidfile.read_text() != first, "uvicorn was not restarted"
        wait_for(f"http://127.0.0.1:{port}/own/")
        assert "shop 1.1.0" in visitor.get(DASHBOARD)
    finally:
        subprocess.run([sys.executable, str(service), str(pidfile)], check=True)


@contextmanager
def apache(folder: Path, environ: dict[str, str], user: str | None) -> Iterator[str]:
    """Apache with mod_wsgi, whose processes are ``user``'s where that can be. Its address."""
    program = require("apache2", "apache2")
    modules = Path("/usr/lib/apache2/modules")
    if not (modules / "mod_wsgi.so").exists():
        give_up("REQUIRED PROGRAM MISSING: mod_wsgi (install the package 'libapache2-mod-wsgi-py3')")
    packages = Path(requests.__file__).parents[1]
    names = [name for name in environ if name.startswith(("TEST_", "DJANGO_SETTINGS"))]
    given = "".join(f"os.environ[{name!r}] = {environ[name]!r}\n" for name in names)
    (folder / "app.wsgi").write_text(
        f"import os\n{given}from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
    )
    port = free_port()
    users = f"User {user}\nGroup {user}" if user else ""
    config = _APACHE.format(folder=folder, port=port, user=users, modules=modules, paths=f"{ROOT}:{packages}")
    (folder / "apache.conf").write_text(config)
    server = subprocess.Popen([program, "-f", str(folder / "apache.conf"), "-D", "FOREGROUND"])
    try:
        wait_for(f"http://127.0.0.1:{port}/own/")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user may enter; those of pytest are closed."""
    folder = Path(tempfile.mkdtemp(prefix="tagship-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_web_user_that_may_only_ask(site: TestSite, open_folder: Path) -> None:
    """mod_wsgi under another user (when root tests): it files the request; the site's owner carries it out."""
    user = "www-data" if os.geteuid() == 0 else None
    data, runs = open_folder / "data", open_folder / "runs"
    data.mkdir()
    shutil.copytree(site.path, open_folder / "site", symlinks=True)  # the web user must get there
    moved = TestSite(open_folder / "site", site.publisher, site.server)
    environ = environment(moved, data / "db.sqlite3") | {"TEST_RUN_FOLDER": str(runs)}
    for path, mode in ((runs, 0o2750), (runs / "requests", 0o2770), (runs / "runs", 0o2750)):
        path.mkdir(mode=0o750)
        if user:
            shutil.chown(path, group=user)
        path.chmod(mode)
    prepare(environ)
    if user:
        for path in (data, data / "db.sqlite3"):
            shutil.chown(path, user, user)
    supervisor = [sys.executable, "-m", "updater.contrib.django.runs"]
    supervisor += ["--site", str(moved.path), "--folder", str(runs)]
    with apache(open_folder, environ, user) as url:
        visitor = Visitor(url)
        assert "1.1.0 is available" in visitor.get(DASHBOARD)
        page = visitor.post(f"{DASHBOARD}install/", version="1.1.0")
        (asked,) = (runs / "requests").glob("request*")
        if user:
            assert asked.stat().st_uid == pwd.getpwnam(user).pw_uid
        assert moved.version == "1.0.0"
        subprocess.run(supervisor, env=environ, check=True)  # what the path unit starts
        ended = visitor.follow(page)
        assert ended["state"] == "done", ended
        assert moved.version == "1.1.0"
        assert "shop 1.1.0" in visitor.get(DASHBOARD)
