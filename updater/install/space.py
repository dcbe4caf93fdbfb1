"""How much room an update needs on each filesystem that it writes to (standard library only)."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from updater.errors import DiskSpaceError
from updater.frozen import frozen
from updater.install.obstacles import existing
from updater.install.room import walk
from updater.install.shared import inside, shared_names
from updater.install.transaction import Transaction
from updater.install.volumes import is_other_filesystem, volume_of
from updater.schema.globs import matches_any
from updater.site.ballast import LEAST
from updater.site.files import make_private_directory
from updater.site.looking import exists
from updater.site.site import Site

__all__ = ["BLOCK", "MARGIN", "Need", "can_link", "check_needs", "needs"]

MARGIN = 16 * 2**20
"""Bytes that must stay free besides what is computed: journals, history, bytecode."""

BLOCK = 4096
"""Bytes by which a file may take more room than its size."""


@frozen
class Need:
    """``size`` bytes (``files`` new files) on the filesystem that ``folder`` lies or will lie on."""

    folder: Path
    size: int
    what: str
    files: int = 0


def can_link(site: Site) -> bool:
    """Whether the filesystem of ``.updater/`` has hard links. Tried out where the next sweep would clean up."""
    home = site.staging / f"probe-{secrets.token_hex(4)}"
    make_private_directory(home)
    try:
        (home / "one").touch()
        try:
            (home / "two").hardlink_to(home / "one")
        except OSError:
            return False
        return True
    finally:
        shutil.rmtree(home)


def needs(site: Site, transaction: Transaction, tree: Path, *, staged: int, links: bool) -> list[Need]:
    """Everything a transaction will write. ``staged``: bytes for new files, database dump and ballast; ``links``:
    whether ``.updater/`` has hard links. Raises OSError."""
    new = [change.new.size for change in transaction.changes if change.new is not None]
    found = [Need(site.directory, staged + len(new) * BLOCK + MARGIN, "the new files and the database", len(new))]
    if transaction.layout == "in-place":
        return found + _in_place(site, transaction, tree, links)
    return found + _slots(site, transaction, tree, links)


def _in_place(site: Site, transaction: Transaction, tree: Path, links: bool) -> list[Need]:
    known: dict[str, str | None] = {}
    found = []
    for change in transaction.changes:
        volume = volume_of(tree, site.directory, change.path.rpartition("/")[0], known)
        old = 0 if change.old is None else change.old.size + BLOCK
        copies = (change.old is not None and (not links or volume is not None)) + change.edited
        if copies:
            found.append(Need(site.directory, copies * old, "copies of what is replaced", copies))
        if volume is not None and change.new is not None:
            found.append(Need(tree / volume, change.new.size + BLOCK, "the new files", 1))
    volumes = {volume for volume in known.values() if volume is not None}
    return found + [Need(tree / volume, LEAST, "the way back", 1) for volume in volumes]


def _slots(site: Site, transaction: Transaction, tree: Path, links: bool) -> list[Need]:
    """Copies: of what the app may write to, and of everything where a slot cannot be linked to the next one."""
    found = []
    releases = existing(site.releases)
    if is_other_filesystem(site.directory, releases):
        links = False if transaction.old_slot is None else _same_filesystem(tree, releases)
        found += [Need(releases, c.new.size + BLOCK, "the new files", 1) for c in transaction.changes if c.new]
    if transaction.old_slot is None:
        return found
    manifest = site.manifest()
    listed = {} if manifest is None else manifest.files
    names = shared_names(transaction.preserve)
    changed = {change.path for change in transaction.changes}
    for entry in walk(tree):
        status = (tree / entry).lstat()
        if entry in changed or not stat.S_ISREG(status.st_mode):
            continue
        own = entry not in listed or entry in transaction.kept or matches_any(entry, transaction.preserve)
        if inside(entry, names):
            if not exists(site.shared / entry):
                found.append(Need(site.shared, status.st_size + BLOCK, "what moves to shared/", 1))
        elif own or not links:
            found.append(Need(releases, status.st_size + BLOCK, "the site's own files in the new slot", 1))
    return found


def _same_filesystem(one: Path, other: Path) -> bool:
    return not is_other_filesystem(one, other)


def check_needs(wanted: Iterable[Need]) -> None:
    """Raise DiskSpaceError unless each filesystem has room, naming every one that has not. Raises OSError."""
    groups: list[tuple[Path, os.stat_result, tuple[int, int], list[Need]]] = []
    for need in wanted:
        folder = existing(need.folder)
        status, free = folder.stat(), _free(folder)
        for _, known, room, group in groups:
            # btrfs gives each subvolume a device number of its own: equal figures are taken for one filesystem
            if status.st_dev == known.st_dev or free == room:
                group.append(need)
                break
        else:
            groups.append((folder, status, free, [need]))
    short = [line for folder, _, _, group in groups if (line := _judge(folder, group)) is not None]
    if short:
        raise DiskSpaceError(
            "Not enough disk space: " + "; ".join(text for text, _, _ in short) + ".",
            needed=short[0][1],
            available=short[0][2],
            hint="Free some space, or remove old restore points: `updater backup list`, `updater backup delete ID`.",
        )


def _free(folder: Path) -> tuple[int, int]:
    found = shutil.disk_usage(folder)
    return found.total, found.free


def _judge(folder: Path, group: list[Need]) -> tuple[str, int, int] | None:
    needed, files = sum(need.size for need in group), sum(need.files for need in group)
    free = shutil.disk_usage(folder).free
    what = ", ".join(dict.fromkeys(need.what for need in group if need.size))
    if free < needed:
        text = f"{_mib(needed)} needed for {what} on the filesystem of {folder}, {_mib(free)} free"
        return f"{text}, {_mib(needed - free)} too few", needed, free
    room = os.statvfs(folder) if hasattr(os, "statvfs") else None
    if room is not None and room.f_files and room.f_favail < files:
        text = f"{files} new files needed for {what} on the filesystem of {folder}, which has room for {room.f_favail}"
        return f"{text} (no inodes are left)", needed, free
    return None


def _mib(size: int) -> str:
    return f"{-(-size // 2**20)} MiB"
