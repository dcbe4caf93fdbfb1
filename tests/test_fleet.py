"""Several servers on one database: one leads under a lock in PostgreSQL, the others follow with code only."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.postgres import Server, running_server
from tests.support.shop_site import install_shop, publish_shop
from tests.support.site_publisher import SitePublisher
from updater import Updater
from updater.cli import main
from updater.database.pg_lead import leading
from updater.database.pg_url import connection_environment
from updater.database.postgresql import PostgreSQLDatabase
from updater.errors import ConfigError, DatabaseError, RolledBackError
from updater.process import plan_commands
from updater.schema.site_config import SiteConfig

FEED = '[feed]\nurl = "https://acme.example/stable.json"\n'
DATABASE = '[database]\nkind = "postgresql"\nurl_env = "DATABASE_URL"\n'
NUMBERS = itertools.count(1)


def parse(text: str) -> SiteConfig:
    return SiteConfig.parse(FEED + text)


# settings


def test_one_that_follows_has_no_database_of_its_own() -> None:
    found = parse(f'{DATABASE}[commands]\nallow = ["migrate", "collectstatic"]\n[fleet]\nrole = "follow"\n')
    assert found.database.kind == "none"
    planned = plan_commands(["migrate --noinput", "collectstatic"], found.commands)
    assert [bool(one.refusal) for one in planned] == [True, False]
    assert "the one that leads runs it" in planned[0].refusal
    assert parse(DATABASE).commands.elsewhere == ()
    other = parse('[commands]\nallow = ["migrate", "load"]\n[fleet]\nrole = "follow"\nlead_only = ["load"]\n')
    assert [bool(one.refusal) for one in plan_commands(["migrate", "load"], other.commands)] == [False, True]


@pytest.mark.parametrize("text", ['[fleet]\nrole = "lead"\n', '[fleet]\nrole = "boss"\n', "[fleet]\nwait = 0\n"])
def test_what_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="fleet"):
        parse(text)


# the lock


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as found:
        yield found


@pytest.fixture
def url(server: Server) -> str:
    name = f"fleet{next(NUMBERS)}"
    server.sql("postgres", f"CREATE DATABASE {name} OWNER app", user="postgres")
    return server.url(name)


def take(url: str, app: str = "shop", seconds: float = 0.2) -> None:
    with leading(connection_environment(url, {"PATH": "/usr/bin:/bin"}), app, seconds):
        pass


def test_only_one_leads(url: str) -> None:
    env = connection_environment(url, {"PATH": "/usr/bin:/bin"})
    with leading(env, "shop", 5):
        with pytest.raises(DatabaseError, match="another server leads"):
            take(url)
        take(url, "another")
    take(url)


def test_a_restore_ends_every_session_but_that_of_the_one_that_leads(url: str, tmp_path: Path) -> None:
    environ = {"PATH": "/usr/bin:/bin"}
    database = PostgreSQLDatabase(url, timeout=60, environ=environ)
    with leading(connection_environment(url, environ), "shop", 5):
        database.restore(tmp_path / "backup", database.backup(tmp_path / "backup"))
        with pytest.raises(DatabaseError, match="another server leads"):
            take(url)


def test_a_database_that_is_not_there_is_told_without_its_password(server: Server) -> None:
    with pytest.raises(DatabaseError, match="cannot take the lead") as told:
        take(server.url("nowhere"))
    assert server.password not in str(told.value)


def test_whoever_is_killed_leads_no_more(url: str) -> None:
    program = (
        "import sys, time; from updater.database.pg_lead import leading; "
        "from updater.database.pg_url import connection_environment as env\n"
        "with leading(env(sys.argv[1], {'PATH': '/usr/bin:/bin'}), 'shop', 5):\n"
        "    print('leads', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, url], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"leads\n"
    with pytest.raises(DatabaseError, match="another server leads"):
        take(url)
    process.kill()
    process.communicate()
    take(url, seconds=10)


# two servers


class Fleet:
    """Two servers of the shop on one database."""

    def __init__(self, publisher: SitePublisher, folder: Path, server: Server, url: str) -> None:
        self.server, self.name = server, url.rpartition("/")[2]
        check = f'["{sys.executable}", "manage.py", "migrate", "--check"]'
        options = {"lead": "", "follow": f"migrated = {check}\nwait = 2\n"}
        self.sites = {
            role: install_shop(
                publisher,
                folder / role,
                database='kind = "postgresql"\nurl_env = "DATABASE_URL"\n',
                more=f'\n[fleet]\nrole = "{role}"\n{more}',
            )
            for role, more in options.items()
        }

    def versions(self) -> list[str | None]:
        return [updater.site.state().version for updater in self.sites.values()]

    def update(self, role: str, version: str = "1.1.0") -> Updater:
        updater = self.sites[role]
        updater.install(updater.plan(version))
        return updater

    def migrated(self) -> int:
        """How often the migration of 1.1.0 was applied."""
        return int(self.server.sql(self.name, "SELECT count(*) FROM django_migrations WHERE name LIKE '0002_prices%'"))


@pytest.fixture
def fleet(server: Server, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.setenv("DATABASE_URL", url)
    return Fleet(publish_shop(("1.0.0", "1.1.0")), tmp_path, server, url)


@pytest.mark.slow
def test_one_migrates_and_the_other_follows(fleet: Fleet) -> None:
    assert fleet.versions() == ["1.0.0", "1.0.0"]
    with pytest.raises(RolledBackError, match="did not prepare the database within 2 seconds"):
        fleet.update("follow")
    assert (fleet.versions(), fleet.migrated()) == (["1.0.0", "1.0.0"], 0)
    planned = fleet.sites["follow"].plan("1.1.0")
    assert (planned.database, [bool(one.refusal) for one in planned.commands]) == ("lead", [True])

    lead = fleet.update("lead")
    assert (fleet.versions(), fleet.migrated()) == (["1.1.0", "1.0.0"], 1)
    follow = fleet.update("follow")
    assert (fleet.versions(), fleet.migrated()) == (["1.1.0", "1.1.0"], 1)
    assert lead.restore_points()[0].database is not None
    assert follow.restore_points()[0].database is None, "one that follows must not be able to restore the database"


@pytest.mark.slow
def test_two_cannot_lead_at_once_and_a_failure_leaves_all_as_it_was(fleet: Fleet) -> None:
    lead = fleet.sites["lead"]
    config = lead.site.config_path
    config.write_text(config.read_text().replace('role = "lead"\n', 'role = "lead"\nwait = 1\n'))
    before = fleet.server.schema_and_data(fleet.name)
    env = connection_environment(fleet.server.url(fleet.name), {"PATH": "/usr/bin:/bin"})
    started = time.monotonic()
    with leading(env, "shop", 5), pytest.raises(DatabaseError, match="another server leads"):
        lead.install(lead.plan("1.1.0"))
    assert time.monotonic() - started < 60
    assert fleet.versions() == ["1.0.0", "1.0.0"]
    assert fleet.server.schema_and_data(fleet.name) == before

    config.write_text(f'{config.read_text()}\n[hooks]\nafter = ["false"]\n')
    with pytest.raises(RolledBackError) as failed:
        lead.install(lead.plan("1.1.0"))
    assert fleet.migrated() == 0
    take(fleet.server.url(fleet.name))  # given up at the end, not when what held it is collected
    assert "[hooks] after" in failed.value.hint


@pytest.mark.slow
def test_the_role_of_one_run(fleet: Fleet, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """``--node-role``: the same settings on each server, and the one that leads named by whoever updates them."""
    site = fleet.sites["lead"].site
    words = ["update", "--site", str(site.path), "--to", "1.1.0", "--dry-run", "--node-role", "follow"]
    publisher = fleet.sites["lead"].transport()
    monkeypatch.setattr(Updater, "transport", lambda _self: publisher)  # the only part that is not the command's own
    assert main(words) == 0
    assert "the server that leads changes it" in capsys.readouterr().out
