"""The crash sweep: one case is one fault in one operation, then recovery, then one oracle for all of them."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from tests.engine.faults import KILLED, Faults, Kind, injected
from tests.engine.world import PRESERVE, SQLITE, V1, V2, World
from updater.install import begin, steps
from updater.site import Layout, read_history, read_status

OPERATIONS = ("install", "update", "rollback")


@dataclass(frozen=True)
class Side:
    """What a site looks like as a whole at one version."""

    version: str | None
    tree: dict[str, tuple[object, ...]]
    rows: list[str]


class Scenario:
    """An operation on a site, with what it looks like before and after. ``home`` holds the copies; ``settings`` are
    added to the owner's."""

    def __init__(self, home: Path, layout: Layout, operation: str, *, settings: str = "") -> None:
        self.home, self.layout, self.operation = home, layout, operation
        home.mkdir(parents=True)
        start = World(home / "start" / "site", layout).create(SQLITE + settings)
        with steered(Faults()):
            if operation != "install":
                start.update("1.0.0", V1, preserve=PRESERVE)
                start.own_files()
                start.add_row("before")
            if operation == "rollback":
                start.update("2.0.0", V2, preserve=PRESERVE, commands=["migrate 2"])
                start.add_row("written under 2.0.0")
        self.old = side(start)
        done = self.copy("done")
        faults = Faults()
        with steered(faults):
            self.run(done)
        self.new = side(done)
        self.log = faults.log
        self.links = True
        assert self.new != self.old

    def run(self, world: World) -> None:
        if self.operation == "install":
            world.update("1.0.0", V1, preserve=PRESERVE, commands=["migrate 1"])
        elif self.operation == "update":
            world.update("2.0.0", V2, preserve=PRESERVE, commands=["migrate 2"])
        else:
            world.rollback()

    def copy(self, name: str) -> World:
        """A fresh copy of the site before the operation, hard links and all."""
        target = self.home / name
        if target.exists():
            shutil.rmtree(target)
        subprocess.run(["cp", "-a", str(self.home / "start"), str(target)], check=True)
        return World(target / "site", self.layout)

    def case(self, kind: Kind, at: int, *, then_at: int | None = None, follow: bool = False) -> None:
        """One fault, perhaps another one during the recovery; then the oracle."""
        world = self.copy("case")
        label = f"{self.layout} {self.operation} {kind} at {at} ({self.log[at - 1]}), then {then_at}"
        ended = in_child(lambda: self.run(world), Faults(kind, at))
        at_once = side(world)
        self.links = not (kind == "error" and self.log[at - 1] == "link")
        if ended == "done":
            assert at_once.version == self.new.version, label
            assert self.same(at_once, self.new), (label, difference(at_once, self.new))
        elif ended == "RolledBackError":
            assert self.same(at_once, self.old), (label, difference(at_once, self.old))
        if then_at is not None:
            in_child(world.recover, Faults(kind, then_at))
        with steered(Faults()):
            world.recover()
            self.judge(world, ended, label)
            if follow:
                self.follow(world, label)

    def same(self, one: Side, other: Side) -> bool:
        """Equal; a filesystem that just refused a hard link has a copy instead."""
        return one == other if self.links else without_links(one) == without_links(other)

    def judge(self, world: World, ended: str, label: str) -> None:
        """OLD or NEW as a whole, and everything tells the truth about it."""
        now = side(world)
        want = self.old if now.version == self.old.version else self.new
        assert self.same(now, want), (label, ended, difference(now, want))
        manifest = world.site.manifest()
        assert (None if manifest is None else manifest.version) == now.version, label
        assert world.leftovers() == [], (label, ended)
        assert world.recover() is None, label
        entries = [entry for entry in read_history(world.site.history_path) if entry["event"] == self.operation]
        if want is self.new:
            assert [entry["result"] for entry in entries][-1:] == ["done"], (label, entries)
            assert ended in ("done", "killed", "InstallError", "KeyboardInterrupt"), (label, ended)
        else:
            assert all(entry["result"] in ("rolled-back", "discarded") for entry in entries), (label, entries)
            assert ended != "done", label
        assert len({entry["id"] for entry in entries}) == len(entries), (label, entries)
        assert read_status(world.site.status_path)["state"] != "running", label

    def follow(self, world: World, label: str) -> None:
        """The site is as good as new: the next update works."""
        world.update("3.0.0", V1 | {"third.txt": b"3"}, preserve=PRESERVE, commands=["migrate 3"])
        assert world.version == "3.0.0", label
        assert world.database()[-1] == "migrated to 3", label
        if self.operation != "install":
            world.rollback()
            assert world.database()[-1:] != ["migrated to 3"], label


def side(world: World) -> Side:
    return Side(world.version, world.snapshot(), world.database())


def without_links(one: Side) -> Side:
    tree = {key: (value[0], value[3]) if value[1] == "file" else value for key, value in one.tree.items()}
    return Side(one.version, tree, one.rows)


def difference(one: Side, other: Side) -> dict[str, Any]:
    """What differs, for people."""
    keys = sorted({key for key in one.tree.keys() | other.tree.keys() if one.tree.get(key) != other.tree.get(key)})
    found: dict[str, Any] = {key: (one.tree.get(key), other.tree.get(key)) for key in keys}
    return found | {"version": (one.version, other.version), "rows": (one.rows, other.rows)}


@contextmanager
def steered(faults: Faults) -> Iterator[None]:
    """Faults at every change to the disk, and a migration and a health check that run in this process."""

    def migrate(command: str, config: Any, tree: Path, on_line: Any, *, pass_fds: Any = ()) -> None:
        world = World(tree.parents[1] if tree.parent.name == "releases" else tree)
        world.layout = "slots" if tree.parent.name == "releases" else "in-place"
        faults.point("sql")
        world.add_row("half way")
        faults.point("sql")
        world.add_row(f"migrated to {command.split()[1]}")
        faults.point("sql")

    def healthy(config: Any, version: str, *, cwd: Path, **_: Any) -> None:
        faults.point("health")
        assert f'"{version}"' in (cwd / "version.json").read_text()

    def keep_code(directory: Path) -> None:
        directory.mkdir()
        (directory / "recover.py").write_text("")

    with (
        mock.patch.object(steps, "run_manifest_command", migrate),
        mock.patch.object(steps, "wait_until_healthy", healthy),
        mock.patch.object(begin, "keep_code", keep_code),
        mock.patch("updater.install.engine.code_digest", lambda: "this"),
        mock.patch("updater.install.recovery.code_digest", lambda: "this"),
        mock.patch("updater.database.sqlite._check_integrity", lambda *_: None),
        injected(faults),
    ):
        yield


def in_child(work: Callable[[], object], faults: Faults) -> str:
    """Do it in a process of its own. How it ended: "done", "killed", or the name of the exception."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            with steered(faults):
                work()
            ended = "done"
        except BaseException as error:
            ended = type(error).__name__
            if ended == "AssertionError":
                ended = f"AssertionError {error}"
        with open(writer, "wb") as out:
            pickle.dump(ended, out)
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as source:
        data = source.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == KILLED:
        return "killed"
    assert status == 0, status
    return str(pickle.loads(data))
