"""The maintenance page around an update: on from the first step that visitors could notice until one whole version
runs, and never left on, whatever dies in between; but kept on where only a person can help."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.engine.faults import Kind, Strike
from tests.engine.sweep import Scenario, side
from tests.engine.world import LAYOUTS, V1, V2, World
from tests.torture.figures import Figures
from updater.contrib.maintenance import FlagFile
from updater.errors import CommandError, RollbackError, RolledBackError, StateError
from updater.install.engine import Engine
from updater.install.in_place import InPlace
from updater.install.journal import State
from updater.install.recovery import pending
from updater.install.slots import Slots

FLAG = "maintenance.json"
PAGE = f'[maintenance]\nfile = "{FLAG}"\n'

WATCH = """
import hashlib, json, os, pathlib, sys
flag = pathlib.Path(sys.argv[1])
said = json.loads(flag.read_text()) if flag.exists() else None
token = os.environ.get("TAGSHIP_PROBE", "")
known = said is not None and said["probe_sha256"] == hashlib.sha256(token.encode()).hexdigest()
with open(sys.argv[2], "a") as log:
    log.write(f"{sys.argv[3]} {'on' if said else 'off'}{' token' if known else ''}\\n")
sys.exit(int(sys.argv[4]) if len(sys.argv) > 4 else 0)
"""
"""Writes down whether the page is on when a command of the update runs, and whether it was told the token."""


@pytest.fixture(params=LAYOUTS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    found = World(tmp_path / "site", request.param).create(PAGE)
    found.update("1.0.0", V1)
    return found


def watching(world: World, health: int = 0) -> str:
    """Settings under which everything that an update runs writes down whether the page is on."""
    script = world.path.parent / "watch.py"
    script.write_text(WATCH)

    def command(name: str, *more: str) -> str:
        words = [sys.executable, str(script), str(world.path / FLAG), str(world.path.parent / "log"), name, *more]
        return json.dumps(words)

    return (
        f"{PAGE}[restart]\nstop = {command('stop')}\ncommand = {command('restart')}\n"
        f'[commands]\nrunner = {command("migrate")}\nallow = ["0"]\n'
        f"[health]\ncommand = {command('health', str(health))}\nanswers = 1\ntimeout = 0.1\ninterval = 0.05\n"
    )


def log(world: World) -> list[str]:
    path = world.path.parent / "log"
    return path.read_text().splitlines() if path.exists() else []


def flag(world: World) -> dict[str, Any] | None:
    path = world.path / FLAG
    return json.loads(path.read_text()) if path.exists() else None


def test_the_page_is_on_while_anything_happens_and_off_afterwards(world: World) -> None:
    world.configure(watching(world))
    world.update("2.0.0", V2, commands=["0"])
    assert log(world) == ["stop on", "migrate on", "restart on", "health on token"]
    assert flag(world) is None


def test_it_is_on_while_an_update_is_undone_and_off_afterwards(world: World) -> None:
    world.configure(watching(world, health=1))
    before = side(world)
    with pytest.raises(RolledBackError):
        world.update("2.0.0", V2, commands=["0"])
    told = log(world)
    assert told[:4] == ["stop on", "migrate on", "restart on", "health on token"]
    assert told[-2:] == ["stop on", "restart on"]
    assert side(world) == before  # the flag lies in the site: it would show
    assert flag(world) is None


def test_an_update_that_is_refused_leaves_it_off(world: World) -> None:
    world.configure(PAGE + '[restart]\nstop = ["false"]\n')
    with pytest.raises(CommandError):
        world.update("2.0.0", V2)
    assert flag(world) is None


def test_without_the_setting_there_is_no_flag(world: World) -> None:
    world.configure(watching(world).replace(PAGE, ""))
    world.update("2.0.0", V2, commands=["0"])
    assert {line.split()[1] for line in log(world)} == {"off"}


def test_somebody_else_s_file_is_neither_replaced_nor_removed(world: World) -> None:
    (world.path / FLAG).write_text("the owner's")
    before = side(world)
    with pytest.raises(StateError, match="is not the updater's"):
        world.update("2.0.0", V2)
    assert side(world) == before
    world.recover()
    assert (world.path / FLAG).read_text() == "the owner's"


@pytest.mark.parametrize("state", [state for state in State if state not in (State.PREPARED, State.ENDED)])
def test_a_kill_between_steps(world: World, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed right after a state was recorded: visitors see the page until recovery has brought one version back."""
    world.configure(watching(world, health=int(state in (State.UNDOING, State.UNDONE))))
    child = os.fork()
    if child == 0:
        real = Engine._enter

        def enter(self: Engine, entered: State, **details: Any) -> None:
            real(self, entered, **details)
            if entered is state:
                os._exit(9)

        Engine._enter = enter  # type: ignore[method-assign]
        try:
            world.update("2.0.0", V2, commands=["0"])
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    at_kill = flag(world)
    assert (at_kill is None) == (state is State.STOPPING)  # there the record comes first
    monkeypatch.undo()
    seen = len(log(world))
    assert world.recover() is not None
    assert flag(world) is None
    assert world.version == ("2.0.0" if state is State.COMMITTED else "1.0.0")
    assert {line.split()[1] for line in log(world)[seen:]} <= {"on"} or state is State.STOPPING
    assert world.leftovers() == []
    assert world.recover() is None


@pytest.mark.parametrize("ended", ["in the same process", "in another one"])
def test_a_site_that_cannot_be_brought_back_keeps_the_page(
    world: World, ended: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of one version and half of another is nothing for visitors: not even when the time has passed."""
    world.configure(watching(world, health=1))
    layout = Slots if world.layout == "slots" else InPlace
    real = layout.undo

    def broken(self: Any) -> None:
        raise OSError(5, "the disk fails")

    monkeypatch.setattr(layout, "undo", broken)
    with pytest.raises(RollbackError):
        world.update("2.0.0", V2, commands=["0"])
    if ended == "in another one":
        with pytest.raises(RollbackError):
            world.recover()
    page = FlagFile(world.path / FLAG, clock=(datetime.now(UTC) + timedelta(days=30)).timestamp)
    assert page.current() is not None
    monkeypatch.setattr(layout, "undo", real)
    assert world.recover() is not None
    assert world.version == "1.0.0"
    assert flag(world) is None
    assert page.current() is None


def test_a_journal_that_was_removed_by_hand(world: World) -> None:
    """docs/reliability.md, section 7: the page must not outlive that."""
    (world.path / FLAG).write_text(json.dumps({"probe_sha256": "00", "written": "x", "until": None}))
    world.site.journal_path.unlink()
    assert pending(world.site) is None
    world.recover()
    assert flag(world) is None


def test_a_long_migration_does_not_outlast_the_page(world: World) -> None:
    """The flag counts for as long as the step that runs may take, when that is more than the configured time."""
    seen: list[timedelta] = []
    world.configure(watching(world) + "[database]\ntimeout = 5\n")
    text = world.site.config_path.read_text().replace('allow = ["0"]', 'allow = ["0"]\ntimeout = 7200')
    world.site.config_path.write_text(text)

    def listen(event: Any) -> None:
        said = flag(world)
        if "Running" in event.message and said is not None:
            seen.append(datetime.fromisoformat(said["until"]) - datetime.now(UTC))

    world.listen = listen
    world.update("2.0.0", V2, commands=["0"])
    assert seen
    assert seen[0] > timedelta(hours=2)


@pytest.mark.parametrize("kind", ["kill", "error", "full", "interrupt"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_sample_of_faults_with_the_page(tmp_path: Path, layout: Any, kind: Kind) -> None:
    with Scenario(tmp_path / "sweep", layout, "update", settings=PAGE) as scenario:
        points = scenario.points(kind)
        for index, at in enumerate(points[len(kind) :: 1 + len(points) // 11]):
            scenario.case(Strike(kind, at), follow=index % 4 == 2)


@pytest.mark.torture
@pytest.mark.parametrize("operation", ["install", "update", "rollback"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_fault_with_the_page(tmp_path: Path, layout: Any, operation: str) -> None:
    with (
        Figures("failpoints with a maintenance page: one fault") as figures,
        Scenario(tmp_path / "sweep", layout, operation, settings=PAGE) as scenario,
    ):
        for kind in ("kill", "error", "full", "interrupt"):
            for index, at in enumerate(scenario.points(kind)):
                figures.add("cases")
                if wrong := scenario.wrong(Strike(kind, at), follow=index % 16 == 0):
                    figures.wrong(wrong)
