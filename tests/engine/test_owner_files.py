"""The owner's files: never touched, or kept aside and said so."""

from __future__ import annotations

import os
import stat

import pytest

from tests.engine.world import World, release
from tests.support.packages import Symlink
from updater.errors import InstallError, RolledBackError
from updater.install import in_place
from updater.site.files import link_or_copy

LAYOUTS = ["in-place", "slots"]
ONE = {"app/a.py": b"1\n", "app/b.txt": b"1\n", "gone/c.txt": b"1\n"}
TWO = {"app/a.py": b"2\n", "app/b.txt": b"2\n"}


@pytest.fixture(params=LAYOUTS)
def world(request, tmp_path) -> World:
    world = World(tmp_path / "site", request.param).create()
    world.update("1.0.0", ONE)
    return world


def edit(world: World) -> None:
    (world.tree / "app/b.txt").write_bytes(b"mine\n")
    (world.tree / "gone/c.txt").write_bytes(b"mine too\n")


def test_overwritten_edits_are_kept_and_come_back_with_a_rollback(world):
    edit(world)
    outcome = world.update("2.0.0", TWO)
    assert outcome.edited == ("app/b.txt", "gone/c.txt")
    assert (world.tree / "app/b.txt").read_bytes() == b"2\n"
    assert not (world.tree / "gone").exists()
    kept = world.site.backups / outcome.id / "edited"
    assert (kept / "app/b.txt").read_bytes() == b"mine\n"
    assert (kept / "gone/c.txt").read_bytes() == b"mine too\n"
    world.rollback()
    assert (world.tree / "app/b.txt").read_bytes() == b"mine\n"
    assert (world.tree / "gone/c.txt").read_bytes() == b"mine too\n"


def test_policy_keep_leaves_them_where_they_are_update_after_update(world):
    edit(world)
    world.configure('[policy]\nedited = "keep"\n')
    for version in ("2.0.0", "3.0.0"):
        world.update(version, TWO)
        assert (world.tree / "app/b.txt").read_bytes() == b"mine\n"
        assert (world.tree / "gone/c.txt").read_bytes() == b"mine too\n"
        assert (world.tree / "app/a.py").read_bytes() == b"2\n"
    assert (world.tree / "app/b.txt").stat().st_nlink == 1, "an edited file must not be one with its old self"


def test_policy_stop_refuses(world):
    edit(world)
    world.configure('[policy]\nedited = "stop"\n')
    found = world.changes(release("2.0.0", TWO)[0])
    assert len(found.conflicts) == 2
    assert "app/b.txt" in found.conflicts[0] + found.conflicts[1]


def test_what_the_owner_deleted_is_absent_again_after_a_rollback(world):
    (world.tree / "app/b.txt").unlink()
    world.update("2.0.0", TWO)
    assert (world.tree / "app/b.txt").read_bytes() == b"2\n"
    world.rollback()
    assert not (world.tree / "app/b.txt").exists()


def test_own_files_stay_also_where_everything_else_goes(world):
    (world.tree / "gone/mine.txt").write_bytes(b"mine")
    (world.tree / "gone/empty").mkdir()
    (world.tree / "app/link").symlink_to("/nowhere")
    world.update("2.0.0", TWO)
    assert (world.tree / "gone/mine.txt").read_bytes() == b"mine"
    assert (world.tree / "gone/empty").is_dir()
    assert not (world.tree / "gone/c.txt").exists()
    assert os.readlink(world.tree / "app/link") == "/nowhere"
    world.rollback()
    assert (world.tree / "gone/mine.txt").read_bytes() == b"mine"


def test_modes_stay_the_owners_and_the_release_decides_what_is_executable(world):
    (world.tree / "app/b.txt").chmod(0o640)
    (world.tree / "app/a.py").chmod(0o600)
    (world.tree / "gone/c.txt").chmod(0o600)
    (world.tree / "gone").chmod(0o750)
    world.update("2.0.0", TWO, executable=["app/a.py"])
    assert stat.S_IMODE((world.tree / "app/b.txt").stat().st_mode) == 0o640
    assert stat.S_IMODE((world.tree / "app/a.py").stat().st_mode) == 0o700
    world.rollback()
    assert stat.S_IMODE((world.tree / "app/a.py").stat().st_mode) == 0o600
    assert stat.S_IMODE((world.tree / "gone/c.txt").stat().st_mode) == 0o600, "a secret came back readable for all"


def test_new_folders_look_like_their_surroundings(world):
    (world.tree / "app").chmod(0o2750)
    before = os.umask(0o077)
    try:
        world.update("2.0.0", TWO | {"app/deep/er/f.txt": b""})
    finally:
        os.umask(before)
    assert stat.S_IMODE((world.tree / "app/deep/er").stat().st_mode) == 0o2750
    assert stat.S_IMODE((world.tree / "app").stat().st_mode) == 0o2750


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_owners_are_kept(world):
    for path in ("app", "app/a.py", "gone/c.txt", "gone"):
        os.chown(world.tree / path, 1234, 5678)
    world.update("2.0.0", TWO | {"app/new.txt": b"", "app/deep/f.txt": b""})
    for path in ("app", "app/a.py", "app/new.txt", "app/deep", "app/deep/f.txt"):
        status = (world.tree / path).stat()
        assert (status.st_uid, status.st_gid) == (1234, 5678), path
    world.configure('[health]\ncommand = ["false"]\ntimeout = 0.1\ninterval = 0.05\n')
    with pytest.raises(RolledBackError):
        world.update("3.0.0", {"only.txt": b""})
    assert (world.tree / "app").stat().st_uid == 1234, "the folder was removed and made again"


def test_a_folder_with_own_files_is_not_replaced_by_a_file(world):
    (world.tree / "gone/mine.txt").write_bytes(b"mine")
    before = world.snapshot()
    with pytest.raises(InstallError, match="gone") as caught:
        world.update("2.0.0", TWO | {"gone": b"now a file"})
    assert not isinstance(caught.value, RolledBackError), "it is seen before anything changes"
    assert world.snapshot() == before
    assert world.leftovers() == []
    (world.tree / "gone/mine.txt").unlink()
    world.update("2.0.0", TWO | {"gone": b"now a file"})
    assert (world.tree / "gone").read_bytes() == b"now a file"
    world.rollback()
    assert (world.tree / "gone/c.txt").read_bytes() == b"1\n"


def test_a_link_of_the_release_becomes_a_folder_and_a_folder_a_link(tmp_path):
    for layout in LAYOUTS:
        world = World(tmp_path / layout, layout).create()
        world.update("1.0.0", {"real/x": b"1", "name": Symlink("real"), "folder/y.py": b"y"})
        before = world.snapshot()
        world.update("2.0.0", {"real/x": b"1", "name/x": b"2", "folder": Symlink("real")})
        assert (world.tree / "name/x").read_bytes() == b"2"
        assert (world.tree / "real/x").read_bytes() == b"1", "written through the link"
        assert os.readlink(world.tree / "folder") == "real"
        world.configure('[health]\ncommand = ["false"]\ntimeout = 0.1\ninterval = 0.05\n')
        with pytest.raises(RolledBackError):
            world.update("3.0.0", {"real/x": b"1", "name": Symlink("real"), "folder/y.py": b"y"})
        assert (world.tree / "name/x").read_bytes() == b"2"
        world.configure("")
        world.rollback()
        assert world.site.manifest() is not None
        assert (world.tree / "folder/y.py").read_bytes() == b"y"
        if layout == "in-place":
            after = world.snapshot()
            assert after == before | {"updater.toml": after["updater.toml"]}


def test_a_folder_that_the_owner_made_a_link_is_never_written_through(tmp_path):
    world = World(tmp_path / "site").create()
    world.update("1.0.0", {"static/a.css": b"1", "b": b"1"})
    elsewhere = tmp_path / "elsewhere"
    (world.tree / "static").rename(elsewhere)
    (world.tree / "static").symlink_to(elsewhere)
    conflicts = world.changes(release("2.0.0", {"static/new.css": b"2", "b": b"2"})[0]).conflicts
    assert [line for line in conflicts if "static/new.css" in line and "symlink" in line]
    world.update("2.0.0", {"static/new.css": b"2", "b": b"2"}, preserve=("/static/",))
    assert sorted(path.name for path in elsewhere.iterdir()) == ["a.css"]


def test_a_file_written_during_the_update_is_kept(tmp_path):
    """The app writes to a new file of the release before the health check fails."""
    world = World(tmp_path / "site").create()
    world.update("1.0.0", ONE)
    script = "printf written > app/a.py; printf written > new.txt; false"
    world.configure(f'[health]\ncommand = ["sh", "-c", "{script}"]\ntimeout = 0.1\ninterval = 0.05\n')
    before = world.snapshot()
    with pytest.raises(RolledBackError):
        world.update("2.0.0", TWO | {"new.txt": b"n"})
    assert world.snapshot() == before
    kept = {path.name: path.read_bytes() for path in world.site.backups.rglob("*.during-update")}
    assert kept == {"a.py.during-update": b"written", "new.txt.during-update": b"written"}
    assert world.leftovers() == []


def test_a_file_that_appears_where_the_release_adds_one_is_left_alone(tmp_path, monkeypatch):
    world = World(tmp_path / "site").create()
    world.update("1.0.0", ONE)
    real = in_place.InPlace.apply

    def apply(self: in_place.InPlace) -> None:
        (self.tree / "new.txt").write_bytes(b"just made by the owner")
        real(self)

    monkeypatch.setattr(in_place.InPlace, "apply", apply)
    with pytest.raises(RolledBackError, match="changed while"):
        world.update("2.0.0", TWO | {"new.txt": b"n"})
    assert (world.tree / "new.txt").read_bytes() == b"just made by the owner"


@pytest.mark.parametrize("links", [True, False])
def test_a_file_changed_in_place_after_its_backup_is_not_lost(tmp_path, monkeypatch, links):
    """The backup is the same file under two names: what is written to one is in both."""
    world = World(tmp_path / "site").create()
    world.update("1.0.0", ONE)
    real = in_place.InPlace.apply

    def apply(self: in_place.InPlace) -> None:
        with (self.tree / "app/b.txt").open("ab") as file:
            file.write(b"appended\n")
        real(self)

    def refuse(*args, **options):
        raise OSError(95, "no hard links here")

    if not links:
        monkeypatch.setattr("updater.site.files.os.link", refuse)
    monkeypatch.setattr(in_place.InPlace, "apply", apply)
    with pytest.raises(RolledBackError, match=r"app/b\.txt was changed"):
        world.update("2.0.0", TWO)
    assert (world.tree / "app/b.txt").read_bytes() == b"1\nappended\n"
    assert (world.tree / "app/a.py").read_bytes() == b"1\n"
    assert not list(world.site.backups.rglob("*.during-update"))


def test_without_hard_links_everything_is_copied(tmp_path, monkeypatch):
    def refuse(*args, **options):
        raise OSError(95, "no hard links here")

    monkeypatch.setattr("updater.site.files.os.link", refuse)
    for layout in LAYOUTS:
        world = World(tmp_path / layout, layout).create()
        world.update("1.0.0", ONE | {"l": Symlink("app")})
        world.update("2.0.0", TWO)
        world.rollback()
        assert (world.tree / "app/a.py").read_bytes() == b"1\n"
        assert os.readlink(world.tree / "l") == "app"
    (tmp_path / "x").write_text("x")
    with pytest.raises(FileExistsError):
        monkeypatch.undo()
        link_or_copy(tmp_path / "x", tmp_path / "x")


def test_read_only_files_are_replaced_and_read_only_folders_refused(tmp_path, monkeypatch):
    world = World(tmp_path / "site").create()
    world.update("1.0.0", ONE)
    (world.tree / "app/b.txt").chmod(0o400)
    world.update("2.0.0", TWO)
    assert stat.S_IMODE((world.tree / "app/b.txt").stat().st_mode) == 0o400
    for folder in (world.tree / "app", world.tree / "app/__pycache__"):
        folder.mkdir(exist_ok=True)
        refused = str(folder)
        monkeypatch.setattr(os, "access", lambda path, mode, *, refused=refused, **o: str(path) != refused)
        before = world.snapshot()
        with pytest.raises(InstallError, match=str(folder)):
            world.update("3.0.0", ONE)
        assert world.snapshot() == before
