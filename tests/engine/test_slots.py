"""The slots layout: what lives in a slot, what is shared, and what is carried from one to the next."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.engine.world import FAILS, World
from updater.errors import InstallError, RolledBackError
from updater.install import slots as module
from updater.install.restore_points import delete, list_restore_points
from updater.install.shared import shared_names
from updater.install.slots import LAUNCHER

ONE = {"app.py": b"1\n", "same.txt": b"same\n", "conf/local.cfg": b"default\n"}
TWO = {"app.py": b"2\n", "same.txt": b"same\n", "conf/local.cfg": b"default 2\n"}


@pytest.fixture
def world(tmp_path) -> World:
    return World(tmp_path / "site", "slots").create()


def slots(world: World) -> list[str]:
    return sorted(path.name for path in world.site.releases.iterdir())


def test_shared_names_are_the_preserve_globs_tied_to_the_top():
    patterns = ("/media/", "/data/**", "/db.sqlite3", "/db.sqlite3-*", "*.log", "cache/", "/", "/media/sub/", "/a/b/")
    assert shared_names(patterns) == {"media": True, "data": True, "db.sqlite3": False, "a/b": True}


def test_unchanged_files_are_links_and_the_switch_is_a_symlink(world):
    world.update("1.0.0", ONE)
    world.update("2.0.0", TWO)
    assert os.readlink(world.site.current) == "releases/2.0.0"
    assert slots(world) == ["1.0.0", "2.0.0"]
    one, two = (world.site.releases / name for name in ("1.0.0", "2.0.0"))
    assert one.joinpath("same.txt").samefile(two / "same.txt")
    assert not one.joinpath("app.py").samefile(two / "app.py")
    assert (one / "app.py").read_bytes() == b"1\n"


def test_own_files_are_carried_with_their_folders_and_not_linked(world):
    world.update("1.0.0", ONE)
    (world.tree / "conf/mine.cfg").write_bytes(b"mine")
    (world.tree / "logs").mkdir(mode=0o700)
    (world.tree / "__pycache__").mkdir()
    (world.tree / "__pycache__/app.pyc").write_bytes(b"old bytecode")
    world.update("2.0.0", {"app.py": b"2\n"})
    one = world.site.releases / "1.0.0"
    assert (world.tree / "conf/mine.cfg").read_bytes() == b"mine"
    assert not one.joinpath("conf/mine.cfg").samefile(world.tree / "conf/mine.cfg")
    assert (world.tree / "logs").stat().st_mode & 0o777 == 0o700
    assert not (world.tree / "__pycache__").exists()
    assert not (world.tree / "conf/local.cfg").exists()


def test_a_folder_that_becomes_shared_takes_its_files_along(world):
    """What users uploaded into the slot of a release that did not preserve it must not stay behind."""
    world.update("1.0.0", ONE)
    (world.tree / "media/deep").mkdir(parents=True)
    (world.tree / "media/deep/photo.jpg").write_bytes(b"photo")
    before = world.snapshot()
    world.configure(FAILS)
    with pytest.raises(RolledBackError):
        world.update("2.0.0", TWO, preserve=("/media/", "/db.sqlite3"))
    world.configure("")
    assert world.snapshot() == before
    world.update("2.0.0", TWO, preserve=("/media/", "/db.sqlite3"))
    assert os.readlink(world.tree / "media") == "../../shared/media"
    assert (world.tree / "media/deep/photo.jpg").read_bytes() == b"photo"
    world.update("3.0.0", ONE, preserve=("/media/", "/db.sqlite3"))
    world.update("4.0.0", TWO, preserve=("/media/", "/db.sqlite3"))
    assert (world.tree / "media/deep/photo.jpg").read_bytes() == b"photo"


def test_two_different_files_for_one_shared_name_are_for_the_owner_to_decide(world):
    world.update("1.0.0", ONE)
    (world.tree / "settings.toml").write_bytes(b"in the slot")
    world.site.shared.mkdir()
    (world.site.shared / "settings.toml").write_bytes(b"in shared")
    before = world.snapshot()
    with pytest.raises(InstallError, match=r"settings\.toml"):
        world.update("2.0.0", TWO, preserve=("/settings.toml",))
    assert world.snapshot() == before
    assert world.leftovers() == []


def test_first_content_of_shared_is_the_releases_and_later_the_owners(world):
    world.update("1.0.0", ONE | {"media/sample": b"1"}, preserve=("/media/",))
    assert (world.site.shared / "media/sample").read_bytes() == b"1"
    (world.site.shared / "media/sample").write_bytes(b"changed by the owner")
    world.update("2.0.0", TWO | {"media/sample": b"2", "media/more": b"2"}, preserve=("/media/",))
    assert (world.site.shared / "media/sample").read_bytes() == b"changed by the owner"
    assert (world.tree / "media/more").read_bytes() == b"2"


def test_what_the_app_wrote_to_new_shared_files_is_kept_when_the_update_fails(world):
    world.update("1.0.0", ONE)
    script = "printf written > data/new.txt; printf upload > data/upload; false"
    world.configure(f'[health]\ncommand = ["sh", "-c", "{script}"]\ntimeout = 0.1\ninterval = 0.05\n')
    with pytest.raises(RolledBackError):
        world.update("2.0.0", TWO | {"data/new.txt": b"n"}, preserve=("/data/",))
    assert (world.site.shared / "data/upload").read_bytes() == b"upload"
    assert not (world.site.shared / "data/new.txt").exists()
    [kept] = world.site.backups.rglob("*.during-update")
    assert kept.read_bytes() == b"written"


def test_a_slot_that_was_there_before_is_never_removed(world, monkeypatch):
    world.update("1.0.0", ONE)
    stranger = world.site.releases / "2.0.0"
    real = module.Slots.apply

    def apply(self: module.Slots) -> None:
        stranger.mkdir()
        (stranger / "precious").write_bytes(b"mine")
        real(self)

    monkeypatch.setattr(module.Slots, "apply", apply)
    with pytest.raises(RolledBackError):
        world.update("2.0.0", TWO)
    assert (stranger / "precious").read_bytes() == b"mine"
    monkeypatch.undo()
    world.update("2.0.0", TWO)
    assert os.readlink(world.site.current) == "releases/2.0.0-2"


def test_retention_removes_slots_but_never_the_one_in_use(world):
    world.configure("[backup]\nmax_backups = 1\n")
    world.update("1.0.0", ONE)
    world.update("2.0.0", TWO)
    world.rollback()
    assert slots(world) == ["1.0.0-2", "2.0.0"]
    world.rollback()
    assert slots(world) == ["1.0.0-2", "2.0.0-2"]
    assert (world.tree / "app.py").read_bytes() == b"2\n"
    os.unlink(world.site.current)
    os.symlink("releases/1.0.0-2", world.site.current)  # the owner went back by hand
    delete(world.site, list_restore_points(world.site)[0])
    assert (world.site.releases / "1.0.0-2/app.py").exists()


def test_a_read_only_folder_of_the_owners_can_be_retired(world):
    world.configure("[backup]\nmax_backups = 1\n")
    world.update("1.0.0", ONE)
    (world.tree / "locked").mkdir()
    (world.tree / "locked/f").write_bytes(b"")
    (world.tree / "locked").chmod(0o555)
    for version in ("2.0.0", "3.0.0"):
        world.update(version, TWO)
    assert slots(world) == ["2.0.0", "3.0.0"]


def test_the_launcher_pins_the_release_and_is_the_owners_afterwards(world):
    world.update("1.0.0", ONE)
    launcher = world.path / "launch"
    command = [str(launcher), "sh", "-c", "pwd -P"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().endswith("releases/1.0.0")
    launcher.unlink()
    world.update("2.0.0", TWO)
    assert not launcher.exists(), "the owner removed it"
    launcher.write_text(LAUNCHER + "# mine\n")
    world.configure(FAILS)
    with pytest.raises(RolledBackError):
        world.update("3.0.0", ONE)
    assert launcher.read_text().endswith("# mine\n")
