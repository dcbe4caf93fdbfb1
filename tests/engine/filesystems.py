"""Other filesystems for tests: mounted ones (root), pretended ones, flags, access control lists."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pickle
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.support.require import require, strict

NOBODY = 65534
IMMUTABLE, APPEND_ONLY = 0x10, 0x20
_GET_FLAGS, _SET_FLAGS = 0x80086601, 0x40086602
_LOOP_SET_FD, _LOOP_CLEAR_FD, _LOOP_GET_FREE = 0x4C00, 0x4C01, 0x4C82


def need_mounts() -> None:
    """Skip loudly where this user may not mount; under CI fail."""
    require("mount", "mount")
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["mount", "-t", "tmpfs", "none", folder], capture_output=True, check=False)
        if done.returncode == 0:
            subprocess.run(["umount", folder], check=True)
            return
    message = "REQUIRED PROGRAM MISSING: mount(8) that this user may use (run as root, outside of a container)"
    if strict():
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@contextmanager
def mounted(*arguments: str | Path) -> Iterator[Path]:
    """``mount ARGUMENTS``, the last of which is the place; unmounted at the end, whatever happened."""
    place = Path(arguments[-1])
    subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False, capture_output=True)


@contextmanager
def bound(place: Path, home: Path) -> Iterator[Path]:
    """Move what is in ``place`` to ``home`` and mount that on it: no rename crosses it, whatever filesystem it is."""
    home.mkdir(parents=True)
    subprocess.run(["cp", "-a", f"{place}/.", str(home)], check=True)
    for entry in place.iterdir():
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    with mounted("--bind", home, place):
        yield place


@contextmanager
def volume(place: Path, size: str = "48m") -> Iterator[Path]:
    """A small filesystem of its own on ``place``, with what was there."""
    with tempfile.TemporaryDirectory() as aside:
        subprocess.run(["cp", "-a", f"{place}/.", aside], check=True)
        with mounted("-t", "tmpfs", "-o", f"size={size}", "none", place):
            subprocess.run(["cp", "-a", f"{aside}/.", str(place)], check=True)
            yield place


@contextmanager
def disk(kind: str, home: Path, size: int) -> Iterator[Path]:
    """A new filesystem ``kind`` (ext4, xfs, btrfs, tmpfs) of ``size`` bytes, mounted at ``home``."""
    home.mkdir(parents=True)
    if kind == "tmpfs":
        with mounted("-t", "tmpfs", "-o", f"size={size}", "none", home):
            yield home
        return
    program = require(f"mkfs.{kind}", {"ext4": "e2fsprogs", "xfs": "xfsprogs", "btrfs": "btrfs-progs"}[kind])
    with tempfile.NamedTemporaryFile(dir=home.parent) as image:
        os.truncate(image.name, size)
        options = ["-q", "-m", "0", "-F"] if kind == "ext4" else ["-q", "-f"]
        subprocess.run([program, *options, image.name], check=True, capture_output=True)
        with loop_device(Path(image.name)) as device:
            try:
                with mounted(device, home):
                    yield home
            except subprocess.CalledProcessError as error:
                if error.cmd[0] != "mount":
                    raise
                pytest.skip(f"REQUIRED PROGRAM MISSING: a kernel that mounts {kind}: {error.stderr.decode()}")


@contextmanager
def loop_device(image: Path) -> Iterator[Path]:
    """``image`` as a disk. Not with losetup(8): it asks every loop device there is, and waits for one that hangs."""
    try:
        with open("/dev/loop-control", "rb") as control:
            device = Path(f"/dev/loop{fcntl.ioctl(control, _LOOP_GET_FREE)}")
        handle = os.open(device, os.O_RDWR)
    except OSError as error:
        pytest.skip(f"REQUIRED PROGRAM MISSING: loop devices: {error}")
    try:
        with image.open("r+b") as file:
            fcntl.ioctl(handle, _LOOP_SET_FD, file.fileno())
        try:
            yield device
        finally:
            fcntl.ioctl(handle, _LOOP_CLEAR_FD)  # takes effect when the last one closes it
    finally:
        os.close(handle)


def fill(folder: Path) -> int:
    """Write to a file until not a byte is left; how many bytes that took."""
    written = 0
    with (folder / "filler").open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 512, 1):
            with contextlib.suppress(OSError):
                while True:
                    written += file.write(os.urandom(size))
                    if size < 4096 and written % (1 << 16) == 0:
                        os.fsync(file.fileno())
        with contextlib.suppress(OSError):
            os.fsync(file.fileno())
    return written


@contextmanager
def divided(*borders: Path) -> Iterator[None]:
    """Pretend that each of ``borders`` is mounted: no rename or link crosses it, as with a bind mount."""

    def side(path: Any) -> tuple[bool, ...]:
        full = Path(os.path.realpath(Path(path).parent)) / Path(path).name
        return tuple(full != border and full.is_relative_to(border) for border in borders)

    def guard(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(source: Any, target: Any, *args: Any, **options: Any) -> Any:
            if side(source) != side(target):
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(source), None, str(target))
            return real(source, target, *args, **options)

        return call

    with mock.patch.multiple(os, **{name: guard(name) for name in ("rename", "replace", "link")}):
        yield


@contextmanager
def flagged(path: Path, flag: int) -> Iterator[Path]:
    """chattr +i or +a."""
    set_flags(path, flag)
    try:
        yield path
    finally:
        set_flags(path, 0)


def set_flags(path: Path, flags: int) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        found = bytearray(8)
        fcntl.ioctl(handle, _GET_FLAGS, found)
        before = struct.unpack_from("=I", found)[0]
        kept = before & ~(IMMUTABLE | APPEND_ONLY) | flags
        fcntl.ioctl(handle, _SET_FLAGS, struct.pack("=Q", kept))
    except OSError as error:
        if error.errno in (errno.ENOTTY, errno.EOPNOTSUPP, errno.EPERM) and flags:
            pytest.skip(f"chattr does not work here: {error}")
        raise
    finally:
        os.close(handle)


def acl(*users: tuple[int, int], owner: int = 7, group: int = 5, mask: int = 7, other: int = 0) -> bytes:
    """An access control list as in the attribute ``system.posix_acl_access``; ``users``: (user id, permissions)."""
    unset = 0xFFFFFFFF
    entries = [(0x01, owner, unset), *((0x02, rights, uid) for uid, rights in sorted(users)), (0x04, group, unset)]
    entries += [(0x10, mask, unset), (0x20, other, unset)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def as_user(uid: int, work: Callable[[], object], *, groups: list[int] | None = None) -> str:
    """Do it in a process of that user; "done", "killed", or the exception's name and text."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            if uid != os.geteuid():
                os.setgroups(groups or [])
                os.setgid(uid)
                os.setuid(uid)
            work()
            ended = "done"
        except BaseException as error:
            ended = f"{type(error).__name__}: {error}"
        with open(writer, "wb") as out:
            pickle.dump(ended, out)
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as source:
        data = source.read()
    os.waitpid(child, 0)
    return str(pickle.loads(data)) if data else "killed"
