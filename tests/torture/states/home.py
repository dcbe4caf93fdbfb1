"""A shop that one case may ruin: copied from a template, served by a real server, judged afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.postgres import Server
from tests.torture.states.cases import Kind
from tests.torture.traffic.methods import SERVE
from tests.torture.traffic.proxy import free_port
from tests.torture.traffic.published import Feed
from updater import Updater
from updater.site import read_history, read_status

__all__ = ["Home", "Picture", "Template"]

HERE = Path(__file__).parent
MADE = "staticfiles"
"""What `collectstatic` makes of the release's own files: no manifest lists it (docs/reliability.md, section 7)."""
OWN = {MADE, "shop.pid", "shop.log", "tmp", "updater.toml", "secret_key.txt", ".updater", "__pycache__"}
EDITED = "templates/base.html"


@dataclass(frozen=True)
class Picture:
    """A site as a whole: version, files (path to what lies there) and the database's tables."""

    version: str | None
    files: dict[str, str]
    tables: dict[str, list[str]]


class Home:
    """One site at ``folder/site``; ``database`` names the PostgreSQL database."""

    def __init__(self, kind: Kind, folder: Path, feed: Feed, server: Server | None, database: str) -> None:
        self.kind, self.folder, self.feed, self.server, self.database = kind, folder, feed, server, database
        self.path = folder / "site"
        self.port = free_port()

    # running things

    def environment(self, **more: str) -> dict[str, str]:
        found = {
            key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "SHOP_", "DATABASE_"))
        }
        found["PYTHONPATH"] = str(HERE.parents[2])
        if self.server is not None:
            found["DATABASE_URL"] = self.server.url(self.database)
        return found | more

    def run(self, *words: str, cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *words],
            cwd=cwd,
            env=self.environment(**more),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def updater(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "updater", *words, "--site", str(self.path))

    def drive(self, version: str, state: str, event: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(HERE / "driver.py"), str(self.path), version, state, event, str(self.folder)]
        with (self.folder / "driver.log").open("w") as log:
            return subprocess.Popen(
                command, env=self.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, text=True
            )

    def serve(self, verb: str) -> None:
        done = self.run(str(SERVE), verb, str(self.path), str(self.port), self.kind.server)
        assert done.returncode == 0, done.stdout + done.stderr

    # settings

    def configure(self, *, installing: bool = False) -> None:
        python = sys.executable
        database = (
            'kind = "sqlite"\npath = "db.sqlite3"\n'
            if self.server is None
            else 'kind = "postgresql"\nurl_env = "DATABASE_URL"\n'
        )
        text = (
            f'[feed]\nurl = "{self.feed.url}"\n[database]\n{database}'
            f'[commands]\nrunner = ["{python}", "manage.py"]\nallow = ["migrate", "collectstatic"]\n'
        )
        if not installing:
            words = [python, str(SERVE)]
            end = [str(self.path), str(self.port), self.kind.server]
            check = json.dumps([python, "-c", "import shop.wsgi, shop.asgi"])
            text += (
                f"[restart]\nstop = {json.dumps([*words, 'stop', *end])}\n"
                f"command = {json.dumps([*words, 'start', *end])}\n"
                f'[health]\ncheck = {check}\nurl = "http://127.0.0.1:{self.port}/health/"\n'
                "timeout = 20\ninterval = 0.05\n"
                '[maintenance]\nfile = "maintenance.json"\n'
            )
        (self.path / "updater.toml").write_text(text)

    # looking

    @property
    def tree(self) -> Path:
        current = self.path / "current"
        return Path(os.path.realpath(current)) if current.is_symlink() else self.path

    @property
    def data(self) -> Path:
        return self.path / "shared" if self.kind.layout == "slots" else self.path

    def picture(self) -> Picture:
        return Picture(Updater(self.path).site.state().version, self._files(), self._tables())

    def _files(self) -> dict[str, str]:
        found = {}
        for folder, folders, files in os.walk(self.path):
            folders[:] = [name for name in folders if name not in OWN]
            for name in (*folders, *files):
                path = Path(folder) / name
                if name in OWN or name.startswith("db.sqlite3"):
                    continue
                status = path.lstat()
                text = f"{stat.filemode(status.st_mode)} {status.st_uid} {status.st_gid} "
                if path.is_symlink():
                    text += os.readlink(path)
                elif path.is_file():
                    text += hashlib.sha256(path.read_bytes()).hexdigest()
                found[path.relative_to(self.path).as_posix()] = text
        return found

    def _tables(self) -> dict[str, list[str]]:
        """Every table's columns and rows as text, but for what depends on the moment."""
        if self.server is None:
            with closing(sqlite3.connect(self.data / "db.sqlite3")) as connection:
                names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
                found = {name: connection.execute(f'SELECT * FROM "{name}"') for name in names}
                return {
                    name: _rows([str(c[0]) for c in rows.description], rows.fetchall()) for name, rows in found.items()
                }
        import psycopg

        with psycopg.connect(self.server.url(self.database)) as live:
            query = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
            names = [row[0] for row in live.execute(query).fetchall()]
            tables = {}
            for name in names:
                cursor = live.execute(f'SELECT * FROM "{name}"'.encode())
                tables[name] = _rows([column.name for column in cursor.description or ()], cursor.fetchall())
            return tables

    def answers(self) -> str:
        """The version that the app answers with when it is well; the shop's answer says that its database fits."""
        deadline = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/", timeout=10) as answer:
                    return str(json.load(answer)["version"])
            except (OSError, ValueError) as error:
                if time.monotonic() > deadline:
                    return f"no answer: {error}"
                time.sleep(0.1)

    def leftovers(self) -> list[str]:
        state = self.path / ".updater"
        wrong = [path for name in ("staging", "bin") if (state / name).is_dir() for path in (state / name).iterdir()]
        wrong += [path for path in state.rglob("*") if path.name.endswith((".tmp", ".part"))]
        wrong += [state / "ballast"] if (state / "ballast").exists() else []
        wrong += [path for path in self.path.iterdir() if path.name.startswith(".updater-")]
        wrong += [self.path / "maintenance.json"] if (self.path / "maintenance.json").exists() else []
        return [str(path.relative_to(self.path)) for path in wrong]

    def last_update(self) -> dict[str, Any]:
        entries = [e for e in read_history(self.path / ".updater/history.jsonl") if e["event"] == "update"]
        return dict(entries[-1]) if entries else {}

    def status(self) -> str:
        return str(read_status(self.path / ".updater/status.json").get("state"))


def _rows(columns: list[str], rows: list[Any]) -> list[str]:
    skipped = {"applied", "last_login", "date_joined"}
    kept = [index for index, name in enumerate(columns) if name not in skipped]
    return [",".join(columns), *sorted(repr([row[index] for index in kept]) for row in rows)]


class Template:
    """1.0.0, stocked, with an upload and an edited file; and pictures of the old site and of the new one."""

    def __init__(self, kind: Kind, folder: Path, feed: Feed, server: Server | None) -> None:
        self.kind, self.folder, self.feed, self.server = kind, folder, feed, server
        self._copies = 0
        home = Home(kind, folder / "template", feed, server, "template_shop")
        home.path.mkdir(parents=True)
        self._create_database("template_shop", None)
        home.configure(installing=True)
        root = hashlib.sha256(feed.root).hexdigest()
        words = ("install", feed.url, str(home.path), "--version", "1.0.0", "--root-sha256", root, "--yes")
        done = home.run("-m", "updater", *words, "--layout", kind.layout)
        assert done.returncode == 0, done.stderr
        done = home.run("manage.py", "seed_demo", cwd=home.tree)
        assert done.returncode == 0, done.stderr
        upload = home.data / "media/uploads/photo.jpg"
        upload.parent.mkdir(parents=True, exist_ok=True)
        upload.write_bytes(b"\xff\xd8 an upload")
        edited = home.tree / EDITED
        edited.write_text(edited.read_text() + "<!-- the owner was here -->\n")
        self.old = home.picture()
        new = self.copy(folder)
        new.configure()
        new.serve("start")
        done = new.updater("update", "--yes", "--to", "1.1.0")
        assert done.returncode == 0, done.stderr
        self.new = new.picture()
        self.end(new)

    def copy(self, folder: Path) -> Home:
        self._copies += 1
        name = f"shop_{self._copies}"
        self._create_database(name, "template_shop")
        home = Home(self.kind, folder / name, self.feed, self.server, name)
        home.folder.mkdir()
        subprocess.run(["cp", "-a", str(self.folder / "template/site"), str(home.path)], check=True)
        return home

    def end(self, home: Home) -> None:
        home.serve("stop")
        shutil.rmtree(home.folder)
        if self.server is not None:
            self.server.sql("postgres", f"DROP DATABASE {home.database} WITH (FORCE)", user="postgres")

    def _create_database(self, name: str, template: str | None) -> None:
        if self.server is not None:
            like = f" TEMPLATE {template}" if template else ""
            self.server.sql("postgres", f"CREATE DATABASE {name} OWNER app{like}", user="postgres")
