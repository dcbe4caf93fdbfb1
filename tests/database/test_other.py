"""No database, databases behind two commands, and the settings that cannot be used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from updater.database import Backup, open_database
from updater.database.command import CommandDatabase
from updater.errors import DatabaseError, SchemaError
from updater.schema.site_config import DatabaseConfig


def command(
    site: Path, backup: str = "cp data {file}", restore: str = "cp {file} data", timeout: float = 10.0
) -> CommandDatabase:
    return CommandDatabase(["sh", "-c", backup], ["sh", "-c", restore], timeout=timeout, cwd=site, env=dict(os.environ))


def test_no_database(tmp_path: Path) -> None:
    database = open_database(DatabaseConfig(), tmp_path, {})
    record = database.backup(tmp_path / "b")
    database.restore(tmp_path / "b", record)
    assert (database.kind, record, database.available(), database.estimate()) == ("none", Backup("none"), None, 0)
    with pytest.raises(DatabaseError, match="kind 'sqlite'"):
        database.restore(tmp_path, Backup("sqlite"))


def test_the_way_back(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("old")
    config = DatabaseConfig(kind="command", backup=("cp", "data", "{file}"), restore=("cp", "{file}", "data"))
    database = open_database(config, tmp_path, os.environ)
    assert database.available() is None
    assert database.estimate() is None
    record = database.backup(tmp_path / "b")
    (tmp_path / "data").write_text("new")
    database.restore(tmp_path / "b", record)
    assert (tmp_path / "data").read_text() == "old"
    assert Backup.from_json(record.to_json()) == record


def test_a_backup_that_fails_or_hangs_or_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"exited with 4\nno such database"):
        command(tmp_path, "echo no such database; exit 4").backup(tmp_path / "b")
    with pytest.raises(DatabaseError, match=r"within 0\.2 seconds"):
        command(tmp_path, "sleep 60", timeout=0.2).backup(tmp_path / "b")
    with pytest.raises(DatabaseError, match="wrote nothing") as caught:
        command(tmp_path, "true").backup(tmp_path / "b")
    assert "{file}" in caught.value.hint


def test_a_restore_that_fails(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("old")
    database = command(tmp_path, restore="echo broken; false")
    record = database.backup(tmp_path / "b")
    with pytest.raises(DatabaseError, match="broken"):
        database.restore(tmp_path / "b", record)


def test_a_damaged_dump_is_not_given_to_the_command(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("old")
    database = command(tmp_path)
    record = database.backup(tmp_path / "b")
    (tmp_path / "b" / record.files[0].name).write_text("bad")
    (tmp_path / "data").write_text("new")
    with pytest.raises(DatabaseError, match="damaged"):
        database.restore(tmp_path / "b", record)
    assert (tmp_path / "data").read_text() == "new"


def test_a_command_that_is_not_installed(tmp_path: Path) -> None:
    config = DatabaseConfig(kind="command", backup=("no-such-dump", "{file}"), restore=("cat", "{file}"))
    assert "no-such-dump" in (open_database(config, tmp_path, os.environ).available() or "")


def test_postgresql_without_its_url(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="DATABASE_URL") as caught:
        open_database(DatabaseConfig(kind="postgresql", url_env="DATABASE_URL"), tmp_path, {})
    assert "cron" in caught.value.hint


@pytest.mark.parametrize("name", ["../x", "a/b", "..", ""])
def test_a_record_that_points_elsewhere(name: str) -> None:
    with pytest.raises(SchemaError):
        Backup.from_json({"kind": "sqlite", "files": [{"name": name, "size": 1, "sha256": "0" * 64}]})
