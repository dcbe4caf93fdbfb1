"""A release that fails after it was committed: the code goes back where that is safe, the database never."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.sites import package
from tests.support.site_publisher import SitePublisher
from updater import Updater, set_up_site
from updater.cli.exits import Exit, exit_code
from updater.errors import BlockedError, LockedError, ProbationError, RolledBackError
from updater.install.engine import Engine
from updater.install.outcome import Outcome
from updater.schema.feed import Migrations
from updater.site import read_history, read_status
from updater.site.failed_releases import read_failures

LAYOUTS = ["in-place", "slots"]
PRESERVE = ["/db.sqlite3"]


class Shop:
    """A site of 1.0.0 with a database; its health command is good ``good`` times and writes an order each time."""

    def __init__(self, folder: Path, layout: str) -> None:
        self.folder = folder
        self.publisher = SitePublisher()
        self.publisher.publish(package("1.0.0", preserve=PRESERVE))
        self.path = folder / "site"
        self.path.mkdir()
        self.configure(good=10**6)
        set_up_site(self.publisher.url, self.path, root=self.publisher.root, transport=self.publisher, layout=layout)
        self.database = (self.path / "shared" if layout == "slots" else self.path) / "db.sqlite3"
        with closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")

    def configure(self, good: int, more: str = "") -> None:
        asked, alerts = self.folder / "asked", self.folder / "alerts"
        asked.write_text("")
        script = (
            f"import pathlib, sqlite3\nasked = pathlib.Path({str(asked)!r})\n"
            "asked.write_text(asked.read_text() + 'x')\n"
            "with sqlite3.connect('db.sqlite3') as c:\n"
            "    if c.execute(\"SELECT 1 FROM sqlite_master WHERE name = 'orders'\").fetchone():\n"
            "        c.execute('INSERT INTO orders DEFAULT VALUES')\n"
            "old = '1.0.0' in pathlib.Path('version.json').read_text()\n"
            f"assert old or len(asked.read_text()) <= {good}, 'error 500'\n"
        )
        tell = f"import os; open({str(alerts)!r}, 'a').write(os.environ['UPDATER_EVENT'] + ' ')"
        (self.path / "updater.toml").write_text(
            f'[feed]\nurl = "{self.publisher.url}"\n[database]\nkind = "sqlite"\npath = "db.sqlite3"\n'
            f"[health]\ncommand = {json.dumps([sys.executable, '-c', script])}\nanswers = 1\ninterval = 0.01\n"
            f"{more}[alert]\ncommand = {json.dumps([sys.executable, '-c', tell])}\n"
        )

    def publish(self, migrations: Migrations | None = None) -> None:
        self.publisher.publish(
            package("1.1.0", preserve=PRESERVE, migrations=list(migrations.names) if migrations else []),
            migrations=migrations,
        )

    def update(self) -> Any:
        updater = Updater(self.path, transport=self.publisher)
        return updater.install(updater.plan())

    @property
    def version(self) -> str | None:
        return Updater(self.path).site.state().version

    @property
    def tree(self) -> Path:
        current = self.path / "current"
        return current if current.exists() else self.path

    def orders(self) -> int:
        with closing(sqlite3.connect(self.database)) as connection:
            return int(connection.execute("SELECT count(*) FROM orders").fetchone()[0])

    def last(self) -> dict[str, Any]:
        found = [entry for entry in read_history(self.path / ".updater/history.jsonl") if entry["event"] == "probation"]
        return dict(found[-1])

    def alerts(self) -> list[str]:
        path = self.folder / "alerts"
        return path.read_text().split() if path.exists() else []


@pytest.fixture(params=LAYOUTS)
def shop(request, tmp_path) -> Shop:
    return Shop(tmp_path, request.param)


def test_a_release_that_passes_stays(shop):
    shop.publish()
    shop.configure(good=1000, more="probation = 0.3\n")
    assert shop.update().to_version == "1.1.0"
    assert shop.version == "1.1.0"
    assert shop.last()["result"] == "passed"
    assert shop.orders() > 1
    assert not (shop.path / ".updater/probation.json").exists()
    assert shop.alerts() == []


@pytest.mark.parametrize("migrations", [None, Migrations(("shop.0002_x",), True, False, backward_compatible=True)])
def test_where_it_is_safe_the_code_goes_back_and_no_order_is_lost(shop, migrations):
    shop.publish(migrations)
    shop.configure(good=1, more="probation = 5\n")
    with pytest.raises(RolledBackError, match=r"failed in its probation.*error 500.*code of 1\.0\.0 is back") as caught:
        shop.update()
    assert exit_code(caught.value) is Exit.ROLLED_BACK
    assert shop.version == "1.0.0"
    assert "A = 1" in (shop.tree / "shop/a.py").read_text()
    asked = len((shop.folder / "asked").read_text())
    assert asked >= 4  # one before the commit, three that failed
    assert shop.orders() == asked
    assert shop.last()["result"] == "rolled-back"
    assert shop.alerts() == ["rolled-back"]
    assert "error 500" in read_failures(shop.path / ".updater/failed.json")["1.1.0"][-1].reason
    with pytest.raises(BlockedError) as held:
        Updater(shop.path, transport=shop.publisher).plan(automatic=True)
    assert "failed on this site" in " ".join(held.value.reasons)


@pytest.mark.parametrize("compatible", [None, False])
def test_where_it_is_not_safe_everything_stays_and_a_person_is_told(shop, compatible):
    shop.publish(Migrations(("shop.0002_x",), True, False, backward_compatible=compatible))
    shop.configure(good=1, more="probation = 5\n")
    with pytest.raises(ProbationError, match=r"1\.1\.0 is installed and committed, but fails") as caught:
        shop.update()
    assert exit_code(caught.value) is Exit.NEEDS_HUMAN
    assert "updater rollback" in caught.value.hint
    assert shop.version == "1.1.0"
    asked = len((shop.folder / "asked").read_text())
    assert shop.orders() == asked
    assert shop.last()["result"] == "kept"
    assert shop.alerts() == ["probation-failed"]
    assert read_status(shop.path / ".updater/status.json")["state"] == "failed"


def recover_when_alone(path):
    """A health command that was just being started has the lock until it is; on a busy machine that takes a while."""
    until = time.monotonic() + 20
    while True:
        try:
            return Updater(path).recover()
        except LockedError:
            assert time.monotonic() < until
            time.sleep(0.05)


def test_a_watchdog_that_was_killed_is_told_about(shop):
    shop.publish()
    shop.configure(good=10**6, more="probation = 60\n")
    child = os.fork()
    if child == 0:
        shop.update()
        os._exit(1)
    marker = shop.path / ".updater/probation.json"
    while not marker.exists():
        assert os.waitpid(child, os.WNOHANG) == (0, 0)
    os.kill(child, 9)
    os.waitpid(child, 0)
    assert recover_when_alone(shop.path) is None
    assert shop.version == "1.1.0"
    assert shop.last()["result"] == "interrupted"
    assert not marker.exists()
    assert Updater(shop.path).recover() is None
    assert sum(entry["event"] == "probation" for entry in Updater(shop.path).history()) == 1


def test_settings_that_cannot_be_read_after_the_commit_are_no_failed_update(tmp_path, monkeypatch):
    """Found under strace: the new version runs, and nobody may be told that it does not."""
    publisher = SitePublisher()
    publisher.publish(package("1.0.0"))
    site = set_up_site(publisher.url, tmp_path / "site", root=publisher.root, transport=publisher).site
    publisher.publish(package("1.1.0"))
    updater = Updater(site, transport=publisher)
    plan = updater.plan()
    real = Engine.run

    def run(engine: Engine) -> Outcome:
        outcome = real(engine)
        site.config_path.unlink()
        return outcome

    monkeypatch.setattr(Engine, "run", run)
    assert updater.install(plan).result == "done"
    assert site.state().version == "1.1.0"
