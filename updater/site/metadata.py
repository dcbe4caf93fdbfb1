"""What belongs to a file besides its content: owner, mode, access control lists, extended attributes.

A file that is replaced is a new inode, and so is every copy: what the owner had set on the old one is carried over
(standard library only). Owners need root; attributes that this user may not set, or that the filesystem does not
have, are left out without a word: they cannot be kept by anybody who updates like this. Any other error is raised.

Sources: acl(5), xattr(7), capabilities(7).
"""

from __future__ import annotations

import base64
import errno
import os
import stat
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from updater.frozen import frozen
from updater.schema.document import Reader
from updater.site.platform import is_root

__all__ = [
    "Metadata",
    "adopt_surroundings",
    "carry",
    "has_acl",
    "has_default_acl",
    "read_metadata",
    "set_attributes",
    "set_mode",
    "set_owner",
    "write_metadata",
]

_ACL = "system.posix_acl_access"
_DEFAULT_ACL = "system.posix_acl_default"
_OF_CONTENT = ("security.ima", "security.evm")
"""Signatures of one content: with another one they would lock the file."""

_OURS_TO_REMOVE = ("user.", "system.posix_acl_")
_IMPOSSIBLE = {errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM, errno.EACCES, errno.ENODATA, errno.ENOSYS, errno.EINVAL}


@frozen
class Metadata:
    """Of one file, directory or symlink. ``mode``: the permission bits; ``attributes``: ACLs among them (Linux)."""

    mode: int
    uid: int
    gid: int
    attributes: Mapping[str, bytes] = field(default_factory=dict)

    def permissions(self) -> Metadata:
        """Without the attributes that are not about permissions."""
        return replace(self, attributes={_ACL: self.attributes[_ACL]} if _ACL in self.attributes else {})

    def to_json(self) -> dict[str, Any]:
        encoded = {name: base64.b64encode(value).decode() for name, value in self.attributes.items()}
        return self.__dict__ | {"attributes": encoded}

    @classmethod
    def read(cls, reader: Reader) -> Metadata:
        """Read it back; what is wrong is noted in ``reader``."""
        decoded = {}
        for name, text in reader.text_map("attributes").items():
            try:
                decoded[name] = base64.b64decode(text, validate=True)
            except ValueError as error:
                reader.problem("attributes", f"{name!r} is not base64: {error}")
        return cls(
            reader.integer("mode", maximum=0o7777),
            reader.integer("uid", maximum=2**32),
            reader.integer("gid", maximum=2**32),
            decoded,
        )


def read_metadata(path: str | Path) -> Metadata:
    """What is set on ``path`` itself, a symlink not followed. Raises OSError."""
    status = os.lstat(path)
    return Metadata(stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, _attributes(path))


def write_metadata(path: str | Path, wanted: Metadata) -> None:
    """Make ``path`` look like that, as far as this user may. Raises OSError."""
    # the owner first: changing it clears capabilities and set-id bits; the mode last: it bounds an ACL's mask
    set_owner(path, wanted.uid, wanted.gid)
    set_attributes(path, wanted.attributes)
    if not stat.S_ISLNK(os.lstat(path).st_mode):
        set_mode(path, wanted.mode)


def carry(source: str | Path, target: str | Path) -> None:
    """Give an exact copy what is set on ``source``."""
    write_metadata(target, read_metadata(source))


def set_owner(path: str | Path, uid: int, gid: int) -> None:
    """Root gives the file away. Anybody else gives it to the group, when in it: then its readers stay the same."""
    if not hasattr(os, "chown"):
        return
    status = os.lstat(path)
    if (status.st_uid, status.st_gid) == (uid, gid):
        return
    if is_root():
        os.chown(path, uid, gid, follow_symlinks=False)
    elif status.st_gid != gid:
        try:
            os.chown(path, -1, gid, follow_symlinks=False)
        except PermissionError:
            pass  # not a member: the file stays in this user's group, as anything that this user makes


def set_mode(path: str | Path, mode: int) -> None:
    """`chmod` unless it is so already: it would clear the set-group-id bit for whoever is not in that group."""
    if stat.S_IMODE(os.stat(path).st_mode) != mode:
        os.chmod(path, mode)


def set_attributes(path: str | Path, wanted: Mapping[str, bytes], *, other_content: bool = False) -> None:
    """Make the extended attributes of ``path`` those. ``other_content``: they come from a file with another content."""
    if not hasattr(os, "setxattr"):
        return  # macOS and Windows: Python has no call for them
    present = _attributes(path)
    for name in present:
        if name not in wanted and name.startswith(_OURS_TO_REMOVE):
            _leniently(os.removexattr, path, name)  # an ACL that it inherited where it was staged, say
    for name, value in wanted.items():
        if present.get(name) != value and not (other_content and name in _OF_CONTENT):
            _leniently(os.setxattr, path, name, value)


def adopt_surroundings(path: str | Path, folder: str | Path, *, owner: tuple[int, int], file: bool, mode: int) -> None:
    """Make a new file (or symlink) look as if ``owner`` (user and group) had created it in ``folder``.

    ``mode`` is for folders without a default ACL; where there is one, it alone says who may do what.
    """
    if is_root() or os.stat(folder).st_mode & stat.S_ISGID:
        set_owner(path, *owner)
    if not file:
        return
    inherited = _attributes(folder).get(_DEFAULT_ACL)
    others = {name: value for name, value in _attributes(path).items() if name != _ACL}
    set_attributes(path, others if inherited is None else {**others, _ACL: inherited})
    if inherited is not None:
        mode = stat.S_IMODE(os.stat(path).st_mode) & (0o777 if mode & 0o100 else 0o666)
    set_mode(path, mode)


def has_acl(folder: str | Path) -> bool:
    """Whether the mode of ``folder`` is not all that says who may do what there, and new directories do not inherit."""
    found = _attributes(folder)
    return _ACL in found and _DEFAULT_ACL not in found


def has_default_acl(folder: str | Path) -> bool:
    """Whether what is created in ``folder`` gets its permissions from there."""
    return _DEFAULT_ACL in _attributes(folder)


def _attributes(path: str | Path) -> dict[str, bytes]:
    if not hasattr(os, "listxattr"):
        return {}
    found = {}
    for name in _leniently(os.listxattr, path) or ():
        value = _leniently(os.getxattr, path, name)
        if value is not None:
            found[name] = value
    return found


def _leniently(call: Any, *args: Any) -> Any:
    """None where that cannot be done by this user or on this filesystem."""
    try:
        return call(*args, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _IMPOSSIBLE:
            raise
        return None
