"""Names that are not UTF-8: of the site's own folder, and of what the owner's links lead to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.engine.world import LAYOUTS, V1, V2, World
from updater.errors import RolledBackError
from updater.install.restore_points import list_restore_points
from updater.site import Layout, read_history


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_site_in_such_a_folder_tells_why_an_update_failed(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    world = World(folder / "site", layout).create()
    world.update("1.0.0", V1)
    before = world.snapshot()

    def fail(self: object) -> None:
        raise OSError(f"Input/output error in {world.path}")

    with monkeypatch.context() as patch:
        patch.setattr("updater.install.steps.AppSteps.migrate", fail)
        with pytest.raises(RolledBackError, match="Input/output error"):
            world.update("2.0.0", V2)
    assert world.snapshot() == before
    assert world.leftovers() == []
    entry = read_history(world.site.history_path)[-1]
    assert entry["result"] == "rolled-back"
    assert os.fsencode(entry["reason"]).count(b"caf\xe9") == 1
    world.update("2.0.0", V2)
    assert world.version == "2.0.0"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_owners_link_to_such_a_name_is_saved_and_comes_back(layout: Layout, tmp_path: Path):
    world = World(tmp_path / "site", layout).create()
    world.update("1.0.0", V1)
    link = world.tree / "app/settings.py"
    link.unlink()
    os.symlink(b"/etc/caf\xe9.py", os.fsencode(link))
    world.update("2.0.0", V2)
    assert not (world.tree / "app/settings.py").is_symlink()
    [point] = [point for point in list_restore_points(world.site) if point.version == "1.0.0"]
    world.rollback(point.id)
    assert os.readlink(os.fsencode(world.tree / "app/settings.py")) == b"/etc/caf\xe9.py"
