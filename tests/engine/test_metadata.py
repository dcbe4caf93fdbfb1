"""What is set on a file besides its content stays: owner, mode, access control lists, attributes."""

from __future__ import annotations

import json
import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine.filesystems import NOBODY, acl, as_user
from tests.engine.world import FAILS, LAYOUTS, XATTR, World, has_xattrs, what_is_set_on
from tests.support.packages import Symlink
from updater.errors import RolledBackError
from updater.schema.document import Reader, parse_json
from updater.site import metadata
from updater.site.files import copy_file, make_directories
from updater.site.metadata import Metadata, read_metadata, write_metadata

ONE = {
    "app/a.py": b"1\n",
    "app/run": b"1\n",
    "app/link": Symlink("run"),
    "gone/deep/c.txt": b"1\n",
    "gone/l": Symlink("x"),
}
TWO = {"app/a.py": b"2\n", "app/run": b"2\n", "app/link": Symlink("a.py")}
ACL, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
CAPABILITY = "security.capability"
NET_BIND = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)
"""What `setcap cap_net_bind_service+ep` writes (linux/capability.h, revision 2)."""

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture(params=LAYOUTS)
def world(request, tmp_path) -> World:
    world = World(tmp_path / "site", request.param).create()
    world.update("1.0.0", ONE, executable=["app/run"])
    if not has_xattrs(world.tree):
        pytest.skip("this filesystem has no extended attributes")
    return world


def attribute(name: str, value: bytes) -> Callable[[Path], None]:
    return lambda path: os.setxattr(path, name, value)


def everything(path: Path) -> None:
    os.chown(path, 1234, 5678)
    os.setxattr(path, XATTR, b"\0binary\xff")
    os.setxattr(path, ACL, acl((1001, 6), (1002, 4), owner=6, group=4, mask=6))
    os.setxattr(path, "trusted.tagship", b"only root sees it")


SETTINGS: dict[str, Callable[[Path], None]] = {
    "owner": lambda path: os.chown(path, 1234, -1),
    "group": lambda path: os.chown(path, -1, 5678),
    "mode": lambda path: path.chmod(0o640),
    "read-only": lambda path: path.chmod(0o400),
    "user attribute": attribute(XATTR, b"kept"),
    "empty attribute": attribute(XATTR, b""),
    "trusted attribute": attribute("trusted.tagship", b"kept"),
    "access control list": attribute(ACL, acl((1001, 6), owner=6, group=4, mask=6)),
    "narrow mask": attribute(ACL, acl((1001, 7), owner=6, group=4, mask=4)),
    "capability": attribute(CAPABILITY, NET_BIND),
    "everything": everything,
}


@pytest.fixture(params=SETTINGS)
def setting(request) -> Callable[[Path], None]:
    if os.geteuid() != 0:
        pytest.skip("most of it needs root")
    return SETTINGS[request.param]


def test_a_replaced_file_keeps_it(world, setting):
    setting(world.tree / "app/a.py")
    before = what_is_set_on(world.tree / "app/a.py")
    world.update("2.0.0", TWO)
    assert (world.tree / "app/a.py").read_bytes() == b"2\n"
    assert what_is_set_on(world.tree / "app/a.py") == before
    world.rollback()
    assert (world.tree / "app/a.py").read_bytes() == b"1\n"
    assert what_is_set_on(world.tree / "app/a.py") == before


def test_a_failed_update_changes_nothing(world, setting):
    for name in ("app/a.py", "gone/deep/c.txt"):
        setting(world.tree / name)
    world.configure(FAILS)
    before = world.snapshot()
    with pytest.raises(RolledBackError):
        world.update("2.0.0", TWO)
    assert world.snapshot() == before


def test_what_an_update_deleted_comes_back_with_it(world, setting):
    setting(world.tree / "gone/deep/c.txt")
    before = what_is_set_on(world.tree / "gone/deep/c.txt")
    world.update("2.0.0", TWO)
    assert not (world.tree / "gone").exists()
    world.rollback()
    assert what_is_set_on(world.tree / "gone/deep/c.txt") == before


def test_it_comes_back_out_of_a_chain_of_restore_points_too(world, setting):
    setting(world.tree / "gone/deep/c.txt")
    before = what_is_set_on(world.tree / "gone/deep/c.txt")
    for version in ("2.0.0", "3.0.0", "4.0.0"):
        world.update(version, TWO | {"n": version.encode()})
    world.rollback("1.0.0")
    assert what_is_set_on(world.tree / "gone/deep/c.txt") == before


def test_copies_have_it_where_there_are_no_hard_links(world, setting, monkeypatch):
    def refuse(*args, **options):
        raise OSError(95, "no hard links here")

    monkeypatch.setattr("updater.site.files.os.link", refuse)
    for name in ("app/a.py", "gone/deep/c.txt"):
        setting(world.tree / name)
    before = {name: what_is_set_on(world.tree / name) for name in ("app/a.py", "gone/deep/c.txt")}
    world.update("2.0.0", TWO)
    world.rollback()
    assert {name: what_is_set_on(world.tree / name) for name in before} == before
    world.configure(FAILS)
    with pytest.raises(RolledBackError):
        world.update("2.0.0", TWO)
    assert {name: what_is_set_on(world.tree / name) for name in before} == before


@root
def test_own_and_edited_files_of_an_older_slot_keep_it(tmp_path):
    world = World(tmp_path / "site", "slots").create('[policy]\nedited = "keep"\n')
    world.update("1.0.0", ONE)
    for name in ("app/a.py", "own/file"):
        (world.tree / name).parent.mkdir(exist_ok=True)
        (world.tree / name).write_bytes(b"mine")
        everything(world.tree / name)
    everything(world.tree / "own")
    os.setxattr(world.tree, XATTR, b"of the slot itself")
    (world.tree / "own").chmod(0o2770)
    before = {name: what_is_set_on(world.tree / name) for name in ("app/a.py", "own/file", "own", ".")}
    world.update("2.0.0", TWO)
    assert {name: what_is_set_on(world.tree / name) for name in before} == before
    assert (world.tree / "app/a.py").read_bytes() == b"mine"


@root
@pytest.mark.parametrize("keep", [1, 2, 9])
def test_a_folder_that_an_update_removed_comes_back_as_it_was(tmp_path, keep):
    """Its mode may be what keeps others out. With fewer restore points kept, a later one inherits it."""
    for layout in LAYOUTS:
        world = World(tmp_path / layout, layout).create(f"[backup]\nmax_backups = {keep}\n")
        world.update("1.0.0", ONE)
        world.update("1.1.0", ONE | {"n": b"1.1"})
        for name, mode in (("gone", 0o2710), ("gone/deep", 0o700)):
            everything(world.tree / name)
            (world.tree / name).chmod(mode)
        names = ("gone", "gone/deep", "gone/deep/c.txt")
        before = [what_is_set_on(world.tree / name) for name in names]
        world.update("2.0.0", TWO)
        for version in ("2.1.0", "2.2.0") if keep > 2 else ():
            world.update(version, TWO | {"n": version.encode()})
        assert not (world.tree / "gone").exists()
        world.rollback("1.1.0")
        assert [what_is_set_on(world.tree / name) for name in names] == before, layout
        assert what_is_set_on(world.tree / "app") != before[0]


@root
def test_a_folder_nobody_may_write_to_is_remembered_by_whoever_owns_it(tmp_path):
    tmp_path.chmod(0o755)
    world = World(tmp_path / "site").create()
    world.update("1.0.0", ONE)
    for path in (world.path, *world.path.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)

    def there_and_back() -> None:
        (world.tree / "app").chmod(0o555)
        world.update("1.5.0", ONE | {"gone/deep/c.txt": b"1.5"})
        (world.tree / "app").chmod(0o755)
        world.update("2.0.0", TWO)
        world.rollback("1.0.0")

    assert as_user(NOBODY, there_and_back) == "done"


@root
def test_symlinks_keep_their_owner(world):
    for name in ("app/link", "gone/l"):
        os.chown(world.tree / name, 1234, 5678, follow_symlinks=False)
        os.setxattr(world.tree / name, "trusted.tagship", b"link", follow_symlinks=False)
    before = what_is_set_on(world.tree / "app/link")
    world.update("2.0.0", TWO)
    assert os.readlink(world.tree / "app/link") == "a.py"
    assert what_is_set_on(world.tree / "app/link") == before
    world.rollback()
    assert what_is_set_on(world.tree / "gone/l") == before


def test_the_release_decides_what_is_executable_with_a_list_as_well(world):
    """The mask of a list is what the mode shows for the group: it must not shut the others out, nor let more in."""
    for name in ("app/a.py", "app/run"):
        os.setxattr(world.tree / name, ACL, acl((1001, 6), owner=6, group=4, mask=6))
    world.update("2.0.0", TWO, executable=["app/a.py"])
    assert stat.S_IMODE((world.tree / "app/a.py").stat().st_mode) == 0o770
    assert os.getxattr(world.tree / "app/a.py", ACL) == acl((1001, 6), owner=7, group=4, mask=7)
    assert stat.S_IMODE((world.tree / "app/run").stat().st_mode) == 0o660


# what is new


def test_new_files_follow_the_default_list_of_their_folder(world):
    os.setxattr(world.tree / "app", DEFAULT, acl((1001, 6), group=4, mask=6, other=4))
    world.update(
        "2.0.0", TWO | {"app/new.txt": b"n", "app/tool": b"t", "app/in/deep.txt": b"d"}, executable=["app/tool"]
    )
    for name in ("app/new.txt", "app/in/deep.txt"):
        assert os.getxattr(world.tree / name, ACL) == acl((1001, 6), owner=6, group=4, mask=6, other=4), name
    assert os.getxattr(world.tree / "app/tool", ACL) == acl((1001, 6), owner=7, group=4, mask=6, other=4)
    assert os.getxattr(world.tree / "app/in", DEFAULT) == os.getxattr(world.tree / "app", DEFAULT)
    assert os.getxattr(world.tree / "app/in", ACL) == acl((1001, 6), group=4, mask=6, other=4)


def test_a_list_on_the_state_directory_is_not_handed_on(world):
    """Whoever sets a default list on the whole site sets it on .updater as well, where new files are staged."""
    for folder in (world.site.directory, world.site.staging):
        os.setxattr(folder, DEFAULT, acl((1001, 7), other=7))
    expected = what_is_set_on(world.tree / "app/a.py")
    world.update("2.0.0", TWO | {"app/new.txt": b"n"})
    for name in ("app/a.py", "app/new.txt"):
        assert what_is_set_on(world.tree / name) == expected, name


def test_new_folders_beside_a_list_do_not_widen_it(tmp_path):
    (tmp_path / "sub").mkdir()
    os.setxattr(tmp_path / "sub", ACL, acl((1001, 7), group=0))
    make_directories(tmp_path, "sub/new")
    assert os.getxattr(tmp_path / "sub/new", ACL) == acl((1001, 7), group=0)


def test_set_group_folders_hand_their_group_on(world):
    if os.geteuid() == 0:
        os.chown(world.tree / "app", -1, 5678)
    (world.tree / "app").chmod(0o2775)
    group = (world.tree / "app").stat().st_gid
    world.update("2.0.0", TWO | {"app/new.txt": b"n", "app/in/deep.txt": b"d"})
    for name in ("app/new.txt", "app/in", "app/in/deep.txt"):
        assert (world.tree / name).stat().st_gid == group, name
    assert stat.S_IMODE((world.tree / "app/in").stat().st_mode) == 0o2775


@root
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_group_is_kept_by_whoever_is_in_it(tmp_path, layout):
    """Not root: the owner cannot be kept, the group can, and with it whoever reads through it."""
    tmp_path.chmod(0o755)
    world = World(tmp_path / "site", layout).create()
    world.update("1.0.0", ONE)
    for path in (tmp_path / "site", *(tmp_path / "site").rglob("*")):
        os.chown(path, NOBODY, 5678, follow_symlinks=False)
    for folder in (world.tree, world.tree / "app"):
        folder.chmod(0o2755)
    (world.tree / "app/a.py").chmod(0o640)
    (world.tree / "app/run").chmod(0o644)
    os.chown(world.tree / "app/run", NOBODY, 9999)

    def update() -> None:
        world.update("2.0.0", TWO | {"app/new.txt": b"n"})

    assert as_user(NOBODY, update, groups=[5678]) == "done"
    status = (world.tree / "app/a.py").stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (NOBODY, 5678, 0o640)
    assert (world.tree / "app/new.txt").stat().st_gid == 5678
    assert (world.tree / "app/run").stat().st_gid == NOBODY, "a group it is not in cannot be kept"


# the module itself


def test_what_cannot_be_set_is_left_out_and_other_errors_are_raised(tmp_path, monkeypatch):
    one, two = tmp_path / "one", tmp_path / "two"
    one.touch()
    os.setxattr(one, XATTR, b"value")
    for number in (95, 1, 13, 61):  # ENOTSUP, EPERM, EACCES, ENODATA

        def refuse(*args, number=number, **options):
            raise OSError(number, "refused")

        with monkeypatch.context() as patch:
            patch.setattr(os, "setxattr", refuse)
            copy_file(one, two)
        assert os.listxattr(two) == []
        two.unlink()
    for number in (5, 28):  # EIO, ENOSPC

        def fail(*args, number=number, **options):
            raise OSError(number, "failed")

        with monkeypatch.context() as patch:
            patch.setattr(os, "setxattr", fail)
            with pytest.raises(OSError, match="failed"):
                copy_file(one, two)
        two.unlink()


def test_signatures_of_a_content_stay_with_it(tmp_path, monkeypatch):
    """IMA and EVM refuse a file whose content is not the one that was signed."""
    written = []
    path = tmp_path / "file"
    path.touch()
    monkeypatch.setattr(os, "setxattr", lambda path, name, value, **options: written.append(name))
    wanted = {"security.ima": b"1", "security.evm": b"2", XATTR: b"3", "security.selinux": b"4"}
    metadata.set_attributes(path, wanted, other_content=True)
    assert written == [XATTR, "security.selinux"]
    written.clear()
    metadata.set_attributes(path, wanted)
    assert written == list(wanted)


def test_systems_without_such_calls(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.touch()
    for name in ("chown", "listxattr", "getxattr", "setxattr", "removexattr"):
        monkeypatch.delattr(os, name)
    found = read_metadata(path)
    assert found.attributes == {}
    write_metadata(path, Metadata(0o640, 1, 1, {XATTR: b"1"}))
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_json_keeps_every_byte():
    found = Metadata(0o2750, 1, 2**32 - 2, {XATTR: bytes(range(256)), "user.empty": b""})
    reader = Reader(parse_json(json.dumps(found.to_json()).encode(), "it"), "it")
    assert Metadata.read(reader) == found
    reader.finish()
