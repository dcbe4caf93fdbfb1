"""Which files of a tree a package holds, and everything that forbids one, found at once.

Symlinks: a target outside the tree is refused, directly or through other links; so are loops, and a target that the
repository has and the package has not (it was excluded by mistake). A target that is in neither is allowed and noted:
it may be something that the site makes, such as ``media``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from feedgen.build.links import LinkError, resolve
from feedgen.source.git import EXECUTABLE, SUBMODULE, SYMLINK, TreeEntry
from updater.schema.globs import matches_any
from updater.schema.manifest import MANIFEST_NAME
from updater.schema.paths import check_path, check_symlink, find_collisions

__all__ = ["Selection", "TreeFile", "check_tree", "chosen", "from_git"]

_LFS = b"version https://git-lfs.github.com/spec/"
_LFS_MAX = 1024


@dataclass(frozen=True)
class TreeFile:
    """One file to package. ``mode`` is 0644 or 0755; for a symlink it is 0 and ``symlink`` is the target."""

    path: str
    read: Callable[[], bytes] = field(compare=False)
    mode: int = 0o644
    symlink: str | None = None


@dataclass(frozen=True)
class Selection:
    """Files by path, what is wrong with them, and what is worth telling. Sentences, sorted by path."""

    files: Mapping[str, TreeFile]
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def chosen(path: str, include: Iterable[str], exclude: Iterable[str]) -> bool:
    """Whether the globs of ``[build]`` take a path; ``exclude`` wins."""
    return matches_any(path, include) and not matches_any(path, exclude)


def from_git(entries: Iterable[TreeEntry], read: Callable[[str], bytes]) -> Selection:
    """Chosen entries of a git tree as files. ``read`` gives a blob by id; only small ones are read here."""
    files: dict[str, TreeFile] = {}
    problems: list[str] = []
    for entry in sorted(entries, key=_by_path):
        if entry.mode == SUBMODULE:
            problems.append(f"{entry.path!r} is a submodule; exclude it, or copy its files into the repository")
        elif entry.mode == SYMLINK:
            target = read(entry.object_id).decode("utf-8", "surrogateescape")
            files[entry.path] = TreeFile(entry.path, _blob(read, entry), mode=0, symlink=target)
        else:
            if entry.size < _LFS_MAX and read(entry.object_id).startswith(_LFS):
                problems.append(f"{entry.path!r} is a git-lfs pointer; exclude it, or track the file itself in git")
            mode = 0o755 if entry.mode == EXECUTABLE else 0o644
            files[entry.path] = TreeFile(entry.path, _blob(read, entry), mode=mode)
    return Selection(files, tuple(problems))


def check_tree(files: Mapping[str, TreeFile], tracked: Iterable[str], preserve: Iterable[str]) -> Selection:
    """Judge all paths and links together (docs/formats.md 1.2). ``tracked`` is what the repository has at the tag."""
    problems: list[str] = []
    for path in sorted(files, key=_bytes):
        try:
            check_path(path)
        except ValueError as error:
            advice = " (the package adds its own)" if path == MANIFEST_NAME else ""
            problems.append(f"{error}{advice}")
    problems += find_collisions(sorted(files, key=_bytes))
    links = {path: file.symlink for path, file in files.items() if file.symlink is not None}
    notes: list[str] = []
    present, known = _with_folders(files), _with_folders(tracked)
    for path in sorted(links, key=_bytes):
        try:
            notes += _check_link(path, links, present, known, preserve)
        except ValueError as error:
            problems.append(str(error))
    return Selection(files, tuple(problems), tuple(notes))


def _check_link(
    path: str, links: Mapping[str, str], present: set[str], known: set[str], preserve: Iterable[str]
) -> list[str]:
    target = links[path]
    if not target.isprintable():
        raise LinkError(f"{path!r} links to {target!r}, which is not printable text")
    check_symlink(path, target)
    place = resolve(path, links)
    if place in present or matches_any(place, preserve):
        return []
    if place in known:
        raise LinkError(f"{path!r} links to {target!r}, which is excluded; include the target or exclude the link")
    return [f"{path!r} links to {target!r}, which the package does not hold"]


def _with_folders(paths: Iterable[str]) -> set[str]:
    found = {""}
    for path in paths:
        while path not in found:
            found.add(path)
            path = path.rpartition("/")[0]  # noqa: PLW2901
    return found


def _blob(read: Callable[[str], bytes], entry: TreeEntry) -> Callable[[], bytes]:
    return lambda: read(entry.object_id)


def _by_path(entry: TreeEntry) -> bytes:
    return _bytes(entry.path)


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")
