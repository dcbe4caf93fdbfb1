"""Which new files are packed together, and from which old ones (docs/formats.md section 12.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from feedgen.delta.outline import Changes
from feedgen.delta.similar import Similar
from updater.schema.manifest import ManifestFile

__all__ = ["GROUP", "REFERENCES", "Plan", "plan_groups"]

GROUP = 4 << 20
"""Bytes of new content in a group, and in a piece of a large file."""

REFERENCES = GROUP * 3 // 2
"""Bytes of old content for each of them."""

_NATIVE = (".so", ".pyd", ".dll", ".dylib", ".exe", ".node")
_SMALL_NATIVE = 1 << 16

Read = Callable[[ManifestFile], bytes]


@dataclass
class Plan:
    """A group to be packed: ``targets`` in order of path, and the old files that each is built from."""

    targets: list[ManifestFile] = field(default_factory=list)
    chosen: dict[str, tuple[ManifestFile, ...]] = field(default_factory=dict)
    size: int = 0
    old_size: int = 0

    @property
    def references(self) -> list[ManifestFile]:
        """All old files, each once: the first of each target, in the order of targets, then the others by path."""
        firsts = [old for target in self.targets for old in self.chosen[target.path][:1]]
        others = [old for target in self.targets for old in self.chosen[target.path][1:]]
        others.sort(key=lambda file: file.path.encode())
        return list({old.path: old for old in (*firsts, *others)}.values())

    @property
    def large(self) -> bool:
        """Whether it has to be packed in pieces."""
        return self.size > GROUP or self.old_size > REFERENCES

    @property
    def native(self) -> bool:
        """Whether it is one native library that has a predecessor."""
        return len(self.targets) == 1 and _is_native(self.targets[0], self.chosen[self.targets[0].path])

    def has_room(self, file: ManifestFile, old: tuple[ManifestFile, ...]) -> bool:
        """Whether ``file`` can join without making the group too large."""
        return self.size + file.size <= GROUP and self.old_size + self._added(old) <= REFERENCES

    def add(self, file: ManifestFile, old: tuple[ManifestFile, ...]) -> None:
        """Let ``file`` join."""
        self.size += file.size
        self.old_size += self._added(old)
        self.targets.append(file)
        self.chosen[file.path] = old

    def _added(self, old: tuple[ManifestFile, ...]) -> int:
        known = {file.path for files in self.chosen.values() for file in files} if old else set()
        return sum(file.size for file in old if file.path not in known)


def plan_groups(changes: Changes, read_old: Read, read_new: Read) -> list[Plan]:
    """Every new file in one group; files that are built from the same old ones lie together."""
    chosen = _choose(changes, read_old, read_new)
    order = sorted(changes.new.values(), key=lambda file: (*(old.path.encode() for old in chosen[file.path][:1]), b""))
    groups: list[Plan] = []
    current: Plan | None = None
    for file in order:
        old = chosen[file.path]
        alone = Plan()
        alone.add(file, old)
        if alone.large or alone.native:
            groups.append(alone)
        elif current is None or not current.has_room(file, old):
            current = alone
            groups.append(current)
        else:
            current.add(file, old)
    for group in groups:
        group.targets.sort(key=lambda file: file.path.encode())
    return groups


def _choose(changes: Changes, read_old: Read, read_new: Read) -> dict[str, tuple[ManifestFile, ...]]:
    chosen: dict[str, tuple[ManifestFile, ...]] = {}
    orphans = []
    for path, file in changes.new.items():
        base = changes.base.get(path)
        if base is not None and base.symlink is None and base.size:
            chosen[path] = (base,)
        elif file.size:
            orphans.append(file)
        else:
            chosen[path] = ()
    if orphans:
        similar = Similar.index(_candidates(changes), read_old)
        for file in orphans:
            most = REFERENCES if file.size <= GROUP else file.size * 2
            chosen[file.path] = tuple(similar.of(file, read_new(file), most))
    return chosen


def _candidates(changes: Changes) -> Iterable[ManifestFile]:
    """Old files that are gone or have changed."""
    stays = changes.new_manifest.files.keys() - changes.new.keys()
    kept = {base.path for path, base in changes.base.items() if path in stays}
    return [file for file in changes.old.files.values() if file.symlink is None and file.size and file.path not in kept]


def _is_native(file: ManifestFile, old: tuple[ManifestFile, ...]) -> bool:
    name = file.path.rpartition("/")[2]
    return bool(old) and file.size > _SMALL_NATIVE and (name.endswith(_NATIVE) or ".so." in name)
