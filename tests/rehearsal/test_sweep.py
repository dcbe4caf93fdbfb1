"""What a killed rehearsal left: the copy and the scratch database go with the next command, or are told about."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.postgres import Server, running_server
from updater.events import Event
from updater.rehearsal import sweep_rehearsals
from updater.site import Site, SiteState
from updater.site.files import make_private_directory

NAME = "tagship_rehearsal_20260601000000000000"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as found:
        found.sql("postgres", "ALTER ROLE app CREATEDB", "CREATE DATABASE live OWNER app", user="postgres")
        yield found


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    make_private_directory(site.directory)
    site.config_path.write_text(
        '[feed]\nurl = "https://feeds.example/stable.json"\n[database]\nkind = "postgresql"\nurl_env = "DATABASE_URL"\n'
    )
    site.write_state(SiteState("shop", "core", "in-place", "0" * 32))
    left = site.directory / "rehearsal" / "20260601-000000-000000"
    (left / "site").mkdir(parents=True)
    (left / "site/file").write_text("x")
    return site


def sweep(site: Site, environ: dict[str, str]) -> list[str]:
    told: list[Event] = []
    sweep_rehearsals(site, environ, told.append)
    return [event.message for event in told]


def databases(server: Server) -> str:
    return server.sql("postgres", "SELECT count(*) FROM pg_database WHERE datname LIKE 'tagship%'", user="postgres")


def test_a_scratch_database_is_dropped_with_the_copy(server: Server, site: Site):
    (scratch,) = (site.directory / "rehearsal").iterdir()
    (scratch / "scratch.json").write_text(json.dumps({"name": NAME}))
    environ = {**os.environ, "DATABASE_URL": server.url("live")}
    assert sweep(site, environ) == []  # killed before it was made: nothing to drop
    assert not scratch.parent.exists()
    scratch.mkdir(parents=True)
    (scratch / "scratch.json").write_text(json.dumps({"name": NAME}))
    server.sql("live", f"CREATE DATABASE {NAME}")
    without = {name: value for name, value in environ.items() if name != "DATABASE_URL"}
    (warning,) = sweep(site, without)
    assert f'DROP DATABASE "{NAME}"' in warning
    assert (scratch.exists(), databases(server)) == (True, "1")  # kept until it can be dropped
    assert sweep(site, environ) == []
    assert (scratch.parent.exists(), databases(server)) == (False, "0")


@pytest.mark.parametrize("content", ["{", "[]", '{"name": "live"}', '{"name": "tagship_rehearsal_1\\"; DROP"}'])
def test_only_a_scratch_database_is_ever_dropped(server: Server, site: Site, content: str):
    (scratch,) = (site.directory / "rehearsal").iterdir()
    (scratch / "scratch.json").write_text(content)
    environ = {**os.environ, "DATABASE_URL": server.url("live")}
    (warning,) = sweep(site, environ)
    assert "not removed yet" in warning
    assert server.sql("live", "SELECT 1") == "1"


def test_without_a_database_the_copy_goes(site: Site):
    assert sweep(site, {}) == []
    assert not (site.directory / "rehearsal").exists()
