"""Long names, flags, mounts, rights, files in use: handled, or refused before anything changes."""

from __future__ import annotations

import os
import socket
import stat
import threading
import time

import pytest

from tests.engine.filesystems import (
    APPEND_ONLY,
    IMMUTABLE,
    NOBODY,
    as_user,
    bound,
    flagged,
    mounted,
    need_mounts,
    set_flags,
)
from tests.engine.world import FAILS, LAYOUTS, PRESERVE, SQLITE, World
from updater.errors import InstallError, PreflightError, RolledBackError
from updater.install.obstacles import unwritable
from updater.site import SiteLock, platform

ONE = {"app/a.py": b"1\n", "app/b.txt": b"1\n", "gone/c.txt": b"1\n"}
TWO = {"app/a.py": b"2\n", "app/b.txt": b"2\n"}

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(params=LAYOUTS)
def world(request, tmp_path) -> World:
    world = World(tmp_path / "site", request.param).create()
    world.update("1.0.0", ONE)
    return world


# long names

LONG = "n" * 251 + ".txt"
WIDE = "\u00e9" * 127


@pytest.mark.parametrize("name", [LONG, WIDE])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_longest_names(tmp_path, layout, name):
    world = World(tmp_path / "site", layout).create()
    world.update("1.0.0", {name: b"1", "media/" + name: b"first", "d/" + name: b"1"}, preserve=("/media/",))
    (world.tree / name).write_bytes(b"edited")
    outcome = world.update("2.0.0", {name: b"2", "media/" + name: b"other"}, preserve=("/media/",))
    assert (world.tree / name).read_bytes() == b"2"
    assert (world.site.backups / outcome.id / "edited" / name).read_bytes() == b"edited"
    assert (world.shared / "media" / name).read_bytes() == b"first"
    world.rollback()
    assert (world.tree / name).read_bytes() == b"edited"
    assert (world.tree / "d" / name).read_bytes() == b"1"


@pytest.mark.parametrize("name", [LONG, WIDE, "short"])
def test_what_is_written_to_a_long_name_during_a_failing_update_is_kept(tmp_path, name):
    world = World(tmp_path / "site").create()
    world.update("1.0.0", {name: b"1"})
    world.configure(
        f'[health]\ncommand = ["sh", "-c", "printf written > {name}; false"]\ntimeout = 0.1\ninterval = 0.05\n'
    )
    with pytest.raises(RolledBackError):
        world.update("2.0.0", {name: b"2"})
    assert (world.tree / name).read_bytes() == b"1"
    kept = list(world.site.backups.rglob("*.during-update"))
    assert [path.read_bytes() for path in kept] == [b"written"]


# flags

TOUCHED = {
    "a replaced file": "app/a.py",
    "a deleted file": "gone/c.txt",
    "a folder of a replaced file": "app",
    "a folder of a deleted file": "gone",
    "the site itself": ".",
}


@root
@pytest.mark.parametrize("flag, letter", [(IMMUTABLE, "i"), (APPEND_ONLY, "a"), (IMMUTABLE | APPEND_ONLY, "ia")])
@pytest.mark.parametrize("where", TOUCHED)
def test_what_chattr_protects_is_refused_with_the_command(tmp_path, where, flag, letter):
    world = World(tmp_path / "site").create()
    world.update("1.0.0", ONE)
    path = world.tree / TOUCHED[where]
    before = world.snapshot()
    with flagged(path, flag), pytest.raises(PreflightError) as caught:
        world.update("2.0.0", TWO)
    assert f"chattr -{letter} {path}" in str(caught.value)
    assert world.snapshot() == before
    assert world.leftovers() == []
    world.update("2.0.0", TWO)


@root
def test_what_chattr_protects_and_no_update_touches_is_no_obstacle(world):
    (world.tree / "gone/mine").write_bytes(b"mine")
    with flagged(world.tree / "gone/mine", IMMUTABLE):
        world.update("2.0.0", TWO)
        assert (world.tree / "gone/mine").read_bytes() == b"mine"
        world.rollback()


@root
@pytest.mark.parametrize("path", ["app/a.py", "gone/c.txt"])
def test_a_protected_file_of_an_old_slot_is_copied_instead(tmp_path, path):
    world = World(tmp_path / "site", "slots").create()
    world.update("1.0.0", ONE)
    old = world.tree
    with flagged(old / path, IMMUTABLE):
        world.update("2.0.0", {path: ONE[path], "n": b"n"})
        assert (world.tree / path).read_bytes() == b"1\n"
        assert (old / path).read_bytes() == b"1\n"
        assert (world.tree / path).stat().st_ino != (old / path).stat().st_ino


@root
def test_a_protected_compiled_file_is_seen_too(tmp_path):
    world = World(tmp_path / "site").create()
    world.update("1.0.0", ONE)
    cache = world.tree / "app/__pycache__"
    cache.mkdir()
    compiled = cache / "a.cpython-311.pyc"
    compiled.touch()
    for path in (compiled, cache):
        with flagged(path, IMMUTABLE), pytest.raises(PreflightError, match=r"chattr -i .*__pycache__"):
            world.update("2.0.0", TWO)


# mount points


@pytest.mark.parametrize("path", ["app/a.py", "gone/c.txt"])
def test_a_file_that_is_mounted_is_refused(tmp_path, path):
    need_mounts()
    world = World(tmp_path / "site").create()
    world.update("1.0.0", ONE)
    (tmp_path / "my file").write_bytes(b"1\n")
    with mounted("--bind", tmp_path / "my file", world.tree / path):
        before = world.snapshot()
        with pytest.raises(PreflightError) as caught:
            world.update("2.0.0", TWO)
        assert f"{world.tree / path} is a mount point" in str(caught.value)
        assert f"umount {world.tree / path}" in str(caught.value)
        assert world.snapshot() == before
        assert world.leftovers() == []
    world.update("2.0.0", TWO)


def test_a_mounted_folder_that_would_become_a_file_is_refused(tmp_path):
    need_mounts()
    world = World(tmp_path / "site").create()
    world.update("1.0.0", ONE)
    with bound(world.tree / "gone", tmp_path / "home"):
        before = world.snapshot()
        with pytest.raises(PreflightError, match=f"umount {world.tree}/gone"):
            world.update("2.0.0", TWO | {"gone": b"a file now"})
        assert world.snapshot() == before


def test_a_mount_inside_a_slot_is_refused(tmp_path):
    need_mounts()
    world = World(tmp_path / "site", "slots").create()
    world.update("1.0.0", ONE)
    (world.tree / "uploads").mkdir()
    with bound(world.tree / "uploads", tmp_path / "big disk"):
        before = world.snapshot()
        with pytest.raises(PreflightError, match="the next one would not have"):
            world.update("2.0.0", TWO)
        assert world.snapshot() == before


@pytest.mark.parametrize("layout", LAYOUTS)
def test_mounted_data_is_no_obstacle(tmp_path, layout):
    """media/ as a volume of its own: in place below the site, with slots below shared/."""
    need_mounts()
    world = World(tmp_path / "site", layout).create()
    world.update("1.0.0", ONE | {"media/sample": b"s"}, preserve=("/media/",))
    with bound(world.shared / "media", tmp_path / "big disk"):
        (world.shared / "media/photo").write_bytes(b"mine")
        world.update("2.0.0", TWO | {"media/sample": b"s"}, preserve=("/media/",))
        world.rollback()
        assert (world.tree / "media/photo").read_bytes() == b"mine"


# rights


def _owned_by_nobody(world: World) -> None:
    for path in (world.path, *world.path.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


@root
@pytest.mark.parametrize("path, mode", [("app", 0o555), ("gone", 0o555), (".", 0o500)])
def test_read_only_folders_are_refused_with_the_command(tmp_path, path, mode):
    tmp_path.chmod(0o755)
    world = World(tmp_path / "site").create()
    world.update("1.0.0", ONE)
    _owned_by_nobody(world)
    before_mode = (world.tree / path).stat().st_mode
    (world.tree / path).chmod(mode)
    before = world.snapshot()
    ended = as_user(NOBODY, lambda: world.update("2.0.0", TWO))
    assert ended.startswith("PreflightError"), ended
    assert f"chmod u+wx {world.tree / path}" in ended
    assert world.snapshot() == before
    (world.tree / path).chmod(before_mode)
    assert as_user(NOBODY, lambda: world.update("2.0.0", TWO)) == "done"


@root
def test_read_only_folders_are_no_obstacle_for_root(world):
    for folder in ("app", "gone"):
        (world.tree / folder).chmod(0o555)
    world.update("2.0.0", TWO)
    assert stat.S_IMODE((world.tree / "app").stat().st_mode) == 0o555
    world.rollback()
    assert (world.tree / "gone/c.txt").read_bytes() == b"1\n"


@root
@pytest.mark.parametrize("path", ["app/a.py", "gone/c.txt"])
def test_sticky_folders_are_refused_where_a_file_is_somebody_elses(tmp_path, path):
    tmp_path.chmod(0o755)
    world = World(tmp_path / "site").create()
    world.update("1.0.0", ONE)
    _owned_by_nobody(world)
    folder = (world.tree / path).parent
    folder.chmod(0o1777)
    for one in (folder, world.tree / path):
        os.chown(one, 1234, 1234)
    before = world.snapshot()
    ended = as_user(NOBODY, lambda: world.update("2.0.0", TWO))
    assert ended.startswith("PreflightError"), ended
    assert f"chown {NOBODY} {world.tree / path}" in ended
    assert world.snapshot() == before
    os.chown(world.tree / path, NOBODY, -1)
    assert as_user(NOBODY, lambda: world.update("2.0.0", TWO)) == "done"


@root
def test_what_a_new_slot_needs_and_cannot_read_is_named(tmp_path):
    tmp_path.chmod(0o755)
    world = World(tmp_path / "site", "slots").create()
    world.update("1.0.0", ONE)
    _owned_by_nobody(world)
    secret = world.tree / "secret"
    secret.touch(mode=0o600)
    ended = as_user(NOBODY, lambda: world.update("2.0.0", TWO))
    assert ended.startswith("PreflightError"), ended
    assert f"{secret} cannot be read by this user" in ended


@root
def test_every_obstacle_is_listed(tmp_path):
    world = World(tmp_path / "site").create()
    names = {f"app/{index:02}": b"1" for index in range(14)}
    world.update("1.0.0", names)
    for name in names:
        set_flags(world.tree / name, IMMUTABLE)
    try:
        with pytest.raises(PreflightError) as caught:
            world.update("2.0.0", dict.fromkeys(names, b"2"))
        assert str(caught.value).count("chattr -i") == 10
        assert "and 4 more" in str(caught.value)
        assert len(unwritable(world.tree, world.site.directory, names)) == 14
    finally:
        for name in names:
            set_flags(world.tree / name, 0)


# files in use, and what is no file


def test_open_files_keep_what_they_had(world):
    with (world.tree / "app/b.txt").open("rb") as reader, (world.tree / "gone/c.txt").open("rb") as deleted:
        world.update("2.0.0", TWO)
        assert reader.read() == b"1\n"
        assert deleted.read() == b"1\n"
    assert (world.tree / "app/b.txt").read_bytes() == b"2\n"


def test_a_hard_link_of_the_owners_keeps_the_old_content_and_is_one_again_after_a_failure(tmp_path):
    world = World(tmp_path / "site").create()
    world.update("1.0.0", ONE)
    outside = tmp_path / "outside"
    outside.hardlink_to(world.tree / "app/b.txt")
    world.configure(FAILS)
    with pytest.raises(RolledBackError):
        world.update("2.0.0", TWO)
    assert outside.samefile(world.tree / "app/b.txt")
    world.configure("")
    world.update("2.0.0", TWO)
    assert outside.read_bytes() == b"1\n"
    assert (world.tree / "app/b.txt").read_bytes() == b"2\n"


def test_sockets_and_pipes_in_the_tree_are_no_obstacle(world, monkeypatch):
    """An app may listen on a socket inside its own tree. It stays in the old slot; the next process makes a new one."""
    monkeypatch.chdir(world.tree)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("app.sock")
        os.mkfifo(world.tree / "pipe", 0o620)
        world.update("2.0.0", TWO)
        assert stat.S_ISFIFO((world.tree / "pipe").lstat().st_mode)
        assert (world.tree / "app.sock").exists() == (world.layout == "in-place")
        world.rollback()


def test_a_mode_changed_while_the_update_is_prepared_is_not_lost(tmp_path, monkeypatch):
    world = World(tmp_path / "site").create()
    world.update("1.0.0", ONE)
    with SiteLock(world.site.lock_path):
        engine = world.engine("2.0.0", TWO)
        (world.tree / "app/b.txt").chmod(0o600)
        with pytest.raises(InstallError, match=r"app/b\.txt was changed"):
            engine.run()
    assert stat.S_IMODE((world.tree / "app/b.txt").stat().st_mode) == 0o600


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("outcome", ["done", "rolled back", "rollback"])
def test_uploads_during_the_whole_update(tmp_path, layout, outcome):
    """Up to a hundred files a second into media/: none is lost, whatever becomes of the update."""
    world = World(tmp_path / "site", layout).create(SQLITE)
    world.update("1.0.0", ONE | {"media/sample": b"s"}, preserve=PRESERVE)
    if outcome == "rollback":
        world.update("2.0.0", TWO, preserve=PRESERVE)
    media, written, stop = world.shared / "media", [], threading.Event()

    def upload() -> None:
        while not stop.is_set():
            path = media / f"photo-{len(written)}.jpg"
            path.write_bytes(path.name.encode() * 100)
            written.append(path.name)
            time.sleep(0.01)

    uploader = threading.Thread(target=upload)
    uploader.start()
    try:
        time.sleep(0.1)
        if outcome == "rolled back":
            world.configure(SQLITE + '[health]\ncommand = ["false"]\ntimeout = 0.6\ninterval = 0.1\n')
            with pytest.raises(RolledBackError):
                world.update("2.0.0", TWO, preserve=PRESERVE)
        elif outcome == "rollback":
            world.rollback()
        else:
            world.configure(SQLITE + '[health]\ncommand = ["sleep", "0.5"]\n')
            world.update("2.0.0", TWO, preserve=PRESERVE)
        time.sleep(0.1)
    finally:
        stop.set()
        uploader.join()
    assert len(written) > 15
    lost = [name for name in written if (world.tree / "media" / name).read_bytes() != name.encode() * 100]
    assert lost == []
    assert len(list((world.shared / "media").iterdir())) == len(written) + 1


def test_flags_are_read_where_there_are_some(tmp_path):
    assert platform.flags_of(tmp_path) == frozenset()
    assert platform.flags_of(tmp_path / "absent") == frozenset()
    (tmp_path / "link").symlink_to("absent")
    assert platform.flags_of(tmp_path / "link") == frozenset()
