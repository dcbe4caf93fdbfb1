"""A site that is not ours: Wagtail 7.0 with all it needs, published by feedgen; `check_updates` takes it to 8.0."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.postgres import running_server
from tests.support.server import LoopbackServer

pytestmark = [pytest.mark.exhaustive, pytest.mark.network]  # Wagtail takes minutes to publish and to migrate

RELEASES = ("7.0.10", "8.0.1")
TOOLS = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parents[3]
_SETTINGS = """

# what a maintainer adds for updates
INSTALLED_APPS += ["updater.contrib.django"]
SECRET_KEY = "only for tests"
if "TEST_PG_PORT" in os.environ:
    DATABASES["default"] = {
        "ENGINE": "django.db.backends.postgresql", "NAME": "wagtail", "USER": "app", "HOST": "127.0.0.1",
        "PORT": os.environ["TEST_PG_PORT"], "PASSWORD": os.environ["TEST_PG_PASSWORD"],
    }
"""
_VENDOR = """\
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "vendor"))
"""
_LOOK = """
import json, django, wagtail
from django.test import Client
from django.contrib.auth import get_user_model
from updater.contrib.django.models import UpdateLog
root, _ = get_user_model().objects.get_or_create(username="ada", is_staff=True, is_superuser=True)
client = Client(HTTP_HOST="localhost"); client.force_login(root)
pages = [client.get(path).status_code for path in ("/", "/admin/", "/django-admin/updates/availableupdate/")]
print(json.dumps({
    "wagtail": wagtail.__version__, "pages": pages, "users": get_user_model().objects.count(),
    "logs": [[log.event, log.from_version, log.to_version, log.result, log.actor]
             for log in UpdateLog.objects.order_by("at", "pk")],
}))
"""


def run(*words: str | Path, cwd: Path, **environ: str) -> str:
    environment = os.environ | {"PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)} | environ
    done = subprocess.run([*map(str, words)], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackServer]:
    """A repository with two tags, and what feedgen made of them."""
    folder = tmp_path_factory.mktemp("wagtail")
    repository = folder / "repository"
    repository.mkdir()
    run("git", "init", "--quiet", "--initial-branch=main", cwd=repository)
    _vendor(repository, RELEASES[0])
    start = "import sys; sys.path.insert(0, 'vendor'); from wagtail.bin.wagtail import main; main()"
    run(sys.executable, "-c", start, "start", "demo", ".", cwd=repository)
    manage = repository / "manage.py"
    manage.write_text(manage.read_text().replace("import os\nimport sys\n", _VENDOR, 1))
    assert "vendor" in manage.read_text()
    with (repository / "demo" / "settings" / "base.py").open("a") as file:
        file.write(_SETTINGS)
    (repository / ".gitignore").write_text("__pycache__/\n.feedgen/\n")
    with LoopbackServer(repository / ".feedgen" / "site") as server:
        _set_up_feed(repository, folder / "keys", server.url)
        _publish(repository, folder / "keys")
        yield server


def _publish(repository: Path, keys: Path) -> None:
    git = ("git", "-c", "user.name=A", "-c", "user.email=a@example.org")
    for version in RELEASES:
        _vendor(repository, version)
        run("git", "add", "--all", cwd=repository)
        run("git", "add", "--all", "--force", "vendor", cwd=repository)
        run(*git, "commit", "--quiet", "-m", version, cwd=repository)
        run("git", "tag", f"v{version}", cwd=repository)
        words = ("feedgen", "publish", f"v{version}", "--keys", keys)
        run(*words, cwd=repository, FEEDGEN_PASSPHRASE="only for this test")


def _vendor(repository: Path, version: str) -> None:
    """Wagtail and all that it needs, as files of the app."""
    shutil.rmtree(repository / "vendor", ignore_errors=True)
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check")
    run(*pip, "--target", repository / "vendor", f"wagtail=={version}", cwd=repository)
    for catalog in [*(repository / "vendor").rglob("*.po"), *(repository / "vendor").rglob("*.mo")]:
        if catalog.parts[-3] != "en":
            catalog.unlink()  # thousands of files that no page of this test shows


def _set_up_feed(repository: Path, keys: Path, url: str) -> None:
    words = ("--app", "demo", "--base-url", url, "--solo", "--keys", keys)
    run("feedgen", "init", *words, cwd=repository, FEEDGEN_PASSPHRASE="only for this test")
    config = repository / "feedgen.toml"
    text = re.sub(
        r"(?m)^#* *post_update_commands.*", 'post_update_commands = ["migrate --noinput"]', config.read_text()
    )
    text = re.sub(r"(?m)^#* *preserve.*", 'preserve = ["/db.sqlite3", "/media/"]', text)
    config.write_text(text + "\n[deltas]\nfrom_last = 0\n")


def settings(feed: str, database: str) -> str:
    manage = f'"{sys.executable}", "manage.py"'
    return f"""
[feed]
url = "{feed}"
[database]
{database}
[commands]
runner = [{manage}]
allow = ["migrate"]
[health]
check = [{manage}, "check"]
command = [{manage}, "migrate", "--check"]
"""


def story(server: LoopbackServer, path: Path, database: str, **environ: str) -> None:
    """Install 7.0, let it update itself to 8.0 with its migrations, and look at it."""
    feed = f"{server.url}stable.json"
    path.mkdir()
    (path / "updater.toml").write_text(settings(feed, database), encoding="utf-8")
    run("updater", "install", feed, path, "--version", RELEASES[0], "--yes", cwd=path, **environ)
    before = json.loads(run(sys.executable, "manage.py", "shell", "-c", _LOOK, cwd=path, **environ).splitlines()[-1])
    assert (before["wagtail"], before["pages"]) == (RELEASES[0], [200, 200, 200])
    allow = (
        "from updater.contrib.django.models import UpdateSettings as S; r = S.load(); r.auto_install = True; r.save()"
    )
    run(sys.executable, "manage.py", "shell", "-c", allow, cwd=path, **environ)
    said = run(sys.executable, "manage.py", "check_updates", "--auto-install", cwd=path, **environ)
    assert "8.0.1 is available" in said
    after = json.loads(run(sys.executable, "manage.py", "shell", "-c", _LOOK, cwd=path, **environ).splitlines()[-1])
    assert (after["wagtail"], after["pages"], after["users"]) == (RELEASES[1], [200, 200, 200], before["users"])
    assert after["logs"][-1] == ["update", *RELEASES, "done", "check_updates"]
    run(sys.executable, "manage.py", "migrate", "--check", cwd=path, **environ)
    run(sys.executable, "manage.py", "update_rollback", "--yes", cwd=path, **environ)
    back = json.loads(run(sys.executable, "manage.py", "shell", "-c", _LOOK, cwd=path, **environ).splitlines()[-1])
    assert (back["wagtail"], back["pages"]) == (RELEASES[0], [200, 200, 200])


def test_on_sqlite(published: LoopbackServer, tmp_path: Path) -> None:
    story(published, tmp_path / "site", 'kind = "sqlite"\npath = "db.sqlite3"')


def test_on_postgresql(published: LoopbackServer, tmp_path: Path) -> None:
    with running_server() as server:
        server.sql("postgres", "CREATE DATABASE wagtail OWNER app", user="postgres")
        environ = {
            "TEST_PG_PORT": str(server.port),
            "TEST_PG_PASSWORD": server.password,
            "DATABASE_URL": server.url("wagtail"),
        }
        story(published, tmp_path / "site", 'kind = "postgresql"\nurl_env = "DATABASE_URL"', **environ)
