"""Targets: packages, their tails, and exported restore points."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path

from tests.package.crafted import craft, good
from tests.support.packages import Symlink, make_package, zip_bytes
from tests.torture.fuzz.documents import must_be_inside
from tests.torture.fuzz.target import Target, Wrong
from tests.torture.fuzz.zips import archive, parse
from updater.database import Backup
from updater.errors import FeedError
from updater.install.archives import ArchiveSource, open_restore_point
from updater.package import PackageReader, read_tail
from updater.schema.document import dump_json
from updater.schema.manifest import MANIFEST_NAME

__all__ = ["TARGETS", "restore_point_zip"]


@lru_cache(maxsize=1)
def _good() -> tuple[bytes, str, int, int]:
    built = good()[0]
    return built.package, built.manifest_sha256, len(built.manifest_bytes), built.tail_offset


def _packages() -> list[bytes]:
    links = {"a/b": b"x" * 100, "a/link": Symlink("b"), "c": Symlink("a/b"), "é/ß": b"y"}
    return [_good()[0], make_package(links).package, make_package({}).package]


def _as_signed(folder: Path) -> Callable[[bytes], None]:
    """The digest of the manifest is fixed, as a feed fixes it: only that package may come through."""

    def work(data: bytes) -> None:
        _, sha256, size, _ = _good()
        _extract(data, sha256, size, folder)

    return work


def _whatever_is_signed(folder: Path) -> Callable[[bytes], None]:
    """A publisher signed this very manifest, whatever it says: nothing may be written outside even so."""

    def work(data: bytes) -> None:
        raws = parse(data)
        content = raws[-1].content if raws else b""
        _extract(data, hashlib.sha256(content).hexdigest(), len(content), folder)

    return work


def _extract(data: bytes, sha256: str, size: int, folder: Path) -> None:
    with PackageReader.open(io.BytesIO(data), manifest_sha256=sha256, manifest_size=size) as package:
        package.verify()
        for path, file in package.manifest.files.items():
            must_be_inside(path)
            content = package.read(path) if file.symlink is None else package.read_symlink(path).encode()
            if hashlib.sha256(content).hexdigest() != file.sha256 or len(content) != file.size:
                raise Wrong(f"gave out another {path!r} than was signed")


def _tail(folder: Path) -> Callable[[bytes], None]:
    def work(data: bytes) -> None:
        _, sha256, size, offset = _good()
        found = read_tail(data, offset, manifest_sha256=sha256, manifest_size=size)
        if hashlib.sha256(found.manifest_bytes).hexdigest() != sha256:
            raise Wrong("another manifest than was signed")

    return work


def _tails() -> list[bytes]:
    package, _, _, offset = _good()
    return [package[offset:], craft(good()[1])[offset:]]


def restore_point_zip(files: dict[str, bytes | Symlink], *, database: bytes | None = b"dump") -> bytes:
    """An exported restore point, written straight from docs/formats.md 9.1."""
    manifest = make_package(files).manifest_bytes
    tree = {f"files/{path}": content for path, content in files.items()} | {"manifest.json": manifest}
    tree["files/version.json"] = b'{"version": "1.0.0"}'
    record = None
    if database is not None:
        tree["database/db.sqlite3"] = database
        listed = {"name": "db.sqlite3", "size": len(database), "sha256": hashlib.sha256(database).hexdigest()}
        record = {"kind": "sqlite", "files": [listed], "created_by": "sqlite 3", "absent": False}
    members, stored = [], []
    for path, content in sorted(tree.items(), key=lambda item: item[0].encode()):
        data = content.encode() if isinstance(content, Symlink) else content
        what = {"symlink": str(content)} if isinstance(content, Symlink) else {"mode": "0644"}
        members.append({"path": path, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data), **what})
        stored.append((path, 0o120777 if isinstance(content, Symlink) else 0o100644, data))
    index = {
        "schema": "1.0",
        "app": "shop",
        "component": "core",
        "version": "1.0.0",
        "created": "2026-01-20T10:00:00Z",
        "database": record,
        "members": members,
    }
    return zip_bytes([*stored, ("restore_point.json", 0o100644, dump_json(index))])[0]


def _exports() -> list[bytes]:
    return [
        restore_point_zip({"app/a.py": b"A = 1\n" * 20, "link": Symlink("app/a.py")}),
        restore_point_zip({"manage.py": b"x"}, database=None),
    ]


def _restore_point(folder: Path) -> Callable[[bytes], None]:
    path, target = folder / "point.zip", folder / "database"

    def work(data: bytes) -> None:
        path.write_bytes(data)
        with ExitStack() as opened:
            found = open_restore_point(path, opened)
            assert found.target.manifest is not None
            source = ArchiveSource(found.archive)
            for name, file in found.target.manifest.files.items():
                must_be_inside(name)
                if file.symlink is None:
                    out = io.BytesIO()
                    source.copy(file, out)
                    if hashlib.sha256(out.getvalue()).hexdigest() != file.sha256:
                        raise Wrong(f"gave out another {name!r} than is listed")
            if found.database is not None:
                record = Backup.from_json(found.database)
                sum(int(file["size"]) for file in found.database["files"])
                assert record.kind
            try:
                source.extract_database(target)
            finally:
                _empty(target)

    return work


def _empty(folder: Path) -> None:
    if folder.is_dir():
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        folder.rmdir()


TARGETS = [
    Target("package", "a package whose manifest is signed", _packages, archive, _as_signed, (FeedError,), 30_000),
    Target(
        "package-signed",
        f"a package with any {MANIFEST_NAME}",
        _packages,
        archive,
        _whatever_is_signed,
        (FeedError,),
        50_000,
    ),
    Target("package-tail", "the last bytes of a package", _tails, archive, _tail, (FeedError,), 25_000),
    Target("exported-point", "an exported restore point", _exports, archive, _restore_point, (FeedError,), 50_000),
]
