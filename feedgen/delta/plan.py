"""Which new files are packed together, and from which old ones (docs/formats.md section 12.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from feedgen.delta.edits import form_of
from feedgen.delta.outline import Changes
from feedgen.delta.similar import Similar
from updater.delta.groups import EDITS, STREAMS, ZSTD
from updater.delta.record import is_record
from updater.delta.streams import LARGEST
from updater.delta.views import MOST_TOKENS, too_many_tokens
from updater.schema.manifest import ManifestFile

__all__ = ["GROUP", "REFERENCES", "Plan", "plan_groups"]

GROUP = 4 << 20
"""Bytes of new content in a group, and in a piece of a large file."""

REFERENCES = GROUP * 3 // 2
"""Bytes of old content for each of them."""

_NATIVE = (".so", ".pyd", ".dll", ".dylib", ".exe", ".node")
_SMALL_NATIVE = 1 << 16
_EXECUTABLE = (b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
"""How programs begin on Linux, Windows and macOS (one architecture, several)."""

Read = Callable[[ManifestFile], bytes]


@dataclass
class Plan:
    """A group to be packed: ``targets`` in order of path, and the old files that each is built from."""

    targets: list[ManifestFile] = field(default_factory=list)
    chosen: dict[str, tuple[ManifestFile, ...]] = field(default_factory=dict)
    codec: int = ZSTD
    dependent: bool = False
    size: int = 0
    old_size: int = 0

    @property
    def references(self) -> list[ManifestFile]:
        """All old files, each once, in the order of their first use."""
        return list({old.path: old for target in self.targets for old in self.chosen[target.path]}.values())

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
    """Every new file in one group; files that are built from the same old ones lie together.

    Lists of digests come last: in the one group, or in one that depends on the others.
    """
    chosen = _choose(changes, read_old, read_new)
    order = sorted(changes.new.values(), key=lambda file: (*(old.path.encode() for old in chosen[file.path][:1]), b""))
    groups: list[Plan] = []
    current: Plan | None = None
    lists = Plan(codec=EDITS)
    for file in order:
        old = chosen[file.path]
        alone = Plan(codec=_codec(file, old, read_old, read_new))
        alone.add(file, old)
        if alone.codec == EDITS and is_record(file.path) and lists.has_room(file, old):
            lists.add(file, old)
        elif alone.codec != EDITS:
            groups.append(alone)
        elif current is None or not current.has_room(file, old):
            current = alone
            groups.append(current)
        else:
            current.add(file, old)
    if lists.targets:
        _place_lists(groups, lists)
    for group in groups:
        group.targets.sort(key=lambda file: file.path.encode())
    return groups


def _place_lists(groups: list[Plan], lists: Plan) -> None:
    if len(groups) == 1 and groups[0].codec == EDITS and groups[0].size + lists.size <= GROUP:
        for file in lists.targets:
            groups[0].add(file, lists.chosen[file.path])
    else:
        lists.dependent = bool(groups)
        groups.append(lists)


def _codec(file: ManifestFile, old: tuple[ManifestFile, ...], read_old: Read, read_new: Read) -> int:
    weight = sum(reference.size for reference in old)
    if _is_native(file, old, read_new):
        return STREAMS
    if file.size > GROUP or weight > REFERENCES:
        return ZSTD
    if max(file.size, weight) >= MOST_TOKENS:  # a smaller file cannot have as many
        form, _, view = form_of(file.path, read_new(file), _unknown)
        base = b"".join(read_old(reference) for reference in old)
        if too_many_tokens(view, form) or too_many_tokens(base, form):
            return ZSTD
    return EDITS


def _choose(changes: Changes, read_old: Read, read_new: Read) -> dict[str, tuple[ManifestFile, ...]]:
    chosen: dict[str, tuple[ManifestFile, ...]] = {}
    orphans = []
    for path, file in changes.new.items():
        base = changes.base.get(path)
        if base is not None and base.symlink is None:
            chosen[path] = (base,)
        elif file.size:
            orphans.append(file)
        else:
            chosen[path] = ()
    if orphans:
        similar = Similar.index(_candidates(changes, orphans), read_old)
        for file in orphans:
            most = REFERENCES if file.size <= GROUP else file.size * 2
            chosen[file.path] = tuple(similar.of(file, read_new(file), most))
    return chosen


def _candidates(changes: Changes, orphans: Iterable[ManifestFile]) -> Iterable[ManifestFile]:
    """Old files that a new one may be like: those that are gone, changed ones of its type, and its neighbours."""
    types = {_kind(file.path)[1] for file in orphans}
    near = {_kind(file.path) for file in orphans}
    stays = {
        base.path: path in changes.new for path, base in changes.base.items() if path in changes.new_manifest.files
    }

    def may_be(file: ManifestFile) -> bool:
        changed = stays.get(file.path)
        kind = _kind(file.path)
        return changed is None or kind in near or (changed and kind[1] in types)

    return [file for file in changes.old.files.values() if file.symlink is None and file.size and may_be(file)]


def _unknown(_path: str) -> None:
    return None


def _kind(path: str) -> tuple[str, str]:
    """The folder, and what the name ends in."""
    folder, _, name = path.rpartition("/")
    return folder, name.rpartition(".")[2]


def _is_native(file: ManifestFile, old: tuple[ManifestFile, ...], read_new: Read) -> bool:
    """Whether it is a library or a program, with one that it comes from."""
    if len(old) != 1 or file.size <= _SMALL_NATIVE or max(file.size, old[0].size) > LARGEST:
        return False
    name = file.path.rpartition("/")[2]
    named = name.endswith(_NATIVE) or ".so." in name
    return named or ("." not in name and read_new(file).startswith(_EXECUTABLE))
