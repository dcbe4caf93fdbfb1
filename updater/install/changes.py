"""What an update does to the files of a site: a pure function of two manifests and what was observed.

What to delete comes only from *old manifest - new manifest*; what no manifest lists is never touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, cast

from updater.errors import BlockedError
from updater.frozen import frozen
from updater.install.observe import KINDS, Kind, Observed
from updater.install.records import read_content
from updater.schema.document import Reader
from updater.schema.globs import matches_any
from updater.schema.manifest import Manifest, ManifestFile
from updater.schema.paths import check_path, collision_key, twins
from updater.schema.site_config import EditedPolicy
from updater.schema.version_file import VERSION_FILE_NAME

__all__ = ["Change", "Changes", "compute_changes", "parents_of"]

Action = Literal["add", "replace", "delete"]


@dataclass(frozen=True)
class Change:
    """One path that changes. ``new`` is None for a deletion, ``old`` (what is on disk now) for an addition.

    ``edited`` means that the owner had changed the file: a copy is kept aside.
    """

    path: str
    action: Action
    new: ManifestFile | None = None
    old: Observed | None = None
    edited: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "action": self.action,
            "new": None if self.new is None else _members(self.new) | {"extra": {}},
            "old": None if self.old is None else _members(self.old),
            "edited": self.edited,
        }

    @classmethod
    def read(cls, reader: Reader) -> Change:
        """Read one back; what is wrong is noted in ``reader``."""
        path = reader.text("path", check=check_path)
        action = cast(Action, reader.choice("action", ("add", "replace", "delete")))
        new, old = reader.child("new", required=False), reader.child("old", required=False)
        if (new is None) != (action == "delete"):
            reader.problem("new", f"does not go with the action {action!r}")
        if old is None and action != "add":
            reader.problem("old", f"does not go with the action {action!r}")
        if new is not None and new.text("path", check=check_path) != path:
            new.problem("path", "is not that of the change")
        return cls(
            path=path,
            action=action,
            new=None if new is None else ManifestFile(path, **read_content(new)),
            old=None if old is None else _read_observed(old),
            edited=reader.flag("edited", default=False),
        )


def _members(value: ManifestFile | Observed) -> dict[str, Any]:
    return {member.name: getattr(value, member.name) for member in fields(value)}


def _read_observed(reader: Reader) -> Observed:
    return Observed(
        kind=cast(Kind, reader.choice("kind", KINDS)),
        **read_content(reader),
        inode=reader.integer("inode", maximum=2**64),
        mtime_ns=reader.integer("mtime_ns", minimum=-(2**70), maximum=2**70),  # filesystems know years beyond 2262
        listed=reader.flag("listed", default=True),
    )


@frozen
class Changes:
    """All of them, in the order in which they are applied, and what stays although the manifests differ.

    ``edited``: the owner's changes that are replaced, a copy kept. ``kept``: the owner's changes that stay (policy).
    ``missing``: files of the installed release that are gone from the disk, and come back.
    ``preserved``: paths that belong to the site. ``conflicts``: sentences about what makes the update impossible.
    """

    changes: tuple[Change, ...]
    edited: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    preserved: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def refuse_conflicts(self, what: str) -> None:
        """Raise BlockedError, with the conflicts as its reasons, if there are any. ``what``: "The update to 1.1.0"."""
        if self.conflicts:
            count = len(self.conflicts)
            raise BlockedError(
                f"{what} is blocked by {count} of this site's files." if count > 1 else f"{what} is blocked by a file.",
                reasons=self.conflicts,
                hint="Move these files away, or set [policy] edited in updater.toml.",
            )

    @property
    def to_write(self) -> tuple[ManifestFile, ...]:
        """The files that have to be staged."""
        return tuple(change.new for change in self.changes if change.new is not None)

    @property
    def bytes_to_write(self) -> int:
        """Their size together, in bytes."""
        return sum(file.size for file in self.to_write)

    def count(self, action: Action) -> int:
        """How many paths are added, replaced or deleted."""
        return sum(change.action == action for change in self.changes)


@dataclass
class _Draft:
    policy: EditedPolicy
    changes: list[Change] = field(default_factory=list)
    edited: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    preserved: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)

    def change_edited(self, path: str, action: Action, new: ManifestFile | None, seen: Observed) -> None:
        """Apply the owner's policy to a listed file that the owner changed."""
        if self.policy == "keep":
            self.kept.append(path)
        elif self.policy == "stop":
            self.conflicts.append(f"{path} was edited on this site, and [policy] edited is 'stop'")
        else:
            self.edited.append(path)
            self.changes.append(Change(path, action, new, seen, edited=True))


def compute_changes(
    old: Manifest | None, new: Manifest, observed: Mapping[str, Observed], policy: EditedPolicy
) -> Changes:
    """Compare the installed manifest with the new one, given what lies on disk at the paths of both."""
    draft = _Draft(policy)
    aliases = _aliases(old, observed)
    observed = {path: seen for path, seen in observed.items() if path not in aliases}
    if old is not None:
        preserve = (*old.preserve, *new.preserve)
        for path, file in old.files.items():
            if path not in new.files and path in observed:
                _drop(draft, file, observed[path], preserved=matches_any(path, preserve))
    gone = {change.path for change in draft.changes}
    old_files = {} if old is None else old.files
    for path, file in new.files.items():
        seen = observed.get(path)
        if path in aliases and aliases[path] not in gone:
            draft.conflicts.append(f"{path} is the same file as {aliases[path]} here, which stays as the owner's")
        elif matches_any(path, new.preserve) and seen is not None:
            draft.preserved.append(path)
        elif seen is None:
            draft.changes.append(Change(path, "add", file))
        elif seen.kind in ("behind-symlink", "behind-file", "directory", "other"):
            _make_room(draft, file, seen, gone, old_files)
        elif not seen.matches(file):
            _replace(draft, file, seen, old_files.get(path))
    return Changes(
        changes=tuple(_in_order(draft.changes)),
        edited=tuple(sorted(draft.edited)),
        kept=tuple(sorted(draft.kept)),
        preserved=tuple(sorted(draft.preserved)),
        conflicts=tuple(draft.conflicts),
        missing=tuple(sorted(change.path for change in draft.changes if _comes_back(change, old_files, observed))),
    )


def _comes_back(change: Change, installed: Mapping[str, ManifestFile], observed: Mapping[str, Observed]) -> bool:
    return change.action == "add" and change.path in installed and change.path not in observed


def _aliases(old: Manifest | None, observed: Mapping[str, Observed]) -> dict[str, str]:
    """Of two spellings that lead to one file, on a filesystem that folds case, the one that counts as absent, and the
    one that is kept for it: the installed release's, else the one that the directory lists."""
    found: dict[str, str] = {}
    for names in twins(observed).values():
        if not all(observed[name].listed for name in names):
            installed = [name for name in names if old is not None and name in old.files]
            kept = [*installed, *(name for name in names if observed[name].listed), *names][0]
            found.update({name: kept for name in names if name != kept})
    return found


def _drop(draft: _Draft, file: ManifestFile, seen: Observed, *, preserved: bool) -> None:
    """A file that the new release no longer has."""
    if seen.kind == "behind-file":
        return  # gone already
    if preserved:
        draft.preserved.append(file.path)
    elif seen.kind in ("directory", "other", "behind-symlink"):
        draft.kept.append(file.path)  # the owner put something else there: not ours to delete
    elif seen.matches(file):
        draft.changes.append(Change(file.path, "delete", None, seen))
    else:
        draft.change_edited(file.path, "delete", None, seen)


def _make_room(
    draft: _Draft, file: ManifestFile, seen: Observed, gone: set[str], old_files: Mapping[str, ManifestFile]
) -> None:
    """Something that is no file stands in the way: fine when the old release put it there and it is deleted first."""
    path = file.path
    if seen.kind == "other":
        draft.conflicts.append(f"{path} is a device, socket or pipe on this site")
    elif seen.kind == "directory":
        inside = [name for name in old_files if name.startswith(path + "/")]
        left = [name for name in inside if name in draft.kept or name in draft.preserved]
        if inside and not left:
            draft.changes.append(Change(path, "add", file))
        else:
            draft.conflicts.append(f"{path} is a directory on this site, the release has a file there")
    elif not gone.isdisjoint(parents_of(path)):
        draft.changes.append(Change(path, "add", file))
    elif seen.kind == "behind-symlink":
        draft.conflicts.append(f"{path} lies behind a directory that is a symlink on this site")
    else:
        draft.conflicts.append(f"{path} cannot be written: a file stands where the release has a directory")


def _replace(draft: _Draft, file: ManifestFile, seen: Observed, listed: ManifestFile | None) -> None:
    same_kind = (seen.kind == "symlink") == (file.symlink is not None)
    same_content = same_kind and file.has_content(seen.sha256, seen.size)
    if listed is None:
        draft.conflicts.append(f"{file.path} exists on this site but is not part of the installed release")
    elif seen.matches(listed) or same_content:
        draft.changes.append(Change(file.path, "replace", file, seen))
    else:
        draft.change_edited(file.path, "replace", file, seen)


def _in_order(changes: list[Change]) -> list[Change]:
    """Deletions that make room first, then additions and replacements, the version file, then other deletions.

    A name that differs from an added one by case alone makes room too: on some filesystems both are one file.
    """
    added = {change.path for change in changes if change.action == "add"}
    roots = added | {parent for path in added for parent in parents_of(path)}
    spellings = {collision_key(path): path for path in roots}

    def rank(change: Change) -> int:
        if change.action == "delete":
            parents = parents_of(change.path)
            makes_room = change.path in roots or any(parent in added for parent in parents)
            makes_room = makes_room or any(
                spellings.get(collision_key(path), path) != path for path in (change.path, *parents)
            )
            return 0 if makes_room else 3
        return 2 if change.path == VERSION_FILE_NAME else 1

    return sorted(changes, key=lambda change: (rank(change), change.path.encode()))


def parents_of(path: str) -> list[str]:
    """The directories above ``path``, nearest first, the top left out."""
    found = []
    while path := path.rpartition("/")[0]:
        found.append(path)
    return found
