"""The crash sweep: one case is one fault in one operation, perhaps another one, then recovery, then one oracle."""

from __future__ import annotations

import gc
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from tests.engine.copying import Frozen, erase
from tests.engine.faults import DEADLY, KILLED, Faults, Kind, Strike, applies, injected
from tests.engine.operations import OPERATIONS, exported, restore_points
from tests.engine.world import PRESERVE, SQLITE, V1, World
from updater.install import begin, steps
from updater.install.retention import prune
from updater.site import Layout, SiteLock, read_history, read_status

LAYOUTS: tuple[Layout, ...] = ("in-place", "slots")
_UNCHANGED = ("InstallError", "PreflightError", "StateError", "DatabaseError", "BlockedError", "ConfigError", "OSError")
_UNCHANGED += ("PermissionError", "UnsafeArchiveError", "TargetMismatchError", "SchemaError", "DiskSpaceError")
DELETED = "is deleted, but"
"""What is said when a restore point is no longer one, and some of its files could not be removed."""

EXPORTED = "is complete, but its name"
"""What is said when an export is there, and could be neither made durable nor taken back."""

SECONDS: tuple[Kind, ...] = ("kill", "error", "denied", "full", "torn", "read-only", "handles", "short")
"""Kinds of a second fault, in turn."""

CANNOT_LOOK = ("Cannot open the lock file", "The journal ", "cannot be looked at")
"""What a recovery says that could not even ask whether there is something to recover: it changed nothing."""

RECORDED_LATER = "is installed and runs"
"""What is said when the disk fails after the commit point: the only failure that leaves the new version."""


@dataclass(frozen=True)
class Side:
    """What a site looks like as a whole at one version."""

    version: str | None
    tree: dict[str, tuple[object, ...]]
    rows: list[str]
    more: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ended:
    """How the process of a case ended: "done", "killed", or the name of its exception and what that says. ``calls``
    is what it had called up to then; ``struck`` how many of the faults struck (of one that was killed, unknown)."""

    how: str
    says: str = ""
    calls: tuple[str, ...] = field(default=(), repr=False)
    struck: int = 0


class Scenario:
    """An operation on a site, with what it looks like before and after. ``home`` holds the copies; ``settings`` are
    added to the owner's.

    Everything runs inside ``with scenario:``, which puts the faults in their places once for all cases.
    """

    def __init__(self, home: Path, layout: Layout, operation: str, *, settings: str = "") -> None:
        self.home, self.layout, self.operation = home, layout, OPERATIONS[operation]
        self.settings = SQLITE + self.operation.settings + settings
        self.faults = Faults(home=home, quiet=True)
        self._steered = steered(self.faults)
        home.mkdir(parents=True)

    def __enter__(self) -> Scenario:
        self._steered.__enter__()
        try:
            self._prepare()
        except BaseException:
            self._steered.__exit__(None, None, None)
            raise
        gc.collect()
        gc.freeze()  # a collection in a child would touch, and so copy, every page it shares with this process
        return self

    def __exit__(self, *error: Any) -> None:
        gc.unfreeze()
        self._steered.__exit__(*error)

    def _prepare(self) -> None:
        start = World(self.home / "start" / "site", self.layout).create(self.settings)
        self.operation.prepare(start)
        self.frozen = Frozen.of(self.home / "start")
        self.old = self.side(start)
        done = self.copy("done")
        ended = self.attempt(lambda: self.operation.run(done))
        assert ended.how == ("RolledBackError" if self.operation.fails else "done"), ended
        self.log = ended.calls
        self.new = self.side(done)
        self.links = True
        assert (self.new == self.old) == self.operation.fails

    def points(self, kind: str) -> list[int]:
        """Every call that this kind of fault can strike, by number; the first is 1."""
        return [at for at, name in enumerate(self.log, 1) if applies(kind, name)]  # type: ignore[arg-type]

    def copy(self, name: str) -> World:
        """A fresh copy of the site before the operation, hard links and all."""
        target = self.home / name
        erase(target)
        self.frozen.thaw(target)
        return World(target / "site", self.layout)

    def attempt(self, work: Callable[[], object], *strikes: Strike) -> Ended:
        """Do it with these faults, in a process of its own when one of them ends it."""
        if not any(kind in DEADLY for kind, _ in strikes):
            return self._work(work, strikes)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            data = pickle.dumps(self._work(work, strikes))
            while data:
                data = data[os.write(writer, data) :]
            os._exit(0)
        os.close(writer)
        with open(reader, "rb") as source:
            data = source.read()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status == KILLED:
            return Ended("killed")
        assert status == 0, status
        ended = pickle.loads(data)
        assert isinstance(ended, Ended)
        return ended

    def _work(self, work: Callable[[], object], strikes: tuple[Strike, ...]) -> Ended:
        self.faults.arm(*strikes)
        self.faults.quiet = False
        how, says = "done", ""
        try:
            work()
        except BaseException as error:
            how, says = type(error).__name__, f"{error}"
        finally:
            self.faults.quiet = True
        return Ended(how, says, tuple(self.faults.log), self.faults.struck)

    def case(self, *strikes: Strike, then: Strike | None = None, follow: bool = False) -> Ended:
        """These faults in one run, perhaps another one during the recovery; then the oracle. Raises AssertionError.

        Returns how the last process that a fault was meant for ended; without any in the recovery, and when the run
        did not end by itself, the calls that the recovery made.
        """
        world = self.copy("case")
        met = [(kind, self.log[at - 1] if at <= len(self.log) else "") for kind, at in strikes]
        label = f"{self.layout}, {self.operation.name}: {[*strikes]} {met}, then {then}"
        ended = self.attempt(lambda: self.operation.run(world), *strikes)
        assert ended.how == "killed" or ended.struck == len(strikes), (label, "not every fault struck", ended)
        self.folders = ("denied", "rmdir") in met
        # a filesystem that just refused a hard link has a copy instead
        self.links = len(strikes) == 1 and met[0] not in (("error", "link"), ("denied", "link"))
        self._judge_at_once(world, ended, label)
        last = ended if ended.how != "killed" else Ended("killed")
        if then is not None:
            last = self.attempt(world.recover, then)
            assert last.how == "killed" or last.struck, (label, "nothing was struck", last)
            self._judge_recovery(world, last, label)
        elif ended.how == "killed":
            self.faults.arm()
            self.faults.quiet = False
            world.recover()
            self.faults.quiet = True
            last = Ended("killed", calls=tuple(self.faults.log))
        world.recover()
        self._judge(world, ended, label)
        if follow:
            self._follow(world, label)
        return last

    def wrong(self, *strikes: Strike, then: Strike | None = None, follow: bool = False) -> str | None:
        """The same, without raising: what is wrong, in a line for people, or None."""
        try:
            self.case(*strikes, then=then, follow=follow)
        except Exception as error:
            self.faults.quiet = True
            told = f"{type(error).__name__} {error}"
            return told if isinstance(error, AssertionError) else f"{[*strikes]}, then {then}: {told}"
        return None

    def doubles(self, at: int, first: Kind, count: int) -> Iterator[tuple[tuple[Strike, ...], Strike | None]]:
        """Pairs of faults that begin with ``first`` at call ``at``: the arguments of `case`.

        After a death the second strikes the recovery; after a call that failed, what the same process does next, which
        is mostly to undo. ``count`` of the calls there are struck, the first and the last among them, each by one
        of the kinds that apply to it, in turn.
        """
        strike = Strike(first, at)
        world = self.copy("case")
        ended = self.attempt(lambda: self.operation.run(world), strike)
        if ended.how == "killed":
            calls = self._work(world.recover, ()).calls
            done = 0
        else:
            calls, done = ended.calls, at
        for index, place in enumerate(spread(len(calls) - done, count, at)):
            kinds = [kind for kind in SECONDS if applies(kind, calls[done + place - 1])]
            second = Strike(kinds[(at + index) % len(kinds)], done + place)
            yield ((strike,), second) if ended.how == "killed" else ((strike, second), None)

    def side(self, world: World) -> Side:
        """What the site looks like now."""
        more = exported(world) if self.operation.name == "export" else []
        if self.operation.points:
            more += restore_points(world)
        return side(world, tuple(more))

    def _same(self, now: Side, want: Side) -> bool:
        if self.folders:  # an empty folder that this user may not remove stays
            kept = {key: value for key, value in now.tree.items() if not key.endswith("/") or key in want.tree}
            now = replace(now, tree=kept)
        return now == want if self.links else without_links(now) == without_links(want)

    def _looks_like(self, now: Side, want: Side) -> bool:
        """The same but for what a failing disk did not let go of: that is tidied up by the next start."""
        more = want.more if self.operation.points else now.more
        return self._same(replace(visible(now, want), more=more), visible(want))

    def _judge_at_once(self, world: World, ended: Ended, label: str) -> None:
        """What the caller is told is true already before anything recovers."""
        if ended.how == "killed" or ended.how == "RollbackError" or RECORDED_LATER in ended.says:
            return
        now = self.side(world)
        if ended.how == "done":
            assert self._looks_like(now, self.new), (label, ended, difference(now, self.new))
        elif DELETED in ended.says or EXPORTED in ended.says:
            return
        elif ended.how == "RolledBackError" or ended.how in _UNCHANGED:
            assert self._looks_like(now, self.old), (label, ended, difference(now, self.old))
        else:
            assert ended.how == "KeyboardInterrupt", (label, ended.how, ended.says)

    def _judge_recovery(self, world: World, last: Ended, label: str) -> None:
        """What a recovery tells is true as well: it ended with success or with "a person has to look", or else there
        was one whole version all the time."""
        told = last.how in ("killed", "RollbackError") or RECORDED_LATER in last.says
        if not told and not last.says.startswith(CANNOT_LOOK):
            now = self.side(world)
            whole = self._looks_like(now, self.old) or self._looks_like(now, self.new)
            assert whole, (label, last, difference(now, self.old))

    def _judge_whole(self, now: Side, ended: Ended, label: str) -> Side:
        want = self.old if self._same(now, self.old) else self.new
        assert self._same(now, want), (label, ended.how, ended.says, difference(now, want))
        return want

    def _judge(self, world: World, ended: Ended, label: str) -> None:
        """OLD or NEW as a whole, and everything tells the truth about it."""
        now = self.side(world)
        if self.operation.points and len(now.more) > max(len(self.old.more), len(self.new.more)):
            # a point that could not be looked at was not counted on, so that an older one stayed: until the next time
            with SiteLock(world.site.lock_path):
                prune(world.site, world.site.config().backup, datetime.now(UTC))
            now = self.side(world)
        want = self._judge_whole(now, ended, label)
        manifest = world.site.manifest()
        assert (None if manifest is None else manifest.version) == world.version, label
        assert world.leftovers() == [], (label, ended.how, ended.says)
        assert world.recover() is None, label
        status = read_status(world.site.status_path)
        assert status["state"] not in ("running", "interrupted") or status.get("pid") == os.getpid(), (label, status)
        if ended.how in _UNCHANGED:
            assert (want is self.new) == any(said in ended.says for said in (RECORDED_LATER, DELETED, EXPORTED)), (
                label,
                ended.how,
                ended.says,
            )
        if self.operation.event is None:
            return
        entries = [entry for entry in read_history(world.site.history_path) if entry["event"] == self.operation.event]
        mine = entries[self._entries_before() :]
        if want is self.new:
            assert [entry["result"] for entry in mine] == ["done"], (label, mine)
            assert ended.how not in ("RolledBackError",), (label, ended.how)
        else:
            assert all(entry["result"] in ("rolled-back", "discarded") for entry in mine), (label, mine)
            assert ended.how != "done", label
        assert len({entry["id"] for entry in entries}) == len(entries), (label, entries)

    def _entries_before(self) -> int:
        before = read_history(self.home / "start" / "site" / ".updater" / "history.jsonl")
        return sum(entry["event"] == self.operation.event for entry in before)

    def _follow(self, world: World, label: str) -> None:
        """The site is as good as new: the next update works, and the way back from it."""
        before = world.database()
        world.update("9.0.0", V1 | {"last.txt": b"9"}, preserve=PRESERVE, commands=["migrate 9"])
        assert world.version == "9.0.0", label
        assert world.database()[-1] == "migrated to 9", label
        if self.operation.name != "install":
            world.rollback()
            assert world.database() == before, label
        if self.operation.name == "export" and not exported(world):
            self.operation.run(world)
            assert exported(world), label


def spread(length: int, count: int, turn: int) -> list[int]:
    """``count`` of the numbers from 1 to ``length``: the first, the last, and some between that differ by ``turn``."""
    if length <= count:
        return list(range(1, length + 1))
    inner = {2 + int((index + turn * 0.618 % 1) * (length - 2) / (count - 2)) for index in range(count - 2)}
    return sorted({1, *inner, length})


def side(world: World, more: tuple[str, ...] = ()) -> Side:
    return Side(world.version, world.snapshot(), world.database(), more)


def without_links(one: Side) -> Side:
    tree = {key: (value[0], value[3]) if value[1] == "file" else value for key, value in one.tree.items()}
    return replace(one, tree=tree)


def visible(one: Side, wanted: Side | None = None) -> Side:
    """What the app and its owner see: neither how many names a file has, nor a slot that is not built yet, or that
    ``wanted`` has no more."""
    tree = {}
    for key, value in without_links(one).tree.items():
        top, _, rest = key.partition("/")
        slot = f"{top}/{rest.split('/')[0]}/"
        hidden = top == "releases" and (rest[:1] in ("", ".") or (wanted is not None and slot not in wanted.tree))
        if not hidden:
            tree[key] = value
    return replace(one, tree=tree)


def difference(one: Side, other: Side) -> dict[str, Any]:
    """What differs, for people."""
    keys = sorted({key for key in one.tree.keys() | other.tree.keys() if one.tree.get(key) != other.tree.get(key)})
    found: dict[str, Any] = {key: (one.tree.get(key), other.tree.get(key)) for key in keys}
    for name in ("version", "rows"):
        if getattr(one, name) != getattr(other, name):
            found[name] = (getattr(one, name), getattr(other, name))
    if one.more != other.more:
        found["more"] = sorted({*one.more} - {*other.more}), sorted({*other.more} - {*one.more})
    return found


@contextmanager
def steered(faults: Faults) -> Iterator[None]:
    """Faults at every call, and a migration and a health check that run in this process."""

    def migrate(command: str, config: Any, tree: Path, on_line: Any, *, pass_fds: Any = ()) -> None:
        world = World(tree.parents[1] if tree.parent.name == "releases" else tree)
        world.layout = "slots" if tree.parent.name == "releases" else "in-place"
        faults.point("sql")
        world.add_row("half way")
        faults.point("sql")
        world.add_row(f"migrated to {command.split()[1]}")
        faults.point("sql")
        if command == "migrate fail":
            raise steps.InstallError("the migration failed")

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
        mock.patch("updater.site.lock.threading", SimpleNamespace(Event=threading.Event, Thread=_NoThread)),
        injected(faults),
    ):
        yield


class _NoThread:
    """The lock's heartbeat would be a second thread: it may not be there when this process is forked."""

    def __init__(self, **_: object) -> None:
        pass

    def start(self) -> None:
        pass


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
        os.write(writer, ended.encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as source:
        ended = source.read().decode()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, KILLED), status
    return "killed" if status == KILLED else ended
