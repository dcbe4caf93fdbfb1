"""A small site with everything that can go wrong in it, driven through the engine without a feed."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from tests.support.packages import Symlink, make_package
from updater.database import open_database
from updater.events import Event
from updater.install.begin import stage
from updater.install.changes import Changes, compute_changes
from updater.install.engine import Engine
from updater.install.observe import observe
from updater.install.outcome import Outcome
from updater.install.recovery import recover
from updater.install.rollback import prepare_rollback, run_rollback
from updater.install.slots import free_slot
from updater.install.transaction import make_transaction
from updater.schema.manifest import Manifest, ManifestFile
from updater.site import Layout, Site, SiteLock, SiteState
from updater.site.files import make_private_directory

LAYOUTS: tuple[Layout, ...] = ("in-place", "slots")
PRESERVE = ("/media/", "/db.sqlite3")
V1: dict[str, bytes | Symlink] = {
    "app/__init__.py": b"",
    "app/a.py": b"VALUE = 1\n",
    "app/same.py": b"SAME = True\n",
    "app/run": b"#!/bin/sh\n",
    "app/settings.py": b"DEBUG = False\n",
    "old/deep/x.py": b"x = 1\n",
    "link": Symlink("app/a.py"),
    "becomes_folder": b"a file\n",
    "becomes_file/x.txt": b"in a folder\n",
    "becomes_link": b"plain\n",
    "was_link": Symlink("app/run"),
    "private.txt": b"one\n",
    "media/sample.txt": b"a sample\n",
}
V2: dict[str, bytes | Symlink] = {
    "app/__init__.py": b"",
    "app/a.py": b"VALUE = 2\n",
    "app/same.py": b"SAME = True\n",
    "app/run": b"#!/bin/sh\ntrue\n",
    "app/settings.py": b"DEBUG = None\n",
    "app/new/y.py": b"y = 1\n",
    "link": Symlink("app/same.py"),
    "becomes_folder/inner.txt": b"inside\n",
    "becomes_file": b"a file now\n",
    "becomes_link": Symlink("app/run"),
    "was_link": b"plain now\n",
    "private.txt": b"two\n",
    "media/sample.txt": b"a sample\n",
}
OWN = {"notes.txt": b"mine\n", "old/deep/mine.txt": b"kept\n", "media/photo.jpg": b"\xff\xd8"}
CONFIG = '[feed]\nurl = "https://feeds.example/stable.json"\n'
FAILS = '[health]\ncommand = ["false"]\ntimeout = 0.1\ninterval = 0.05\n'
SQLITE = '[database]\nkind = "sqlite"\npath = "db.sqlite3"\n[commands]\nrunner = ["python"]\nallow = ["migrate"]\n'


HIDDEN = ".updater-"
"""How the name of our directory on another filesystem begins."""
XATTR = "user.tagship.test"


def what_is_set_on(path: Path) -> tuple[object, ...]:
    """Mode, owner, group and extended attributes (access control lists among them), a symlink not followed."""
    status = path.lstat()
    names = sorted(os.listxattr(path, follow_symlinks=False))
    attributes = tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in names)
    return (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, attributes)


def has_xattrs(folder: Path) -> bool:
    """Whether the filesystem keeps extended attributes for users."""
    try:
        os.setxattr(folder, XATTR, b"probe")
        os.removexattr(folder, XATTR)
    except OSError:
        return False
    return True


class DictSource:
    """New files out of memory."""

    def __init__(self, files: Mapping[str, bytes | Symlink]) -> None:
        self._files = files

    def copy(self, file: ManifestFile, out: BinaryIO) -> None:
        content = self._files[file.path]
        assert not isinstance(content, Symlink)
        out.write(content)


def release(version: str, files: Mapping[str, bytes | Symlink], **fields: Any) -> tuple[Manifest, DictSource]:
    """A manifest and the files it lists, ``version.json`` among them."""
    tree = dict(files) | {"version.json": json.dumps({"version": version}).encode()}
    return make_package(tree, version=version, **fields).manifest, DictSource(tree)


class World:
    """One site at ``path``. ``listen`` gets every event; ``now`` is the clock."""

    def __init__(self, path: Path, layout: Layout = "in-place") -> None:
        self.site = Site(path)
        self.layout: Layout = layout
        self.listen: Callable[[Event], None] = lambda event: None
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.environ: Mapping[str, str] = os.environ

    @property
    def path(self) -> Path:
        return self.site.path

    @property
    def tree(self) -> Path:
        return self.site.tree(self.layout)

    @property
    def shared(self) -> Path:
        """Where the site's own data lies."""
        return self.site.shared if self.layout == "slots" else self.path

    @property
    def version(self) -> str | None:
        return self.site.state().version

    def create(self, config: str = "") -> World:
        """An empty site."""
        make_private_directory(self.site.directory)
        self.configure(config)
        self.site.write_state(SiteState("shop", "core", self.layout, "0" * 32))
        return self

    def configure(self, config: str) -> None:
        self.site.config_path.write_text(CONFIG + config)

    def changes(self, manifest: Manifest) -> Changes:
        old = self.site.manifest()
        first_slot = self.layout == "slots" and old is None
        tree = self.site.releases / ".none" if first_slot else self.tree
        shared = self.site.shared if self.layout == "slots" else None
        paths = sorted(set(manifest.files) | set(old.files if old else ()))
        return compute_changes(old, manifest, observe(tree, paths, shared=shared), self.site.config().edited)

    def engine(self, version: str, files: Mapping[str, bytes | Symlink], **fields: Any) -> Engine:
        """Everything up to "staged"; the caller holds the lock."""
        manifest, source = release(version, files, **fields)
        changes = self.changes(manifest)
        assert not changes.conflicts, changes.conflicts
        slots = self.layout == "slots"
        present = self.version
        transaction = make_transaction(
            self.site,
            "update" if present else "install",
            self.layout,
            changes,
            now=self.now(),
            from_version=present,
            to_version=version,
            manifest=manifest,
            commands=manifest.post_update_commands,
            slot=free_slot(self.site, version) if slots else None,
            old_slot=self.tree.name if slots and present else None,
        )
        staged = stage(self.site, transaction, source, manifest.to_bytes(), needed=0, report=self.listen)
        return Engine(staged, report=self.listen, now=self.now, environ=self.environ)

    def update(self, version: str, files: Mapping[str, bytes | Symlink], **fields: Any) -> Outcome:
        with SiteLock(self.site.lock_path):
            self.recover_locked()
            return self.engine(version, files, **fields).run()

    def rollback(self, choice: str | None = None) -> Outcome:
        with SiteLock(self.site.lock_path), ExitStack() as opened:
            self.recover_locked()
            prepared = prepare_rollback(self.site, choice, opened)
            return run_rollback(self.site, prepared, report=self.listen, now=self.now, environ=self.environ)

    def recover(self, *, force: bool = True) -> Outcome | None:
        with SiteLock(self.site.lock_path):
            return self.recover_locked(force=force)

    def recover_locked(self, *, force: bool = True) -> Outcome | None:
        return recover(self.site, report=self.listen, now=self.now, environ=self.environ, force=force)

    def database(self) -> list[str]:
        """The rows of the app's table; empty without a database."""
        path = self.shared / "db.sqlite3"
        if not path.exists():
            return []
        with closing(sqlite3.connect(path)) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'log'").fetchone():
                return []
            return [str(row[0]) for row in connection.execute("SELECT line FROM log ORDER BY rowid")]

    def add_row(self, line: str) -> None:
        with closing(sqlite3.connect(self.shared / "db.sqlite3")) as connection, connection:
            connection.execute("CREATE TABLE IF NOT EXISTS log (line TEXT)")
            connection.execute("INSERT INTO log VALUES (?)", (line,))

    def own_files(self) -> None:
        """What the owner put there, and what the owner changed."""
        for name, content in OWN.items():
            home = self.shared if name.startswith("media/") else self.tree
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_bytes(content)
        (self.tree / "app/settings.py").write_bytes(b"DEBUG = 'the owner was here'\n")
        (self.tree / "private.txt").chmod(0o600)
        if has_xattrs(self.tree):
            for name in ("app/a.py", "app/settings.py", "old/deep/x.py", "old/deep", "notes.txt", "becomes_folder"):
                os.setxattr(self.tree / name, XATTR, name.encode())
        if os.geteuid() == 0:
            for name in ("app/a.py", "app/run", "old/deep/x.py", "old", "notes.txt", "link"):
                os.chown(self.tree / name, 1234, 5678, follow_symlinks=False)

    def snapshot(self) -> dict[str, tuple[object, ...]]:
        """Everything of the site but the state directory and the database's bytes: what is set on it (owner, mode,
        attributes), then type and content: ``("file", hard links, bytes)``, ``("->", target)`` or ``("folder",)``."""
        found: dict[str, tuple[object, ...]] = {}
        for folder, folders, files in os.walk(self.path):
            if folder == str(self.path):
                folders.remove(".updater")
            folders[:] = [name for name in folders if not name.startswith(HIDDEN)]  # `leftovers` looks for them
            for name in (*folders, *files):
                full = Path(folder) / name
                status = full.lstat()
                key = full.relative_to(self.path).as_posix()
                if "db.sqlite3" in name and not stat.S_ISLNK(status.st_mode):
                    continue
                if stat.S_ISDIR(status.st_mode):
                    found[key + "/"] = (what_is_set_on(full), "folder")
                elif stat.S_ISLNK(status.st_mode):
                    found[key] = (what_is_set_on(full), "->", os.readlink(full))
                else:
                    found[key] = (what_is_set_on(full), "file", status.st_nlink, full.read_bytes())
        if not any(key.startswith("shared/") and key != "shared/" for key in found):
            found.pop("shared/", None)  # it may hold a database that was moved aside
        return found

    def leftovers(self) -> list[str]:
        """What an update that is over must not leave behind."""
        state = self.site.directory
        assert not self.site.ballast.exists(), "the ballast is still there"
        wrong = [path for folder in (self.site.staging, self.site.bin) if folder.is_dir() for path in folder.iterdir()]
        wrong += [
            path for path in state.rglob("*") if path.name.endswith((".tmp", ".part")) and "status" not in path.name
        ]
        wrong += [path for path in self.path.iterdir() if path.name.startswith(".") and path != state]
        wrong += [path for path in self.path.rglob(f"{HIDDEN}*") if state not in path.parents and path not in wrong]
        if self.site.releases.is_dir():
            wrong += self.site.releases.glob(".*")
        if self.site.shared.is_dir():
            wrong += self.site.shared.rglob("*.updater-part")
        return sorted(str(path.relative_to(self.path)) for path in wrong)

    def open_database(self) -> Any:
        return open_database(self.site.config().database, self.tree, self.environ)
