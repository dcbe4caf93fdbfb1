"""Running a program under strace: which of its system calls touch a site, and a fault at one of them."""

from __future__ import annotations

import os
import re
import resource
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.require import require

CHANGING = (
    "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat", "mkdir",
    "mkdirat", "rmdir", "chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown", "fchownat", "utimensat",
    "write", "pwrite64", "ftruncate", "fsync", "fdatasync", "syncfs", "sendfile", "copy_file_range",
    "fallocate", "setxattr", "lsetxattr", "fsetxattr",
)  # fmt: skip
READING = (
    "openat", "open", "newfstatat", "fstat", "stat", "lstat", "statx", "read", "pread64", "getdents64",
    "readlink", "readlinkat", "statfs", "fstatfs", "access", "faccessat", "faccessat2", "flock", "fcntl",
    "close",
)  # fmt: skip
"""Left out are lseek and ioctl: they ask nothing of the disk."""

_WRITERS = {"write", "pwrite64", "sendfile", "copy_file_range"}
_FLUSHES = {"fsync", "fdatasync", "syncfs"}
_OPENS = re.compile(r"O_WRONLY|O_RDWR|O_CREAT")
_TIMEOUT = 120.0


@dataclass(frozen=True)
class Call:
    """One system call: its name, the how-manyeth of that name in its process, and whether it can change something."""

    name: str
    number: int
    changes: bool
    path: str

    @property
    def errors(self) -> tuple[str, ...]:
        """What the kernel may answer it on a bad day."""
        if self.name in _WRITERS:
            return ("EIO", "ENOSPC", "EINTR")
        if self.name in _FLUSHES:
            return ("EIO", "ENOSPC")
        if self.name in ("openat", "open"):
            return ("EIO", "ENOSPC", "EACCES", "EROFS", "EMFILE") if self.changes else ("EIO", "EACCES", "EMFILE")
        if self.name in ("read", "pread64", "flock", "fcntl"):
            return ("EIO", "EINTR")
        if self.name == "close":
            return ("EIO",)
        return ("EIO", "EACCES", "ENOSPC", "EROFS") if self.changes else ("EIO", "EACCES")


@dataclass(frozen=True)
class Fault:
    """What happens to a call: ``KILL`` before it runs, or the name of an error."""

    call: Call
    what: str

    @property
    def options(self) -> list[str]:
        fate = "signal=SIGKILL" if self.what == "KILL" else f"error={self.what}"
        return ["-e", f"trace={self.call.name}", "-e", f"inject={self.call.name}:{fate}:when={self.call.number}"]

    def hit(self, log: Path, folder: Path) -> bool:
        """Whether what strace wrote says that it met a call that touches ``folder``."""
        lines = log.read_text("utf-8", "replace").splitlines()
        calls = [line for line in lines if line.startswith(f"{self.call.name}(")]
        met = calls[-1:] if self.what == "KILL" else [line for line in calls if "(INJECTED)" in line]
        return any(touches(line, folder) for line in met)

    def __str__(self) -> str:
        return f"{self.what} at {self.call.name} {self.call.number} ({self.call.path})"


@dataclass(frozen=True)
class Done:
    """How a program ended, and what it said. ``code`` is negative for a signal."""

    code: int
    said: str


def environment() -> dict[str, str]:
    """Without proxies, and so that the same run makes the same calls."""
    clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    root = str(Path(__file__).parents[3])
    return clean | {"PYTHONPATH": root, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}


def run(argv: Sequence[str], *, most: int | None = None) -> Done:
    """Run it to its end. ``most``: bytes that a file it writes may have at most (RLIMIT_FSIZE)."""
    done = subprocess.run(
        argv,
        env=environment(),
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_TIMEOUT,
        check=False,
        preexec_fn=None if most is None else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    )
    return Done(done.returncode, done.stdout.decode("utf-8", "replace"))


def strace_words(options: Sequence[str]) -> list[str]:
    """What stands before a program, and before ``-o LOG``. Only its first thread is traced: what it starts runs
    undisturbed, and outlives it."""
    return [require("strace", "strace"), "-qq", "-y", *options]


def counting() -> list[str]:
    """The options that write every call of `CHANGING` and `READING` down."""
    return ["-e", f"trace={','.join('?' + name for name in (*CHANGING, *READING))}"]


def parse_calls(log: Path, folder: Path) -> list[Call]:
    """What a run with the options of `counting` did in ``folder``, in order."""
    counts: Counter[str] = Counter()
    found = []
    for line in log.read_text("utf-8", "replace").splitlines():
        name = line.partition("(")[0]
        counts[name] += 1
        if touches(line, folder):
            changes = name in CHANGING or (name in ("openat", "open") and _OPENS.search(line) is not None)
            path = re.search(re.escape(str(folder)) + r"/?([^\">]*)", line)
            found.append(Call(name, counts[name], changes, path[1] if path else ""))
    return found


def touches(line: str, folder: Path) -> bool:
    """Whether a traced call is about ``folder`` or something in it, by its path or by an open file."""
    return any(f"{folder}{end}" in line for end in '/>"')
