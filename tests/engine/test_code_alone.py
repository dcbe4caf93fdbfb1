"""Old code never meets a newer database, unless it is declared to work with it, or the owner vouches for it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.engine.faults import Faults
from tests.engine.sweep import steered
from tests.engine.world import SQLITE, World, release
from updater.errors import BlockedError
from updater.install.archives import export_restore_point
from updater.install.begin import stage
from updater.install.engine import Engine
from updater.install.outcome import Outcome
from updater.install.restore_points import delete, list_restore_points
from updater.install.rollback import prepare_rollback, run_rollback
from updater.install.transaction import make_transaction
from updater.site import SiteLock

FIRST = {"x": b"1", "a/migrations/0001_initial.py": b""}
SECOND = {**FIRST, "x": b"2", "a/migrations/0002_b.py": b""}
THIRD = {**SECOND, "x": b"3", "a/migrations/0003_c.py": b""}
NAMES = {"2.0": ["a.0002_b"], "3.0": ["a.0003_c"]}


def update(world: World, version: str, files: Any, compatible: bool | None) -> None:
    """An update whose feed says this of its migrations."""
    told = {"names": NAMES.get(version, []), "backward_compatible": compatible}
    engine = world.engine(version, files, commands=["migrate 1"], preserve=["/db.sqlite3"], migrations=told)
    engine.run()


def engine(self: World, version: str, files: Any, *, migrations: Any, **fields: Any) -> Engine:
    manifest, source = release(version, files, **fields)
    changes = self.changes(manifest)
    slots, present = self.layout == "slots", self.version
    transaction = make_transaction(
        self.site,
        "update" if present else "install",
        self.layout,
        changes,
        now=self.now(),
        from_version=present,
        to_version=version,
        manifest=manifest,
        commands=manifest.post_update_commands,
        slot=version if slots else None,
        old_slot=self.tree.name if slots and present else None,
        migrations=migrations,
    )
    staged = stage(self.site, transaction, source, manifest.to_bytes(), needed=0, report=self.listen)
    return Engine(staged, report=self.listen, now=self.now, environ=self.environ)


@pytest.fixture(autouse=True)
def _with_migrations(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(World, "engine", engine)
    with steered(Faults()):
        yield


@pytest.fixture(params=["in-place", "slots"])
def world(request, tmp_path: Path) -> World:
    world = World(tmp_path / "site", request.param).create(SQLITE)
    with SiteLock(world.site.lock_path):
        update(world, "1.0", FIRST, None)
    return world


def go_back(world: World, choice: str | None = None, *, how: str = "prepare") -> Outcome:
    """Code only: by --keep-database, as the watchdog does it, or with the owner's word."""
    with SiteLock(world.site.lock_path), ExitStack() as opened:
        prepared = prepare_rollback(
            world.site,
            choice,
            opened,
            keep_database=how == "prepare",
            database_restored=how == "vouched",
        )
        return run_rollback(
            world.site,
            prepared,
            report=world.listen,
            now=world.now,
            environ=world.environ,
            keep_database=how == "run",
        )


@pytest.mark.parametrize("how", ["prepare", "run"])
def test_declared_safe_it_goes_back_alone_and_every_row_stays(world, how):
    update(world, "2.0", SECOND, compatible=True)
    world.add_row("written under 2.0")
    rows = world.database()
    go_back(world, how=how)
    assert (world.version, (world.tree / "x").read_bytes()) == ("1.0", b"1")
    assert world.database() == rows


@pytest.mark.parametrize("how", ["prepare", "run"])
@pytest.mark.parametrize(
    ("compatible", "says"), [(False, "does not work on a database with a.0002_b"), (None, "lacks")]
)
def test_otherwise_it_is_refused_with_the_reason(world, how, compatible, says):
    update(world, "2.0", SECOND, compatible)
    before = world.snapshot()
    with pytest.raises(BlockedError, match="would not fit together") as refused:
        go_back(world, how=how)
    assert says in refused.value.reasons[0]
    assert "leave --keep-database away" in refused.value.hint
    assert (world.version, world.snapshot()) == ("2.0", before)
    world.rollback()  # with its database it may
    assert world.version == "1.0"


def test_the_owner_may_vouch(world):
    update(world, "2.0", SECOND, compatible=False)
    world.add_row("still here")
    go_back(world, how="vouched")
    assert (world.version, world.database()[-1]) == ("1.0", "still here")


@pytest.mark.parametrize("remove", [False, True], ids=["", "the point between is deleted"])
@pytest.mark.parametrize(("second", "third"), [(True, True), (False, True), (True, None)])
def test_over_several_releases_all_must_be_safe(world, second, third, remove):
    update(world, "2.0", SECOND, second)
    update(world, "3.0", THIRD, third)
    if remove:
        delete(world.site, list_restore_points(world.site)[0])
    if second and third:
        go_back(world, "1.0")
        assert world.version == "1.0"
    else:
        with pytest.raises(BlockedError):
            go_back(world, "1.0")


def test_newer_code_does_not_meet_an_older_database(world):
    update(world, "2.0", SECOND, compatible=True)
    world.rollback()  # the database of 1.0 is back
    with pytest.raises(BlockedError) as refused:
        go_back(world)  # to 2.0, which the newest restore point leads to
    assert "needs a.0002_b" in refused.value.reasons[0]
    assert "update --to 2.0" in refused.value.reasons[0]
    world.rollback()
    assert world.version == "2.0"


def test_without_migrations_nothing_is_asked(world):
    update(world, "2.0", {**FIRST, "x": b"2"}, compatible=None)
    go_back(world)
    assert world.version == "1.0"


def test_a_restore_point_without_a_database(world):
    world.configure("[database]\nkind = 'none'\n[commands]\nrunner = ['python']\nallow = ['migrate']\n")
    update(world, "2.0", SECOND, compatible=False)
    with pytest.raises(BlockedError) as refused:
        world.rollback()
    assert "does not work on a database" in refused.value.reasons[0]
    assert "--database-restored" in refused.value.hint
    go_back(world, how="vouched")
    assert world.version == "1.0"


@pytest.mark.parametrize("how", ["missing", "cut"])
def test_a_dump_that_is_gone_is_noticed_before_anything_is_touched(world, how):
    update(world, "2.0", SECOND, compatible=False)
    dump = list_restore_points(world.site)[0].database_directory / "database.sqlite3"
    data = dump.read_bytes()
    dump.unlink()
    if how == "cut":
        dump.write_bytes(data[:-1])
    before = world.snapshot()
    with pytest.raises(BlockedError, match="database of the restore point cannot be used") as refused:
        world.rollback()
    assert str(dump) in refused.value.reasons[0]
    assert world.snapshot() == before
    assert len(list_restore_points(world.site)) == 1


def test_a_dump_of_another_kind_of_database(world):
    update(world, "2.0", SECOND, compatible=True)
    world.configure("[database]\nkind = 'command'\nbackup = ['true', '{file}']\nrestore = ['true', '{file}']\n")
    with pytest.raises(BlockedError) as refused:
        world.rollback()
    assert "kind 'sqlite', and updater.toml says [database] kind 'command'" in refused.value.reasons[0]


def test_an_export_without_a_database(tmp_path):
    world = World(tmp_path / "site").create("[commands]\nrunner = ['python']\nallow = ['migrate']\n")
    update(world, "1.0", FIRST, None)
    update(world, "2.0", SECOND, compatible=True)
    export_restore_point(world.site, list_restore_points(world.site)[0], tmp_path / "x.zip")
    go_back(world, str(tmp_path / "x.zip"))
    update(world, "2.0", SECOND, compatible=False)
    with pytest.raises(BlockedError):
        go_back(world, str(tmp_path / "x.zip"))
