"""The new code is checked before anything is restarted onto it; failures are remembered and told."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from unittest import mock

import pytest

from tests.engine.sweep import side
from tests.engine.test_recovery import kill_while_applying
from tests.engine.world import V1, V2, World
from updater.errors import RollbackError, RolledBackError
from updater.install.engine import Engine
from updater.install.recovery import MAX_ATTEMPTS
from updater.site import read_history, read_status
from updater.site.failed_releases import read_failures

IMPORTS = 'import app.a; assert app.a.VALUE != 13, "unlucky"'
CHECK = f"check = {json.dumps([sys.executable, '-c', IMPORTS])}\n"
BROKEN = V2 | {"app/a.py": b"VALUE = 13\n"}


@pytest.fixture(params=["in-place", "slots"])
def world(request, tmp_path) -> World:
    world = World(tmp_path / "site", request.param).create()
    world.update("1.0.0", V1)
    world.own_files()
    return world


def alerting(folder: Path) -> str:
    """An alert program that adds each event to a file."""
    script = f"import os; open({str(folder / 'alerts')!r}, 'a').write(os.environ['UPDATER_EVENT'] + chr(10))"
    return f"[alert]\ncommand = {json.dumps([sys.executable, '-c', script])}\n"


def alerts(folder: Path) -> list[str]:
    path = folder / "alerts"
    return path.read_text().split() if path.exists() else []


def test_code_that_does_not_pass_never_sees_a_restart(world, tmp_path):
    log = tmp_path / "log"
    world.configure(
        f'[restart]\ncommand = ["sh", "-c", "cat {world.site.path}/*/version.json {world.site.path}/version.json '
        f'2>/dev/null >> {log}; true"]\n[health]\n{CHECK}' + alerting(tmp_path)
    )
    before = side(world)
    with pytest.raises(RolledBackError, match=r"does not pass .*unlucky") as caught:
        world.update("2.0.0", BROKEN, commands=["migrate"])
    assert "maintainer" in caught.value.hint
    assert side(world) == before
    assert "2.0.0" not in log.read_text()
    assert "unlucky" in read_history(world.site.history_path)[-1]["reason"]
    assert alerts(tmp_path) == ["rolled-back"]


def test_good_code_passes_with_the_new_files_in_place(world):
    world.configure(f"[health]\n{CHECK}")
    assert world.update("2.0.0", V2).result == "done"
    assert world.rollback().result == "done"


def test_failures_are_counted_and_forgotten_on_success(world):
    world.configure(f"[health]\n{CHECK}")
    for _ in range(2):
        with pytest.raises(RolledBackError):
            world.update("2.0.0", BROKEN)
    found = read_failures(world.site.failed_path)
    assert list(found) == ["2.0.0"]
    assert len(found["2.0.0"]) == 2
    assert "unlucky" in found["2.0.0"][0].reason
    world.update("2.0.0", V2)
    assert read_failures(world.site.failed_path) == {}


def test_a_killed_update_counts_once_and_one_its_user_stopped_does_not(world, monkeypatch):
    kill_while_applying(world)
    world.recover()
    assert len(read_failures(world.site.failed_path)["2.0.0"]) == 1
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "_apply", mock.Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(RolledBackError, match="stopped by its user"):
            world.update("2.0.0", V2)
    assert len(read_failures(world.site.failed_path)["2.0.0"]) == 1


def test_a_site_that_is_stuck_says_what_to_type_and_tells_once(world, tmp_path, monkeypatch):
    world.configure(alerting(tmp_path))
    kill_while_applying(world)
    broken = mock.Mock(side_effect=OSError(5, "broken disk"))
    with monkeypatch.context() as patch:
        for layout in ("in_place.InPlace", "slots.Slots"):
            patch.setattr(f"updater.install.{layout}.undo", broken)
        for _ in range(MAX_ATTEMPTS + 2):
            with pytest.raises(RollbackError) as caught:
                world.recover(force=False)
    assert f"updater recover --site {world.path}" in caught.value.hint
    assert "python3 -I -S -E" in caught.value.hint
    assert read_status(world.site.status_path)["state"] == "stuck"
    assert alerts(tmp_path) == ["stuck"]
    world.recover()
    assert world.version == "1.0.0"
    assert alerts(tmp_path) == ["stuck", "rolled-back"]


def test_edited_files_that_stay_are_in_the_outcome_and_the_history(world):
    world.configure('[policy]\nedited = "keep"\n')
    outcome = world.update("2.0.0", V2)
    assert outcome.kept == ("app/settings.py",)
    assert read_history(world.site.history_path)[-1]["kept"] == ["app/settings.py"]
