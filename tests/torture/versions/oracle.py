"""What a site must look like after any way to a release: a fresh install of it, and the owner's things untouched."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.engine.world import World
from tests.torture.versions.releases import PRESERVE
from updater.schema.globs import matches_any
from updater.site import Layout, Site

__all__ = ["OWNED", "Entry", "Seen", "add_owner_files", "look", "read_database", "wrong_after"]

Entry = tuple[object, ...]
OWNED = {
    "notes.txt": b"mine\n",
    "app/local_settings.py": b"SECRET = 'mine'\n",
    "a/b/mine.txt": b"in a folder that the release gives up\n",
    "plugin/own.py": b"OWN = True\n",
    "media/photo.jpg": b"\xff\xd8 a photo",
    "media/2026/01/scan.pdf": b"%PDF",
}


@dataclass(frozen=True)
class Seen:
    """One look at a site: the release's files, everything else in the tree, and the database as SQL."""

    version: str | None
    managed: dict[str, Entry]
    others: dict[str, Entry]
    folders: frozenset[str]
    database: tuple[str, ...]


def add_owner_files(site: Site, layout: Layout) -> None:
    """What an owner does to a site: own files, an edited one, a private one, a link, and rows in the database."""
    tree = site.tree(layout)
    home = site.shared if layout == "slots" else tree
    for name, content in OWNED.items():
        target = (home if name.startswith("media/") else tree) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    (tree / "notes.txt").chmod(0o640)
    (tree / "private.txt").chmod(0o600)
    (tree / "app/settings.py").write_bytes(b"DEBUG = 'the owner was here'\n")
    (tree / "own-link").symlink_to("notes.txt")
    with closing(sqlite3.connect(home / "db.sqlite3")) as database, database:
        table = "article" if _has(database, "article") else "post"
        for number in range(3):
            database.execute(f"INSERT INTO {table} (title) VALUES (?)", (f"post {number}",))


def _has(database: sqlite3.Connection, table: str) -> bool:
    return bool(database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone())


def read_database(path: Path) -> tuple[str, ...]:
    """Schema and rows as SQL text."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return tuple(database.iterdump())


def look(site: Site, layout: Layout) -> Seen:
    """Read the whole site."""
    manifest = site.manifest()
    assert manifest is not None
    tree = site.tree(layout)
    managed, others, folders = {}, {}, set()
    for folder, names, files in os.walk(tree):
        here = Path(folder)
        names[:] = sorted(name for name in names if not (here / name == site.directory or name == "__pycache__"))
        for name in [*names, *files]:
            full = here / name
            path = full.relative_to(tree).as_posix()
            if full.is_dir() and not full.is_symlink():
                folders.add(path)
            elif "db.sqlite3" not in name and name != "updater.toml":
                own = path not in manifest.files or matches_any(path, PRESERVE)
                (others if own else managed)[path] = _entry(full)
    if layout == "slots":
        others |= {f"shared/{p.relative_to(site.shared)}": _entry(p) for p in _files(site.shared)}
    home = site.shared if layout == "slots" else tree
    return Seen(site.state().version, managed, others, frozenset(folders), read_database(home / "db.sqlite3"))


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and "db.sqlite3" not in path.name]


def _entry(path: Path) -> Entry:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return ("->", os.readlink(path))
    return (stat.S_IMODE(status.st_mode), path.read_bytes())


def wrong_after(site: Site, layout: Layout, fresh: Seen, before: Seen) -> list[str]:
    """What differs from a fresh install of the same release, or from what the owner had ``before`` the update."""
    now = look(site, layout)
    wrong = []
    if now.version != fresh.version:
        wrong.append(f"the version is {now.version}, not {fresh.version}")
    expected = dict(fresh.managed)
    if "private.txt" in expected:
        expected["private.txt"] = (0o600, expected["private.txt"][1])
    wrong += [
        f"{path}: {now.managed.get(path)} is not {expected.get(path)}" for path in _differing(now.managed, expected)
    ]
    kept, owned = dict(now.others), dict(before.others)
    wrong += [
        f"{path} of the owner's changed: {owned.get(path)} to {kept.get(path)}" for path in _differing(kept, owned)
    ]
    owner_folders = {str(parent) for path in OWNED for parent in Path(path).parents if str(parent) != "."}
    if now.folders - owner_folders != fresh.folders - owner_folders:
        wrong.append(f"folders: {sorted(now.folders ^ fresh.folders)}")
    if _schema(now.database) != _schema(fresh.database):
        wrong.append(f"the schema is {_schema(now.database)}, not {_schema(fresh.database)}")
    titles = [line for line in now.database if "post 0" in line.lower()]
    if len(titles) != 1:
        wrong.append("a row of the owner's is missing")
    return wrong + [f"left behind: {name}" for name in World(site.path, layout).leftovers()]


def _differing(one: dict[str, Entry], other: dict[str, Entry]) -> list[str]:
    return sorted(path for path in one.keys() | other.keys() if one.get(path) != other.get(path))


def _schema(dump: tuple[str, ...]) -> list[str]:
    """Tables, indexes and what is recorded as applied."""
    return sorted(line for line in dump if line.startswith(("CREATE", 'INSERT INTO "applied"')))
