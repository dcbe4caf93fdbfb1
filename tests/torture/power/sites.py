"""What is done to a site while the power goes: every operation of the engine, for real, migrations included."""

from __future__ import annotations

import hashlib
import io
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.engine.sweep import Side, side
from tests.engine.world import PRESERVE, V1, V2, World
from tests.support.packages import Symlink
from tests.torture.power.mounting import BrokenError, in_child
from updater.database import Backup
from updater.database.base import check_files
from updater.errors import RolledBackError
from updater.install.journal import Journal, State
from updater.install.restore_points import damaged_restore_points, delete, list_restore_points
from updater.install.rollback import prepare_rollback
from updater.site import SiteLock, read_history

_MIGRATE = b"""\
import sqlite3, sys
connection = sqlite3.connect("db.sqlite3")
for line in ("half way", "migrated to " + sys.argv[1]):
    with connection:
        connection.execute("CREATE TABLE IF NOT EXISTS log (line TEXT)")
        connection.execute("INSERT INTO log VALUES (?)", (line,))
if "fail" in sys.argv:
    sys.exit("this release is broken")
"""
Files = dict[str, bytes | Symlink]
FIRST: Files = V1 | {"migrate": _MIGRATE}
SECOND: Files = V2 | {"migrate": _MIGRATE}
THIRD: Files = FIRST | {"third.txt": b"3\n"}
_CONFIG = f"""\
[database]
kind = "sqlite"
path = "db.sqlite3"
[commands]
runner = ["{sys.executable}", "-I", "-S"]
allow = ["migrate"]
"""


@dataclass(frozen=True)
class Look:
    """A site as a whole: the tree, the database, the restore points that are offered, and how many events it had."""

    side: Side
    points: tuple[str, ...]
    events: int
    result: str

    def is_like(self, other: Look) -> bool:
        """The same site; what its history says aside."""
        return (self.side, self.points) == (other.side, other.points)


def look(world: World) -> Look:
    """See what is there now."""
    history = read_history(world.site.history_path)
    points = tuple(point.id for point in list_restore_points(world.site))
    return Look(side(world), points, len(history), str(history[-1]["result"]) if history else "")


def check_restore_points(world: World) -> None:
    """Every restore point that is offered leads back: each file and dump is what was recorded. Raises UpdaterError."""
    assert damaged_restore_points(world.site) == []
    for point in list_restore_points(world.site):
        if point.version is None:
            continue
        with ExitStack() as opened:
            prepared = prepare_rollback(world.site, point.id, opened)
            for change in prepared.changes.changes:
                if change.new is not None and change.new.symlink is None:
                    copy = io.BytesIO()
                    prepared.source.copy(change.new, copy)
                    assert hashlib.sha256(copy.getvalue()).hexdigest() == change.new.sha256, (point.id, change.path)
        if point.database is not None:
            check_files("sqlite", point.database_directory, Backup.from_json(point.database))


@dataclass(frozen=True)
class Operation:
    """``start`` makes the site ready and returns what it looks like as the old version; ``run`` is what the power cut
    meets. ``either``: it may end as the old or the new version; without it, only as it ends undisturbed. ``begun``: it
    is the recovery of an operation."""

    name: str
    start: Callable[[World], Look]
    run: Callable[[World], object]
    either: bool = True
    begun: bool = False


def create(world: World) -> Look:
    """An empty site."""
    world.create(_CONFIG)
    return look(world)


def first(world: World) -> Look:
    """Version 1.0.0, with what the owner put there. Slots run their database with a write-ahead log."""
    create(world)
    world.update("1.0.0", FIRST, preserve=PRESERVE, commands=["migrate 1"])
    world.own_files()
    if world.layout == "slots":
        import sqlite3

        sqlite3.connect(world.shared / "db.sqlite3").execute("PRAGMA journal_mode = WAL").connection.close()
    world.add_row("before")
    return look(world)


def second(world: World) -> Look:
    """Version 2.0.0, one restore point behind it."""
    first(world)
    update(world)
    world.add_row("written under 2.0.0")
    return look(world)


def second_keeping_one(world: World) -> Look:
    """The same, and only one restore point is to be kept."""
    second(world)
    world.configure(_CONFIG + "[backup]\nmax_backups = 1\n")
    return look(world)


def third(world: World) -> Look:
    """Version 3.0.0, two restore points behind it."""
    second(world)
    update_again(world)
    return look(world)


def update(world: World) -> object:
    """1.0.0 to 2.0.0."""
    return world.update("2.0.0", SECOND, preserve=PRESERVE, commands=["migrate 2"])


def update_again(world: World) -> object:
    """2.0.0 to 3.0.0."""
    return world.update("3.0.0", THIRD, preserve=PRESERVE, commands=["migrate 3"])


def follow(world: World) -> None:
    """The next update, and the way back from it."""
    before = world.database()
    world.update("9.0.0", THIRD | {"last.txt": b"9\n"}, preserve=PRESERVE, commands=["migrate 9"])
    assert world.version == "9.0.0" and world.database() == [*before, "half way", "migrated to 9"]
    if len(list_restore_points(world.site)) > 1:
        world.rollback()
        assert world.database() == before


def fail_to_update(world: World) -> None:
    """A migration that changes the database and fails: everything is undone."""
    try:
        world.update("2.0.0", SECOND, preserve=PRESERVE, commands=["migrate 2 fail"])
    except RolledBackError:
        return
    raise AssertionError("the broken release was installed")


def delete_newest(world: World) -> None:
    """Remove a restore point from which an older one must inherit."""
    with SiteLock(world.site.lock_path):
        delete(world.site, list_restore_points(world.site)[0])


def killed(state: State, renames: dict[str, int]) -> Callable[[World], Look]:
    """A start: an update was killed in ``state``, before the rename of that number (by layout), at the latest before
    the next state was recorded."""

    def start(world: World) -> Look:
        before = first(world)
        try:
            in_child(lambda: _die(world, state, renames[world.layout]))
        except BrokenError as error:
            assert "ended with 9" in str(error), error
        last = Journal(world.site.journal_path).last()
        assert last is not None and last.state is state
        return before

    return start


def _die(world: World, state: State, renames: int) -> None:
    append, replace = Journal.append, os.replace
    at: list[State] = []
    left = renames

    def appending(self: Journal, name: str, entered: State, **details: Any) -> None:
        if at == [state]:
            os._exit(9)
        append(self, name, entered, **details)
        at[:] = [entered]

    def replacing(source: Path, target: Path) -> None:
        nonlocal left
        left -= at == [state]
        if left == 0:
            os._exit(9)
        replace(source, target)

    Journal.append = appending  # type: ignore[method-assign]
    os.replace = replacing  # type: ignore[assignment]
    update(world)


_KILLS = {
    State.APPLYING: {"in-place": 6, "slots": 3},
    State.MIGRATING: {"in-place": 99, "slots": 99},
    State.COMMITTED: {"in-place": 2, "slots": 2},
}
OPERATIONS = (
    Operation("install", create, lambda world: world.update("1.0.0", FIRST, preserve=PRESERVE, commands=["migrate 1"])),
    Operation("update", first, update),
    Operation("rollback", second, lambda world: world.rollback()),
    Operation("failed migration", first, fail_to_update, either=False),
    Operation("update that prunes", second_keeping_one, update_again),
    Operation("deleting a restore point", third, delete_newest),
    *(
        Operation(f"recovery from {state}", killed(state, renames), World.recover, either=False, begun=True)
        for state, renames in _KILLS.items()
    ),
)
