"""The site of a rehearsal: the live one's files, the new release's in their place (standard library only)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from updater.frozen import frozen
from updater.install.changes import Changes
from updater.install.shared import inside, shared_names
from updater.install.space import MARGIN, Need, check_needs
from updater.install.staging import Source, stage_files
from updater.rehearsal.tree import Source as TreeSource
from updater.rehearsal.tree import TreeCopy, copy_tree, link_programs, list_tree
from updater.schema.manifest import Manifest
from updater.site.site import Layout, Site

__all__ = ["Places", "copy_site", "make_places", "moved", "moves"]

_SIDECARS = ("", "-wal", "-shm", "-journal")


@frozen
class Places:
    """Where a rehearsal happens: its own folder, the live site and tree, and their copies."""

    directory: Path
    live_site: Path
    live_tree: Path
    site: Path
    tree: Path


def make_places(site: Site, layout: Layout, version: str, directory: Path) -> Places:
    """Make the folders below ``directory``. Raises OSError."""
    root = directory / "site"
    root.mkdir()
    (directory / "tmp").mkdir()
    tree = root / "releases" / version if layout == "slots" else root
    tree.mkdir(parents=True, exist_ok=True)
    return Places(directory, site.path, site.tree(layout), root, tree)


def copy_site(
    places: Places, layout: Layout, manifest: Manifest, *, changes: Changes, source: Source, database: Path | None
) -> TreeCopy:
    """Fill the copy: what stays comes from the live site, what changes from ``source``. The file ``database``, and what
    SQLite keeps beside it, is left for somebody who knows how to copy it. Raises OSError, UpdaterError."""
    made = TreeCopy()
    names = shared_names(manifest.preserve) if layout == "slots" else {}
    touched = {change.path for change in changes.changes}
    is_database = _is_database(database)

    def skip(path: str) -> bool:
        own = path in touched or inside(path, names) or path == ".updater"
        return own or is_database(places.live_tree / path)

    folders = {path.rpartition("/")[0] for path in manifest.files}
    managed = frozenset(parent for folder in folders for parent in _with_parents(folder))
    sources = [(TreeSource(places.live_tree, places.live_site, skip, managed), places.tree)]
    if layout == "slots":
        sources.append((_outside_slots(places.live_site, is_database), places.site))
    listed = [(tree, target, *list_tree(tree, made)) for tree, target in sources]
    needed = sum(size for *_, size in listed) + changes.bytes_to_write
    check_needs([Need(places.directory, needed + MARGIN, "the rehearsal's copy of the site")])
    for tree, target, paths, _ in listed:
        copy_tree(tree, paths, target, made)
        link_programs(tree, target, made)
    fresh = tuple(change for change in changes.changes if not inside(change.path, names))
    stage_files(places.tree, places.live_tree, fresh, source, _nobody_listens)
    if layout == "slots":
        _link_shared(places, names, changes, source)
    return made


def _nobody_listens(_: int) -> None:
    """Copying is not counted byte by byte."""


def _is_database(database: Path | None) -> Callable[[Path], bool]:
    if database is None:
        return lambda _: False
    names = {database.name + suffix for suffix in _SIDECARS}
    return lambda path: path.name in names and Path(os.path.realpath(path.parent)) == database.parent


def _outside_slots(site: Path, is_database: Callable[[Path], bool]) -> TreeSource:
    """What lies beside the slots: ``shared/``, and whatever the owner put there."""
    own = {"releases", "current", "launch", ".updater"}
    return TreeSource(site, site, lambda path: path in own or is_database(site / path), frozenset({"shared"}))


def _link_shared(places: Places, names: Mapping[str, bool], changes: Changes, source: Source) -> None:
    """What an update does for a new slot; what the release brings along for ``shared/`` is its first content."""
    shared = places.site / "shared"
    for name, is_folder in names.items():
        (shared / name if is_folder else (shared / name).parent).mkdir(parents=True, exist_ok=True)
        link = places.tree / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to("../" * (2 + name.count("/")) + f"shared/{name}")
    for change in changes.changes:
        first = change.new is not None and inside(change.path, names)
        if first and not os.path.lexists(shared / change.path):
            stage_files(shared, places.live_tree, (change,), source, _nobody_listens)
    (places.site / "current").symlink_to(f"releases/{places.tree.name}")


def moved(text: str, pairs: Sequence[tuple[str, str]]) -> str:
    """``text`` with every path that is, or lies below, the first of a pair moved to the second: pure."""
    for old, new in pairs:
        text = new.join(re.split(rf"(?<![\w.-]){re.escape(old)}(?=$|[/:;,\s'\"?#&])", text))
    return text


def moves(places: Places) -> list[tuple[str, str]]:
    """The live site's paths and where each is in the copy, the longest first."""
    found = {
        str(places.live_tree): str(places.tree),
        os.path.realpath(places.live_tree): str(places.tree),
        str(places.live_site / "current"): str(places.tree),
        str(places.live_site): str(places.site),
        os.path.realpath(places.live_site): str(places.site),
    }
    # a copy lies inside the live site: what was moved once must not be moved again
    marks = {old: f"\0{number}\0" for number, old in enumerate(found)}
    ordered = sorted(found, key=len, reverse=True)
    return [(old, marks[old]) for old in ordered] + [(marks[old], found[old]) for old in ordered]


def _with_parents(path: str) -> list[str]:
    found = []
    while path:
        found.append(path)
        path = path.rpartition("/")[0]
    return found
