"""Whether this process runs in a container, and on what of it a folder lies (standard library only)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from updater.frozen import frozen
from updater.site.reading import read_file

__all__ = ["Container", "find_container"]

Kind = Literal["docker", "podman", "kubernetes"]

_IMAGE_FILESYSTEMS = ("overlay", "aufs", "fuse-overlayfs", "fuse.fuse-overlayfs", "btrfs", "zfs")
"""What the root of a container lies on. A marker file alone says little: machines are made from container images."""

_MOST = 1 << 20


@frozen
class Container:
    """``mount`` is the mount point on which the folder lies: "/" is the container's own, throw-away filesystem.

    ``started``: when the container's first process began (seconds since the epoch), if that can be told.
    """

    kind: Kind
    mount: str
    started: float | None


def find_container(root: Path, environ: Mapping[str, str], folder: Path) -> Container | None:
    """The container that this process runs in, or None. ``root``: where the machine's own files begin, also its
    ``/proc``."""
    mounts = _mounts(_read(root / "proc/self/mountinfo"))
    kind = _kind(root, environ, image=mounts.get("/", "") in _IMAGE_FILESYSTEMS)
    if kind is None:
        return None
    real, base = Path(os.path.realpath(folder)), Path(os.path.realpath(root))
    inside = Path("/") / real.relative_to(base) if real.is_relative_to(base) else real
    mount = next((str(place) for place in (inside, *inside.parents) if str(place) in mounts), "/")
    return Container(kind, mount, _started(root))


def _kind(root: Path, environ: Mapping[str, str], *, image: bool) -> Kind | None:
    group = _read(root / "proc/1/cgroup")
    if environ.get("KUBERNETES_SERVICE_HOST") or "kubepods" in group:
        return "kubernetes"
    if "libpod" in group or (image and (root / "run/.containerenv").exists()):
        return "podman"
    if re.search(r"/docker[/-]|containerd", group) or (image and (root / ".dockerenv").exists()):
        return "docker"
    return None


def _mounts(text: str) -> dict[str, str]:
    """Mount points and their types, from ``/proc/self/mountinfo`` (proc(5)); a later mount hides an earlier one."""
    found = {}
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        words, kinds = before.split(), after.split()
        if len(words) > 4 and kinds:
            point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), words[4])
            found[point] = kinds[0]
    return found


def _started(root: Path) -> float | None:
    """When process 1 began: ticks since boot in ``/proc/1/stat``, and the boot in ``/proc/stat``."""
    ticks = _read(root / "proc/1/stat").rpartition(")")[2].split()
    booted = re.search(r"^btime (\d+)$", _read(root / "proc/stat"), re.MULTILINE)
    if len(ticks) < 20 or not ticks[19].isdigit() or booted is None:
        return None
    return int(booted[1]) + int(ticks[19]) / os.sysconf("SC_CLK_TCK")


def _read(path: Path) -> str:
    """A small text of the kernel's; empty when it is not there."""
    try:
        return read_file(path, most=_MOST).decode("utf-8", "replace")
    except OSError:
        return ""
