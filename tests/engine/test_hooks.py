"""The owner's hooks may refuse an update: before anything has changed, and before the new version is committed."""

from __future__ import annotations

import json
import sys

import pytest

from tests.engine.sweep import side
from tests.engine.world import V1, V2, World
from updater.errors import CommandError, RolledBackError
from updater.site import read_history

TELL = "import os; print(*(os.environ['UPDATER_' + name] for name in ('EVENT', 'FROM', 'TO')), os.getcwd())"


@pytest.fixture(params=["in-place", "slots"])
def world(request, tmp_path) -> World:
    world = World(tmp_path / "site", request.param).create()
    world.update("1.0.0", V1)
    return world


def hook(name: str, code: str) -> str:
    return f"[hooks]\n{name} = {json.dumps([sys.executable, '-c', code])}\n"


def test_a_hook_before_the_update_refuses_it_and_nothing_changes(world):
    world.configure(hook("before", f"{TELL}; raise SystemExit('it is Friday')"))
    before = side(world)
    with pytest.raises(CommandError, match=r"own hook refuses it: .*it is Friday") as caught:
        world.update("2.0.0", V2)
    assert "[hooks] before" in caught.value.hint
    assert f"before-update 1.0.0 2.0.0 {world.tree}" in caught.value.output
    assert side(world) == before
    assert [entry["result"] for entry in read_history(world.site.history_path)] == ["done", "discarded"]


def test_a_hook_after_the_update_refuses_it_and_everything_goes_back(world):
    """It sees the new files, and the rollback is the usual one."""
    world.configure(hook("after", "import app.a; assert app.a.VALUE == 1, 'two is one too many'"))
    before = side(world)
    with pytest.raises(RolledBackError, match="two is one too many"):
        world.update("2.0.0", V2)
    assert side(world) == before


def test_hooks_that_agree_let_it_through(world):
    world.configure(hook("before", TELL) + hook("after", TELL).removeprefix("[hooks]\n"))
    assert world.update("2.0.0", V2).result == "done"
    assert world.rollback().result == "done"
