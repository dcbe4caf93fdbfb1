"""Rehearsals of the real shop, on SQLite and PostgreSQL, in both layouts: what they say, and that nothing is left."""

from __future__ import annotations

import hashlib
import itertools
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.postgres import Server, running_server
from tests.support.shop_site import install_shop, publish_shop
from tests.support.site_publisher import SitePublisher
from updater import Updater
from updater.errors import BlockedError
from updater.rehearsal.report import RehearsalReport
from updater.site import Layout

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def publisher() -> SitePublisher:
    return publish_shop()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as found:
        yield found


def everything(site: Path) -> dict[str, object]:
    """Every file of a site, but what a rehearsal may leave: the download, the lock, what is known of the feed."""
    found: dict[str, object] = {}
    for path in sorted(site.rglob("*")):
        name = path.relative_to(site).as_posix()
        if name.startswith((".updater/downloads", ".updater/lock", ".updater/trust", ".updater/sequences")):
            continue
        status = path.lstat()
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_file():
            found[name] = (status.st_mode, status.st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        else:
            found[name] = status.st_mode
    return found


def rehearse(updater: Updater, version: str) -> RehearsalReport:
    """The rehearsal, and the proof that it changed nothing."""
    plan = updater.plan(version)
    before = everything(updater.site.path)
    report = updater.rehearse(plan)
    assert everything(updater.site.path) == before
    assert not (updater.site.directory / "rehearsal").exists()
    return report


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["in-place", "slots"])
def test_the_shop_on_sqlite(publisher: SitePublisher, tmp_path: Path, layout: Layout) -> None:
    updater = install_shop(publisher, tmp_path / "site", layout=layout)
    shared = updater.site.shared if layout == "slots" else updater.site.path
    (shared / "media").mkdir(exist_ok=True)
    (shared / "media/photo.jpg").write_bytes(b"the owner's")
    good = rehearse(updater, "1.1.0")
    assert (good.ok, good.problems, good.confined) == (True, (), True)
    assert [(step.kind, step.ok) for step in good.steps] == [("command", True), ("health", True)]
    assert "Applying catalog.0002_prices_in_cents" in good.steps[0].output
    assert all(step.seconds > 0 for step in good.steps)
    assert good.database_before > 100_000
    assert good.database_after != good.database_before

    bad = rehearse(updater, "1.2.0")
    assert not bad.ok
    assert bad.problems[0].startswith("health ")
    assert "500" in bad.steps[-1].output

    updater.install(updater.plan("1.1.0"))  # what was rehearsed comes true
    with closing(sqlite3.connect(f"file:{shared / 'db.sqlite3'}?mode=ro", uri=True)) as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(catalog_product)")]
    assert "gross_cents" in columns


@pytest.mark.slow
def test_a_database_outside_of_the_site(
    publisher: SitePublisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "elsewhere" / "shop.db"
    place.parent.mkdir()
    monkeypatch.setenv("SHOP_DATABASE", str(place))
    updater = install_shop(publisher, tmp_path / "site", database=f'kind = "sqlite"\npath = "{place}"\n')
    schema = columns_of(place)
    with pytest.raises(BlockedError, match="outside of the site") as refused:
        rehearse(updater, "1.1.0")
    assert "path_env" in refused.value.hint
    config = updater.site.config_path
    config.write_text(config.read_text().replace("path = ", 'path_env = "SHOP_DATABASE"\npath = '))
    report = rehearse(updater, "1.1.0")
    assert report.ok, report.problems
    assert columns_of(place) == schema

    config.write_text(config.read_text().replace("SHOP_DATABASE", "NOT_WHAT_THE_SHOP_READS"))
    wrong = rehearse(updater, "1.1.0")  # the shop opens the live database, and may not write to it
    assert not wrong.ok
    assert "readonly database" in wrong.steps[0].output or "unable to open" in wrong.steps[0].output
    assert columns_of(place) == schema


def columns_of(path: Path) -> list[object]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return database.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["in-place", "slots"])
def test_the_shop_on_postgresql(
    publisher: SitePublisher, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: Layout
) -> None:
    name = f"shop{next(NUMBERS)}"
    server.sql("postgres", f"CREATE DATABASE {name} OWNER app", user="postgres")
    monkeypatch.setenv("DATABASE_URL", server.url(name))
    settings = 'kind = "postgresql"\nurl_env = "DATABASE_URL"\n'
    updater = install_shop(publisher, tmp_path / "site", layout=layout, database=settings)
    before = server.schema_and_data(name)

    server.sql("postgres", "ALTER ROLE app NOCREATEDB", user="postgres")
    with pytest.raises(BlockedError, match="may not create the scratch database") as refused:
        rehearse(updater, "1.1.0")
    assert 'ALTER ROLE "app" CREATEDB' in refused.value.hint
    assert scratch_databases(server) == ""

    server.sql("postgres", "ALTER ROLE app CREATEDB", user="postgres")
    report = rehearse(updater, "1.1.0")
    assert report.ok, report
    assert report.database_before > 1_000_000
    assert server.schema_and_data(name) == before
    assert scratch_databases(server) == ""

    # an app that does not read the variable: its sessions in the live database are read-only
    monkeypatch.setenv("OTHER_URL", server.url(name))
    config = updater.site.config_path
    config.write_text(config.read_text().replace('url_env = "DATABASE_URL"', 'url_env = "OTHER_URL"'))
    wrong = rehearse(updater, "1.1.0")
    assert not wrong.ok
    assert "read-only transaction" in wrong.steps[0].output
    assert server.schema_and_data(name) == before
    assert scratch_databases(server) == ""


def scratch_databases(server: Server) -> str:
    return server.sql("postgres", "SELECT datname FROM pg_database WHERE datname LIKE 'tagship%'", user="postgres")
