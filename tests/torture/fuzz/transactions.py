"""Targets: what an update writes so that it can be undone, which a failing disk or a careless hand may have changed."""

from __future__ import annotations

import json
import os
import re
import shutil
import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from tests.engine.world import PRESERVE, V1, V2, World
from tests.torture.fuzz.documents import NOW, must_be_a_name, must_be_inside
from tests.torture.fuzz.mutations import byte_level, lines, mostly
from tests.torture.fuzz.structured import journal, json_document
from tests.torture.fuzz.target import Target, Wrong
from updater.cli.backup import _json as restore_point_json
from updater.cli.backup import _line as restore_point_line
from updater.database import Backup
from updater.database.base import check_files
from updater.errors import DatabaseError, SchemaError, StateError
from updater.install.journal import Journal, State
from updater.install.overview import overview
from updater.install.restore_points import (
    RestorePoint,
    damaged_restore_points,
    delete,
    finish_deletions,
    list_restore_points,
)
from updater.install.targets import target_of
from updater.install.transaction import StagedTransaction
from updater.install.volumes import _read_names
from updater.site import Site
from updater.site.reading import load_json

__all__ = ["ID", "TARGETS"]

ID = "20260201-000000-000001"
_json: Any = mostly((9, json_document), (2, byte_level))


def _journals() -> list[bytes]:
    def line(**fields: object) -> bytes:
        body = json.dumps({"id": ID, **fields}).encode()
        return b"%08x %s\n" % (zlib.crc32(body), body)

    states = [line(state=state.value) for state in State if state is not State.PREPARED]
    begun = line(state="prepared", format=1, code="a" * 64)
    return [begun, b"".join((begun, *states[:4], line(state="undoing", reason="é \u2028"))), b"".join((begun, *states))]


def _journal(folder: Path) -> Callable[[bytes], None]:
    found = Journal(folder / "journal")

    def work(data: bytes) -> None:
        found.path.write_bytes(data)
        records = found.records()
        for record in records:
            must_be_a_name(record.id)
        if records:
            found.append(records[-1].id, State.UNDONE)
            if found.records()[-1].state is not State.UNDONE or len(found.records()) != len(records) + 1:
                raise Wrong("what was appended is not read back")

    return work


@lru_cache(maxsize=1)
def _plans() -> tuple[bytes, ...]:
    """Plans of an install, an update in place and one with slots, written by the product."""
    from tests.torture.fuzz.engine import sandbox

    found = []
    with sandbox() as folder:
        for layout in ("in-place", "slots"):
            world = World(folder / layout, layout).create()
            world.now = lambda: NOW
            world.update("1.0.0", V1, preserve=PRESERVE)
            world.engine("2.0.0", V2, preserve=PRESERVE, commands=["migrate 2"])
            (head,) = world.site.staging.glob("*/transaction.json")
            # what differs from run to run must not: the same seed finds the same
            found.append(re.sub(rb'("inode"|"mtime_ns"):\d+', rb"\1:1234567", head.read_bytes()))
    return tuple(found)


def _plan(folder: Path) -> Callable[[bytes], None]:
    site = Site(folder)
    path = site.staging / ID / "transaction.json"
    path.parent.mkdir(parents=True)

    def work(data: bytes) -> None:
        path.write_bytes(data)
        transaction = StagedTransaction.load(site, ID).transaction
        for change in transaction.changes:
            must_be_inside(change.path)
            if change.new is not None:
                must_be_inside(change.new.path)
                _whole(change.new.size, change.new.mode)
            if change.old is not None:
                _whole(change.old.size, change.old.mode, change.old.inode)
        for name in (transaction.id, transaction.slot, transaction.old_slot, transaction.restore):
            if name is not None:
                must_be_a_name(name)
        for text in (*transaction.commands, *transaction.preserve, *transaction.edited, *transaction.kept):
            text.encode()
        if transaction.layout not in ("in-place", "slots"):
            raise Wrong(f"the layout {transaction.layout!r}")

    return work


def _whole(*numbers: object) -> None:
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise Wrong(f"numbers: {numbers!r}")


def _points() -> list[bytes]:
    saved = [
        {"path": "app/a.py", "sha256": "a" * 64, "size": 10, "mode": 0o644, "symlink": None, "edited": False},
        {"path": "link", "sha256": "b" * 64, "size": 3, "mode": 0, "symlink": "a.b", "edited": True},
    ]
    database = {
        "kind": "sqlite",
        "files": [{"name": "db", "size": 1, "sha256": "c" * 64}],
        "created_by": "",
        "absent": False,
    }
    point = {
        "id": ID,
        "created": "2026-01-20T10:00:00Z",
        "layout": "in-place",
        "version": "1.0.0",
        "replaced_by": "1.1.0",
        "saved": saved,
        "added": ["new.py"],
        "database": database,
        "slot": None,
        "format": 1,
    }
    slots = point | {"layout": "slots", "slot": "1.0.0", "saved": [], "database": None}
    return [json.dumps(point).encode(), json.dumps(slots).encode(), json.dumps(point | {"version": None}).encode()]


def _point(folder: Path) -> Callable[[bytes], None]:
    """A restore point between an older and a newer one that are whole."""
    site = Site(folder / "site")
    pristine = folder / "pristine"
    names = ("20260119-100000-000000", ID, "20260121-100000-000000")
    manifest = World(folder / "other").create() and _manifest_bytes()

    def fresh() -> None:
        shutil.rmtree(site.path, ignore_errors=True)
        for name in names:
            directory = site.backups / name
            (directory / "files/app").mkdir(parents=True)
            (directory / "files/app/a.py").write_bytes(b"0123456789")
            (directory / "files/link").symlink_to("a.b")
            (directory / "manifest.json").write_bytes(manifest)
            (directory / "restore_point.json").write_bytes(_points()[0].replace(ID.encode(), name.encode()))
        for slot in ("1.0.0", "2.0.0"):
            (site.releases / slot).mkdir(parents=True)
            (site.releases / slot / "keep").write_bytes(b"")

    fresh()
    assert not pristine.exists()

    def work(data: bytes) -> None:
        record = site.backups / ID / "restore_point.json"
        record.write_bytes(data)
        dirty = False
        try:
            damaged_restore_points(site)
            for shown in overview(site).points:
                restore_point_line(shown, NOW)
                json.dumps(restore_point_json(shown, NOW), allow_nan=False)
            points = list_restore_points(site)
            for point in points:
                try:
                    target_of(site, point)
                except (StateError, SchemaError):
                    pass
            dirty = len(points) == len(names) and len(data) % 4 < 2
            if dirty and len(data) % 4:
                delete(site, points[len(data) % 3])
            elif dirty:
                os.replace(record, record.with_name("deleted.json"))
                finish_deletions(site)
            RestorePoint.load(record.parent) if record.exists() else None
        finally:
            if dirty:
                fresh()
        if not (site.releases / "2.0.0/keep").exists():
            raise Wrong("removed a slot that nothing names")

    return work


def _manifest_bytes() -> bytes:
    from tests.support.packages import make_package

    return make_package({"app/a.py": b"0123456789", "kept.py": b""}).manifest_bytes


def _volumes(folder: Path) -> Callable[[bytes], None]:
    record = folder / "volumes.json"

    def work(data: bytes) -> None:
        record.write_bytes(data)
        for name in _read_names(record):
            if name:
                must_be_inside(name)

    return work


def _database_record(folder: Path) -> Callable[[bytes], None]:
    (folder / "db").write_bytes(b"x")

    def work(data: bytes) -> None:
        try:
            value = load_json(data)
        except ValueError:
            return
        if isinstance(value, dict):
            record = Backup.from_json(value)
            for file in record.files:
                if "/" in file.name or file.name in ("", ".", ".."):
                    raise Wrong(f"accepted the name {file.name!r}")
            check_files("sqlite", folder, record)

    return work


TARGETS = [
    Target(
        "journal",
        "the journal of a running update",
        _journals,
        mostly((3, journal), (1, byte_level), (1, lines)),
        _journal,
        (StateError,),
        45_000,
    ),
    Target("plan", "the plan of an update", lambda: list(_plans()), _json, _plan, (StateError,), 20_000, weight=2),
    Target("restore-point", "the record of a restore point", _points, _json, _point, (StateError,), 15_000, weight=8),
    Target(
        "volumes",
        "the filesystems that an update spans",
        lambda: [b'["", "media", "static/files"]'],
        _json,
        _volumes,
        (ValueError,),
        5_000,
    ),
    Target(
        "database-record",
        "the record of a database backup",
        lambda: [
            b'{"kind": "sqlite", "files": [{"name": "db", "size": 1, "sha256": "'
            b'2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"}], "created_by": "x", "absent": false}'
        ],
        _json,
        _database_record,
        (SchemaError, DatabaseError),
        15_000,
    ),
]
