"""The operations that the sweeps strike at: the site each begins with, and what it does."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from tests.engine.world import PRESERVE, V1, V2, World
from updater.install.archives import export_restore_point, open_restore_point
from updater.install.restore_points import delete, find_restore_point, list_restore_points
from updater.install.targets import target_of
from updater.site import SiteLock

V3 = V1 | {"third.txt": b"3\n"}
V4 = V2 | {"third.txt": b"4\n", "app/new/z.py": b"z = 1\n"}
FEW = "[backup]\nmax_backups = 2\n"
ZIP_NAME = "exported.zip"


@dataclass(frozen=True)
class Operation:
    """``event``: what the history calls it, None for what leaves no line. ``fails``: it ends as the old version even
    when nothing strikes. ``points``: the restore points are part of what must be old or new. ``settings``: the
    owner's, for it."""

    name: str
    prepare: Callable[[World], None]
    run: Callable[[World], object]
    event: str | None
    fails: bool = False
    points: bool = False
    settings: str = ""


def _first(world: World) -> None:
    world.update("1.0.0", V1, preserve=PRESERVE)
    world.own_files()
    world.add_row("before")


def _second(world: World) -> None:
    _first(world)
    world.update("2.0.0", V2, preserve=PRESERVE, commands=["migrate 2"])
    world.add_row("written under 2.0.0")


def _third(world: World) -> None:
    _second(world)
    world.update("3.0.0", V3, preserve=PRESERVE, commands=["migrate 3"])
    world.add_row("written under 3.0.0")


def _install(world: World) -> None:
    world.update("1.0.0", V1, preserve=PRESERVE, commands=["migrate 1"])


def _update(world: World) -> None:
    world.update("2.0.0", V2, preserve=PRESERVE, commands=["migrate 2"])


def _update_that_fails(world: World) -> None:
    world.update("2.0.0", V2, preserve=PRESERVE, commands=["migrate 2", "migrate fail"])


def _update_that_prunes(world: World) -> None:
    world.update("4.0.0", V4, preserve=PRESERVE, commands=["migrate 4"])


def _delete(world: World) -> None:
    with SiteLock(world.site.lock_path):
        world.recover_locked()
        delete(world.site, find_restore_point(world.site, "2.0.0"))


def _exported(world: World) -> None:
    _second(world)
    _export(world)


def _rollback_to_zip(world: World) -> None:
    world.rollback(str(world.path.parent / ZIP_NAME))


def _export(world: World) -> None:
    with SiteLock(world.site.lock_path):
        world.recover_locked()
        export_restore_point(world.site, find_restore_point(world.site, "1.0.0"), world.path.parent / ZIP_NAME)


ALL = (
    Operation("install", lambda world: None, _install, "install"),
    Operation("update", _first, _update, "update"),
    Operation("rollback", _second, lambda world: world.rollback(), "rollback"),
    Operation("rollback to a zip", _exported, _rollback_to_zip, "rollback"),
    Operation("failing update", _first, _update_that_fails, "update", fails=True),
    Operation("pruning update", _third, _update_that_prunes, "update", points=True, settings=FEW),
    Operation("delete", _third, _delete, None, points=True, settings=FEW),
    Operation("export", _second, _export, None),
)
OPERATIONS = {operation.name: operation for operation in ALL}


def restore_points(world: World) -> list[str]:
    """What can be gone back to: of each, oldest first, its version and everything that it would bring back."""
    found = []
    for point in reversed(list_restore_points(world.site)):
        target = target_of(world.site, point)
        for file in () if target.manifest is None else target.manifest.files.values():
            source = target.paths.get(file.path, world.tree / file.path)
            content = file.symlink if file.symlink is not None else hashlib.sha256(source.read_bytes()).hexdigest()
            found.append(f"{point.version} {file.path} {file.mode:o} {file.sha256 == content} {content[:8]}")
        found += [f"{point.version} {path.name}" for path in sorted(point.database_directory.glob("*"))]
    return found


def exported(world: World) -> list[str]:
    """What the exported zip holds, which must be whole; empty without one."""
    path = world.path.parent / ZIP_NAME
    if not path.exists():
        return []
    with ExitStack() as opened:
        found = open_restore_point(path, opened)
        found.archive.verify()
        return [f"{found.version} {name}" for name in sorted(found.archive.members)]
