"""A published shop with a real migration, and the runs of the command line that are struck."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.engine.copying import Frozen, erase
from tests.engine.sweep import CANNOT_LOOK, RECORDED_LATER, difference, side, visible, without_links
from tests.engine.world import World
from tests.support.packages import Symlink, make_package
from tests.support.server import LoopbackServer
from tests.support.site_publisher import SitePublisher
from tests.torture.syscalls.strace import Call, Done, Fault, counting, parse_calls, run, strace_words
from updater import Updater, set_up_site
from updater.cli.exits import Exit
from updater.site import Layout, SiteLock, read_history, read_status

MANAGE = b'''"""Migrates: two transactions, with the end of the updater between them if it is asked for."""
import json, os, signal, sqlite3
version = json.load(open("version.json"))["version"]
connection = sqlite3.connect("db.sqlite3")
with connection:
    connection.execute("CREATE TABLE IF NOT EXISTS log (line TEXT)")
    connection.execute("INSERT INTO log VALUES ('half way')")
if "KILL" in os.environ:
    os.kill(os.getppid(), signal.SIGKILL)
with connection:
    connection.execute("INSERT INTO log VALUES (?)", (f"migrated to {version}",))
connection.close()
'''
RELEASES: dict[str, dict[str, bytes | Symlink]] = {
    "1.0.0": {
        "manage.py": MANAGE,
        "shop/a.py": b"A = 1\n",
        "shop/settings.py": b"DEBUG = False\n",
        "shop/old.py": b"OLD = 1\n",
        "link": Symlink("shop/a.py"),
        "same.txt": b"same\n",
    },
    "1.1.0": {
        "manage.py": MANAGE + b"# newer\n",
        "shop/a.py": b"A = 2\n",
        "shop/settings.py": b"DEBUG = None\n",
        "shop/new/b.py": b"B = 1\n",
        "link": Symlink("shop/new/b.py"),
        "same.txt": b"same\n",
    },
    "1.2.0": {"manage.py": MANAGE, "last.txt": b"last\n"},
}
VERBS = ("update", "rollback", "recover", "migration")
PRESERVE = ("/media/", "/db.sqlite3")
KEPT_CODE = ".updater/bin/"
_PATIENCE = 20.0


@contextmanager
def served() -> Iterator[str]:
    """The feed's address while 1.0.0 to 1.2.0 are published on 127.0.0.1."""
    publisher = SitePublisher()
    for version, files in RELEASES.items():
        publisher.publish(make_package(files, version=version, commands=["migrate"], preserve=PRESERVE))
    with publisher.serving() as server:
        yield feed_of(server)


def feed_of(server: LoopbackServer) -> str:
    return server.url + "stable.json"


class Scene:
    """One run of the command line on a site. ``verb`` is update, rollback or recover, whose own calls are struck, or
    migration: an update, of which those of the release's command are. ``home`` holds the copies."""

    def __init__(self, home: Path, feed: str, layout: Layout, verb: str) -> None:
        self.home, self.layout, self.verb = home, layout, verb
        home.mkdir(parents=True)
        self._runner = home / "runner.sh"
        self._run_commands_by([])
        start = World(home / "start" / "site", layout)
        start.path.mkdir(parents=True)
        runner = json.dumps(["sh", str(self._runner), "manage.py"])
        start.site.config_path.write_text(
            f'[feed]\nurl = "{feed}"\n[database]\nkind = "sqlite"\npath = "db.sqlite3"\n'
            f'[commands]\nrunner = {runner}\nallow = ["migrate"]\n'
        )
        set_up_site(feed, start.path, version="1.0.0", layout=layout)
        (start.tree / "shop/settings.py").write_bytes(b"DEBUG = 'the owner was here'\n")
        (start.tree / "notes.txt").write_bytes(b"mine\n")
        (start.shared / "media").mkdir(exist_ok=True)
        (start.shared / "media/photo.jpg").write_bytes(b"\xff\xd8")
        start.add_row("before")
        if verb == "rollback":
            Updater(start.path).install(Updater(start.path).plan("1.1.0"))
            start.add_row("written under 1.1.0")
        self.old = side(start)
        self.frozen = Frozen.of(home / "start")
        self.log = home / "strace.log"
        world = self.begin("count")
        if verb == "migration":
            self._run_commands_by([*strace_words(counting()), "-o", str(self.log)])
            done = run(self._argv(world))
            self.calls = parse_calls(self.log, world.path)
        else:
            done = run([*strace_words(counting()), "-o", str(self.log), *self._argv(world)])
            self.calls = parse_calls(self.log, world.path)
        assert done.code == Exit.DONE, done.said
        self.new = side(world)
        assert (self.new == self.old) == (verb == "recover")

    def begin(self, name: str) -> World:
        """A fresh site, all but done with what comes before the run that is struck."""
        erase(self.home / name)
        self.frozen.thaw(self.home / name)
        world = World(self.home / name / "site", self.layout)
        if self.verb == "recover":  # inodes belong to what an interrupted update remembers: it cannot be copied
            self._run_commands_by(["env", "KILL=1"])
            done = run(self._program(world, "update", "--yes", "--to", "1.1.0"))
            self._run_commands_by([])
            assert done.code == -9, done.said
            _wait_for_children(world)
        return world

    def case(self, fault: Fault, *, follow: bool = False) -> bool:
        """Strike, recover, judge. Whether the fault met a call that touches the site. Raises AssertionError."""
        world = self.begin("case")
        words = [*strace_words(fault.options), "-o", str(self.log)]
        if self.verb == "migration":
            self._run_commands_by(words)
            done = run(self._argv(world))
            self._run_commands_by([])
        else:
            done = run([*words, *self._argv(world)])
        label = f"{self.layout} {self.verb}, {fault}: {done.code} {done.said[-600:]}"
        hit = fault.hit(self.log, world.path)
        self._judge_at_once(world, done, label)
        _wait_for_children(world)
        self._recover(world, label)
        self._judge(world, done, label)
        if follow:
            Updater(world.path).install(Updater(world.path).plan("1.2.0"))
            assert world.version == "1.2.0", label
            assert world.database()[-1] == "migrated to 1.2.0", label
        return hit

    def _run_commands_by(self, words: list[str]) -> None:
        """What stands before the Python that runs the release's commands."""
        line = shlex.join([*words, sys.executable, "-I", "-S"])
        self._runner.write_text(f'exec {line} "$@"\n')

    def _program(self, world: World, *argv: str) -> list[str]:
        return [sys.executable, "-m", "updater", *argv, "--site", str(world.path)]

    def _argv(self, world: World) -> list[str]:
        words = {"rollback": ["rollback", "--yes"], "recover": ["recover"]}
        return self._program(world, *words.get(self.verb, ["update", "--yes", "--to", "1.1.0"]))

    def _judge_at_once(self, world: World, done: Done, label: str) -> None:
        """The exit code is true already."""
        assert "Traceback" not in done.said or self.verb == "migration", label
        assert "This is a bug in updater" not in done.said, label
        if done.code in (-9, Exit.NEEDS_HUMAN):
            return
        now = side(world)
        if self.verb == "recover" and any(words in done.said for words in CANNOT_LOOK):
            assert done.code == Exit.FAILED, label
            return
        new = done.code == Exit.DONE or RECORDED_LATER in done.said
        if RECORDED_LATER in done.said:
            assert done.code == Exit.FAILED, label
            return
        want = visible(self.new if new else self.old)
        assert visible(now, want) == want, (label, difference(visible(now, want), want))

    def _recover(self, world: World, label: str) -> None:
        done = run(self._program(world, "recover"))
        assert done.code == Exit.DONE, (label, done.code, done.said)

    def _judge(self, world: World, done: Done, label: str) -> None:
        now = without_links(side(world))
        old, new = without_links(self.old), without_links(self.new)
        want = old if now == old else new
        assert now == want, (label, difference(now, want))
        ends_new = done.code == Exit.DONE or RECORDED_LATER in done.said
        if done.code not in (-9, Exit.NEEDS_HUMAN):
            assert self.verb == "recover" or (want is new) == ends_new, label
        manifest = world.site.manifest()
        assert manifest is not None, label
        assert manifest.version == world.version, label
        left = [path for path in world.leftovers() if not path.startswith(".updater/downloads/")]
        assert left == [], (label, left)
        assert Updater(world.path).recover() is None, label
        assert read_status(world.site.status_path)["state"] != "running", label
        event = "rollback" if self.verb == "rollback" else "update"
        entries = [entry for entry in read_history(world.site.history_path) if entry["event"] == event]
        if self.verb == "recover" or want is old:
            assert all(entry["result"] in ("rolled-back", "discarded") for entry in entries), (label, entries)
        else:
            assert [entry["result"] for entry in entries] == ["done"], (label, entries)


def _wait_for_children(world: World) -> None:
    """A migration outlives an updater that is killed; it holds the lock until it has ended."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            with SiteLock(world.site.lock_path):
                return
        except Exception:
            assert time.monotonic() < deadline, "the lock is still held"
            time.sleep(0.02)


def plan(found: list[Call]) -> list[Fault]:
    """The faults of one scene. Of the site's calls: a kill at every one that changes something, an error at every
    third; at every ninth of those that only look, an error, sometimes a kill. Of the copy of the updater that an
    update leaves in ``.updater/bin/`` (hundreds of equal calls): every fortieth."""
    faults: list[Fault] = []
    copies = [call for call in found if call.path.startswith(KEPT_CODE)]
    ours = [call for call in found if not call.path.startswith(KEPT_CODE)]
    changes = [call for call in ours if call.changes]
    looks = [call for call in ours if not call.changes]
    for index, call in enumerate(changes):
        faults.append(Fault(call, "KILL"))
        if index % 3 == 0:
            faults.append(Fault(call, call.errors[index // 3 % len(call.errors)]))
    for index, call in enumerate(looks[::9]):
        whats = (*call.errors, "KILL")
        faults.append(Fault(call, whats[index % len(whats)]))
    for index, call in enumerate(copies[::40]):
        faults.append(Fault(call, "KILL" if index % 2 else call.errors[0]))
    return faults
