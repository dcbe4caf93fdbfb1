"""What is written for macOS and Windows decides rightly, with a made-up system: the real ones are untested."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from updater.errors import LockedError, StateError
from updater.site import SiteLock, platform
from updater.site.files import fsync_directory
from updater.site.lock import lock_handles, read_holder


def refused(number: int) -> OSError:
    """As Windows would raise it."""
    error = PermissionError(errno.EACCES, "in use")
    error.winerror = number  # type: ignore[attr-defined]
    return error


class Windows:
    """A directory of names; ``busy`` says how often each is in use yet (-1: for ever)."""

    def __init__(self, names: dict[str, str], busy: dict[str, int] | None = None, number: int = 32) -> None:
        self.names, self.busy, self.number = names, busy or {}, number
        self.made: list[str] = []

    def _ask(self, name: str) -> None:
        if self.busy.get(name):
            self.busy[name] -= 1
            raise refused(self.number)

    def replace(self, source: Path, target: Path) -> None:
        if str(target) in self.names:
            self._ask(str(target))
        self.names[str(target)] = self.names.pop(str(source))

    def unlink(self, path: Path) -> None:
        self._ask(str(path))
        del self.names[str(path)]

    def makedirs(self, path: Path, exist_ok: bool) -> None:
        self.made.append(str(path))


@pytest.mark.parametrize("number", [5, 32, 33])
@pytest.mark.parametrize("times", [0, 1, 9])
def test_windows_is_asked_again_with_growing_pauses(times, number):
    system, pauses = Windows({"new": "2", "live": "1"}, {"live": times}, number), []
    platform.replace(Path("new"), Path("live"), windows=True, system=system, sleep=pauses.append)
    assert system.names == {"live": "2"}
    assert len(pauses) == times
    assert pauses == sorted(pauses)
    assert sum(pauses) < 6
    system, pauses = Windows({"live": "1"}, {"live": times}, number), []
    platform.remove(Path("live"), windows=True, system=system, sleep=pauses.append)
    assert system.names == {}
    assert len(pauses) == times


def test_windows_is_not_asked_for_ever():
    system, pauses = Windows({"new": "2", "live": "1"}, {"live": -1}), []
    with pytest.raises(PermissionError):
        platform.replace(Path("new"), Path("live"), windows=True, system=system, sleep=pauses.append)
    assert len(pauses) == platform.TRIES - 1
    assert system.names == {"new": "2", "live": "1"}
    with pytest.raises(PermissionError):
        platform.remove(Path("live"), windows=True, system=system, sleep=pauses.append)


def test_other_errors_are_raised_at_once():
    class Failing(Windows):
        def _ask(self, name: str) -> None:
            raise OSError(errno.EIO, "broken")

    system = Failing({"new": "2", "live": "1"})
    with pytest.raises(OSError, match="broken"):
        platform.replace(Path("new"), Path("live"), aside=Path("aside"), windows=True, system=system, sleep=pytest.fail)
    with pytest.raises(OSError, match="broken"):
        platform.remove(Path("live"), aside=Path("aside"), windows=True, system=system, sleep=pytest.fail)
    assert system.names == {"new": "2", "live": "1"}


class Running(Windows):
    """A program that runs: it can be renamed, but neither replaced nor deleted."""

    def replace(self, source: Path, target: Path) -> None:
        if str(target) in self.names and self.busy.get(str(target)):
            raise refused(5)
        self.names[str(target)] = self.names.pop(str(source))

    def unlink(self, path: Path) -> None:
        raise refused(5)


def test_a_running_program_goes_aside():
    system = Running({"new": "2", "live": "1"}, {"live": -1})
    platform.replace(Path("new"), Path("live"), aside=Path("aside"), windows=True, system=system, sleep=lambda _: None)
    assert system.made == ["aside"]
    assert system.names.pop("live") == "2"
    assert [*system.names.values()] == ["1"]
    assert next(iter(system.names)).startswith("aside")
    system = Running({"live": "1"}, {"live": -1})
    platform.remove(Path("live"), aside=Path("aside"), windows=True, system=system, sleep=lambda _: None)
    assert [*system.names.values()] == ["1"]
    assert "live" not in system.names


def test_what_went_aside_comes_back_when_its_place_cannot_be_taken():
    class Unlucky(Running):
        def replace(self, source: Path, target: Path) -> None:
            if str(source) == "new" and "live" not in self.names:
                raise OSError(errno.EIO, "broken")
            super().replace(source, target)

    system = Unlucky({"new": "2", "live": "1"}, {"live": -1})
    with pytest.raises(OSError, match="broken"):
        platform.replace(
            Path("new"), Path("live"), aside=Path("aside"), windows=True, system=system, sleep=lambda _: None
        )
    assert system.names == {"new": "2", "live": "1"}


def test_elsewhere_it_is_one_call():
    system = Windows({"new": "2", "live": "1"}, {"live": -1})
    with pytest.raises(PermissionError):
        platform.replace(Path("new"), Path("live"), windows=False, system=system, sleep=pytest.fail)


# flushing


@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.ENOTTY, errno.EINVAL])
def test_macos_flushes_the_drive_as_well_where_it_can(monkeypatch, number):
    synced: list[int] = []
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    platform.flush(7, macos=True, control=lambda *arguments: asked.append(arguments))
    assert (asked, synced) == ([(7, 51)], [])

    def refuse(handle: int, command: int) -> None:
        raise OSError(number, "not here")

    platform.flush(7, macos=True, control=refuse)
    assert synced == [7]
    platform.flush(8, macos=False, control=pytest.fail)
    assert synced == [7, 8]


def test_a_failed_flush_is_never_taken_for_another_filesystem(monkeypatch):
    def fail(handle: int, command: int) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "fsync", pytest.fail)
    with pytest.raises(OSError, match="broken"):
        platform.flush(7, macos=True, control=fail)


def test_windows_flushes_file_by_file(tmp_path, monkeypatch):
    for name in ("one", "sub/two"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "link").symlink_to("one")
    sizes: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda handle: sizes.append(os.fstat(handle).st_size))
    monkeypatch.setattr(platform, "WINDOWS", True)
    platform.flush_filesystem(tmp_path)
    assert sorted(sizes) == [3, 7]
    fsync_directory(tmp_path / "not even there")


# locks


def test_windows_locks_a_byte_behind_the_text(tmp_path, monkeypatch):
    """Nobody may read a byte that is locked, and `updater status` reads the text."""
    calls: list[tuple[int, int, int]] = []

    def locking(handle: int, mode: int, count: int) -> None:
        calls.append((os.lseek(handle, 0, os.SEEK_CUR), mode, count))

    monkeypatch.setattr(platform, "import_module", lambda name: SimpleNamespace(LK_NBLCK=2, locking=locking))
    handle = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    platform.lock(handle, windows=True)
    os.close(handle)
    assert calls == [(1 << 30, 2, 1)]


def test_windows_passes_no_lock_on(tmp_path, monkeypatch):
    with SiteLock(tmp_path / "lock"):
        assert len(lock_handles(tmp_path / "lock")) == 1
        monkeypatch.setattr(platform, "WINDOWS", True)
        assert lock_handles(tmp_path / "lock") == ()


def test_the_holder_is_written_without_pwrite_too(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "pwrite")
    with SiteLock(tmp_path / "lock"):
        holder = read_holder(tmp_path / "lock")
        assert holder is not None
        assert holder.pid == os.getpid()
        with pytest.raises(LockedError, match=str(os.getpid())):
            SiteLock(tmp_path / "lock").__enter__()


def test_a_filesystem_without_locks_is_not_taken_for_a_running_update(tmp_path, monkeypatch):
    def refuse(handle: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(platform, "lock", refuse)
    with pytest.raises(StateError, match="cannot lock"):
        SiteLock(tmp_path / "lock").__enter__()


def test_everything_loads_without_what_only_unix_has():
    """`fcntl` and the calls of `os` that Windows lacks are looked for when they are needed."""
    names = ("files", "lock", "metadata", "platform", "ballast")
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_UNIX, *(f"updater.site.{name}" for name in names)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


_WITHOUT_UNIX = """
import importlib, os, sys
sys.modules["fcntl"] = None
for name in ("geteuid", "chown", "O_NONBLOCK", "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "listxattr", "setxattr",
             "getxattr", "removexattr", "posix_fallocate", "sync", "statvfs"):
    if hasattr(os, name):
        delattr(os, name)
for name in sys.argv[1:]:
    importlib.import_module(name)
from updater.site.platform import is_root
assert not is_root()
"""


# what the owner is told


def test_the_command_that_unlocks():
    both = frozenset({"immutable", "append-only"})
    path = Path("/srv/my site/a")
    assert platform.command_to_unlock(path, both, chattr=True) == "chattr -ia '/srv/my site/a'"
    assert platform.command_to_unlock(path, frozenset({"append-only"}), chattr=True) == "chattr -a '/srv/my site/a'"
    assert platform.command_to_unlock(path, frozenset({"immutable"}), chattr=False).startswith("chflags nouchg,noschg")


def test_flags_of_systems_that_have_them_in_stat(monkeypatch):
    class Stat:
        st_flags: Any = 0

    class Found:
        def __init__(self, flags: int) -> None:
            self.flags = flags

        def lstat(self) -> Any:
            return SimpleNamespace(st_flags=self.flags)

    monkeypatch.setattr(os, "stat_result", Stat)
    for flags, expected in ((0, set()), (0x2, {"immutable"}), (0x20000, {"immutable"}), (0x40004, {"append-only"})):
        assert platform.flags_of(Found(flags)) == expected  # type: ignore[arg-type]


def test_flags_are_no_reason_to_fail(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "platform", "sunos5")
    assert platform.flags_of(tmp_path) == frozenset()


_BLOCKS = """
import re, sys
from updater.site.platform import give_memory_back

def resident():
    return int(re.search(r"VmRSS:\\s*(\\d+)", open("/proc/self/status").read())[1]) // 1024

if sys.argv[1] == "given back":
    give_memory_back()
block = b"x" * (16 << 20)
del block  # from now on glibc takes blocks of up to 16 MiB from the heap, whose end the last one holds
before = resident()
blocks = [b"x" * (2 << 20) for _ in range(16)]
del blocks[:-1]
print(resident() - before)
"""


@pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in os.confstr_names, reason="another C library")
def test_freed_memory_is_given_back() -> None:
    def kept(how: str) -> int:
        return int(subprocess.run([sys.executable, "-c", _BLOCKS, how], check=True, capture_output=True).stdout)

    assert kept("given back") < 8 <= kept("as it is")


def test_other_systems_have_no_such_setting() -> None:
    platform.give_memory_back(linux=False)
