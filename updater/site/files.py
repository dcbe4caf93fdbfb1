"""Writing so that a crash leaves the old content or the new, never a mixture (standard library only).

Sources: Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014; Rebello et al., "Can Applications Recover
from fsync Failures?", ATC 2020 (a failed fsync is never retried: the error goes up and the transaction is undone).
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import stat
from pathlib import Path

from updater.site import platform
from updater.site.looking import is_directory
from updater.site.metadata import carry, has_acl, has_default_acl, read_metadata, set_mode, set_owner, write_metadata
from updater.site.reading import open_handle

__all__ = [
    "copy_file",
    "during_update",
    "fsync_directory",
    "hash_file",
    "hidden_name",
    "link_or_copy",
    "make_directories",
    "make_private_directory",
    "move_or_copy",
    "remove_temporaries",
    "remove_tree",
    "sync_filesystem",
    "write_atomic",
]

_CHUNK = 1 << 16
_LONGEST_NAME = 255


def fsync_directory(path: Path) -> None:
    """Make renames and deletions inside ``path`` durable."""
    if platform.WINDOWS:
        return  # it has no such call: NTFS keeps a journal of its names
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        platform.flush(handle)
    finally:
        os.close(handle)


def sync_filesystem(path: Path) -> None:
    """Flush everything written to the filesystem that holds ``path``: one call instead of an fsync per file."""
    platform.flush_filesystem(path)


def write_atomic(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace ``path`` by ``data`` durably: temporary file, fsync, rename, fsync of the directory.

    A ``mode`` that others may read by is set whatever the umask is."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            if mode != 0o600:
                os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            platform.flush(file.fileno())
        platform.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_directory(path.parent)


def remove_temporaries(*paths: Path) -> None:
    """Remove what `write_atomic` left when it was killed while it replaced one of ``paths``."""
    for path in paths:
        for entry in path.parent.glob(f".{path.name}.*.tmp"):
            entry.unlink(missing_ok=True)


def make_private_directory(path: Path) -> None:
    """Create ``path`` (and its parents) readable by its owner alone; an existing one is left as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)


def make_directories(root: Path, relative: str, *models: Path | None, ours: bool = False) -> None:
    """Create the directory ``relative`` below ``root``. Each new one gets what is set on the same directory below the
    first of ``models`` that has it, or else on its parent: what the updater's own umask and user are must not show in
    the site. ``ours``: not in the site but remembered for it, so that this user may write to it in any case."""
    path = f"{root}/{relative}"
    if not relative or is_directory(path, follow=True):
        return
    parent = relative.rpartition("/")[0]
    make_directories(root, parent, *models, ours=ours)
    os.mkdir(path)
    places = (f"{model}/{relative}" for model in models if model is not None)
    known = next((place for place in places if is_directory(place, follow=True)), None)
    if known is not None:
        carry(known if is_directory(known) else os.path.realpath(known), path)
    else:
        _look_like_parent(path, f"{root}/{parent}")
    if ours and not platform.is_root():
        set_mode(path, stat.S_IMODE(os.stat(path).st_mode) | stat.S_IRWXU)


def _look_like_parent(path: str, parent: str) -> None:
    if has_acl(parent):
        write_metadata(path, read_metadata(parent).permissions())
        return
    status = os.stat(parent)
    if platform.is_root():
        set_owner(path, status.st_uid, status.st_gid)
    if not has_default_acl(parent):  # which has just decided, in the kernel
        set_mode(path, stat.S_IMODE(status.st_mode))


def hidden_name(name: str, suffix: str) -> str:
    """A name for something that belongs beside ``name``, short enough for a filesystem (255 bytes)."""
    hidden = f".{name}{suffix}"
    if len(os.fsencode(hidden)) > _LONGEST_NAME:
        hidden = f".{hashlib.sha256(os.fsencode(name)).hexdigest()[:32]}{suffix}"
    return hidden


def during_update(path: Path) -> Path:
    """Where to keep what somebody wrote to ``path`` (in the restore point) while an update was going on."""
    suffix = ".during-update"
    name = f"{path.name}{suffix}"
    return path.with_name(name if len(os.fsencode(name)) <= _LONGEST_NAME else hidden_name(path.name, suffix))


def hash_file(path: str | Path) -> tuple[str, int]:
    """SHA-256 (hex) and size in bytes of a regular file; anything else is an error, and a symlink is not followed."""
    digest, size = hashlib.sha256(), 0
    handle, expected = open_handle(path, flags=getattr(os, "O_NOFOLLOW", 0))
    try:
        while chunk := os.read(handle, min(_CHUNK, expected + 1)):
            digest.update(chunk)
            size += len(chunk)
    finally:
        os.close(handle)
    return digest.hexdigest(), size


def copy_file(source: Path, target: Path) -> None:
    """Copy one file, symlink, pipe or device with all that is set on it, and its times. ``target`` must not exist."""
    status = source.lstat()
    if stat.S_ISLNK(status.st_mode):
        target.symlink_to(os.readlink(source))
    elif stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        os.mknod(target, status.st_mode, status.st_rdev)
    else:
        shutil.copyfile(source, target, follow_symlinks=False)
    carry(source, target)
    if not stat.S_ISLNK(status.st_mode):
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def move_or_copy(source: Path, target: Path) -> None:
    """Rename ``source``, or copy it where ``target`` (which must not exist) lies on another filesystem."""
    try:
        os.replace(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy_file(source, target)


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """A second name for ``source`` at ``target`` where the filesystem can, else a copy."""
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:  # another filesystem, no hard links, too many links, protected_hardlinks: the copy decides
        copy_file(Path(source), Path(target))


def remove_tree(path: Path) -> None:
    """Remove one of our own directories. Absent is fine; anything that cannot be removed raises OSError."""
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        if path.exists():
            raise
    except PermissionError:  # a read-only directory that was copied with its mode
        _make_writable(path)
        shutil.rmtree(path)


def _make_writable(path: Path) -> None:
    path.chmod(stat.S_IMODE(path.stat().st_mode) | stat.S_IRWXU)
    for entry in os.scandir(path):
        if entry.is_dir(follow_symlinks=False):
            _make_writable(Path(entry.path))
