"""Loop devices and mounts that end with their process, however that ends.

Everything is done in a child process with a mount namespace of its own: when it dies, the kernel takes its mounts away,
and the loop devices go with the last of them (``LO_FLAGS_AUTOCLEAR``).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import pickle
import signal
import struct
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

Value = TypeVar("Value")

_CLONE_NEWNS = 0x20000
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000
_MNT_DETACH = 2
_PR_SET_PDEATHSIG = 1
_LOOP_CTL_GET_FREE, _LOOP_CONFIGURE = 0x4C82, 0x4C0A
_LO_FLAGS_AUTOCLEAR = 4
_BTRFS_IOC_FORGET_DEV = 0x50009405
_LOOP_INFO = "=5Q4I64s64s32s2Q"
"""``struct loop_info64`` of linux/loop.h."""

_libc = ctypes.CDLL(None, use_errno=True)


class BrokenError(Exception):
    """What a child process died of, with its traceback."""


def isolated(work: Callable[[], Value]) -> Value:
    """Call ``work`` in a child process with mounts of its own, and give back what it returned.

    Raises BrokenError when it failed.
    """

    def alone() -> Value:
        own_mounts()
        return work()

    return in_child(alone)


def own_mounts() -> None:
    """Give this process a mount namespace of its own: a copy of the present one, which nothing passes to or from."""
    _call(_libc.unshare(_CLONE_NEWNS), "unshare")
    _mount(None, Path("/"), None, _MS_REC | _MS_PRIVATE, None)


def leave_mount(target: Path) -> None:
    """Take the mount ``target`` out of this process's own namespace; it stays mounted in those of others."""
    _call(_libc.umount2(os.fsencode(target), _MNT_DETACH), str(target))


def in_child(work: Callable[[], Value], timeout: int = 0) -> Value:
    """Call ``work`` in a child process, and give back what it returned. Raises BrokenError when it failed, and when
    it took longer than ``timeout`` seconds (0: however long)."""
    reader, writer = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        os.close(reader)
        die_with_parent(parent)
        signal.alarm(timeout)
        try:
            answer: tuple[bool, object] = (True, work())
        except BaseException:
            answer = (False, traceback.format_exc())
        with open(writer, "wb") as out:
            pickle.dump(answer, out)
        os._exit(0)
    os.close(writer)
    try:
        with open(reader, "rb") as source:
            data = source.read()
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if not data:
        raise BrokenError(f"the process ended with {status}")
    done, value = pickle.loads(data)
    if not done:
        raise BrokenError(str(value))
    return value


def die_with_parent(parent: int) -> None:
    """End this process when ``parent``, which started it, ends."""
    _call(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    if os.getppid() != parent:
        os._exit(1)


@contextmanager
def mounted(image: Path, target: Path, kind: str, options: str) -> Iterator[Path]:
    """The filesystem in the file ``image``, mounted at ``target``. Raises OSError when it cannot be mounted."""
    target.mkdir(exist_ok=True)
    handle, device = _attach(image)
    try:
        _mount(device, target, kind, 0, options)
    finally:
        os.close(handle)
    try:
        yield target
    finally:
        unmount(target)
        if kind == "btrfs":
            _forget(device)


def unmount(target: Path) -> None:
    """Unmount; a moment's patience for whoever is just leaving. Raises OSError."""
    for _ in range(100):
        if _libc.umount2(os.fsencode(target), 0) == 0:
            return
        if ctypes.get_errno() != errno.EBUSY:
            break
        time.sleep(0.02)
    number = ctypes.get_errno()
    _libc.umount2(os.fsencode(target), _MNT_DETACH)
    raise OSError(number, os.strerror(number), str(target))


def _attach(image: Path) -> tuple[int, str]:
    """A loop device over ``image``, as an open handle and a path: it goes when nobody has it open or mounted."""
    backing = os.open(image, os.O_RDWR)
    try:
        with open("/dev/loop-control", "rb", buffering=0) as control:
            for _ in range(100):
                device = f"/dev/loop{fcntl.ioctl(control, _LOOP_CTL_GET_FREE)}"
                handle = os.open(device, os.O_RDWR)
                info = struct.pack(_LOOP_INFO, 0, 0, 0, 0, 0, 0, 0, 0, _LO_FLAGS_AUTOCLEAR, b"", b"", b"", 0, 0)
                try:
                    fcntl.ioctl(handle, _LOOP_CONFIGURE, struct.pack("=2I", backing, 512) + info + bytes(64))
                except OSError as error:
                    os.close(handle)
                    if error.errno != errno.EBUSY:
                        raise
                else:
                    return handle, device
    finally:
        os.close(backing)
    raise OSError(errno.EBUSY, "no loop device is free")


def _forget(device: str) -> None:
    """btrfs remembers every device it has seen, and would take the next image for an old copy of this one."""
    with open("/dev/btrfs-control", "rb", buffering=0) as control:
        try:
            fcntl.ioctl(control, _BTRFS_IOC_FORGET_DEV, bytearray(struct.pack("=q4088s", 0, device.encode())))
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise


def _mount(source: str | None, target: Path, kind: str | None, flags: int, data: str | None) -> None:
    words = [None if word is None else word.encode() for word in (source, str(target), kind, data)]
    _call(_libc.mount(words[0], words[1], words[2], ctypes.c_ulong(flags), words[3]), str(target))


def _call(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
