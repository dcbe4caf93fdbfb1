"""Exported restore points: one zip that holds everything to go back to (docs/formats.md 9.1; standard library only)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from updater.database.base import Backup
from updater.errors import ConfigError, StateError
from updater.frozen import frozen
from updater.install.restore_points import RestorePoint
from updater.install.targets import Target, target_of
from updater.package import ArchiveReader, ArchiveWriter, MemberSpec
from updater.schema.document import Reader, dump_json, format_time, parse_json
from updater.schema.manifest import Manifest, ManifestFile
from updater.schema.paths import check_path
from updater.schema.text import check_digest, check_name, check_version
from updater.site.looking import entries_below
from updater.site.reading import MOST_MANIFEST
from updater.site.site import Site

__all__ = ["ArchiveSource", "Exported", "export_restore_point", "open_restore_point"]

_INDEX = "restore_point.json"
_HEAD, _ENTRY = 1 << 16, 1 << 14
"""Bytes that the index may have: for its head, and for each member (two paths of 1,024 bytes, written as escapes). One
that unpacks to more is no list of what the archive holds."""

_MANIFEST = "manifest.json"


@frozen
class Exported:
    """An open exported restore point."""

    archive: ArchiveReader
    app: str
    version: str
    created: datetime
    target: Target
    database: Mapping[str, Any] | None


class ArchiveSource:
    """Files out of an exported restore point."""

    def __init__(self, archive: ArchiveReader) -> None:
        self._archive = archive

    def copy(self, file: ManifestFile, out: BinaryIO) -> None:
        self._archive.extract(f"files/{file.path}", out)

    def extract_database(self, target: Path) -> None:
        """Write the dump's files below ``target``."""
        target.mkdir()
        for name in self._archive.members:
            if name.startswith("database/"):
                path = target / name.removeprefix("database/")
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as out:
                    self._archive.extract(name, out)


def export_restore_point(site: Site, point: RestorePoint, path: Path) -> None:
    """Write a restore point to ``path``, complete: it no longer needs the site it came from.

    Raises ConfigError when ``path`` exists, StateError when the point is incomplete or the disk fails.
    """
    if path.exists():
        raise ConfigError(f"{path} exists already.", hint="Choose another name; nothing is overwritten.")
    target = target_of(site, point)
    if target.manifest is None or target.installed is None:
        raise ConfigError(
            f"The restore point {point.id} is of the moment before the first install: it holds no files.",
            hint="Choose another one: `updater backup list`.",
        )
    tree = site.tree(point.layout)
    sources: dict[str, Path] = {_MANIFEST: point.directory / _MANIFEST}
    links: dict[str, str] = {}
    modes: dict[str, int] = {}
    for name, file in target.manifest.files.items():
        if file.symlink is not None:
            links[f"files/{name}"] = file.symlink
        else:
            sources[f"files/{name}"] = target.paths.get(name, tree / name)
            modes[f"files/{name}"] = file.mode
    for dump in entries_below(point.database_directory):
        if dump.is_file():
            sources[f"database/{dump.relative_to(point.database_directory).as_posix()}"] = dump
    _check_sizes(target.manifest, sources)
    specs: dict[str, MemberSpec] = {}
    with ArchiveWriter(path, index=_INDEX) as writer:
        for name in sorted({*sources, *links}, key=str.encode):
            if name in links:
                specs[name] = writer.add_symlink(name, links[name])
            else:
                specs[name] = writer.add(name, sources[name], mode=modes.get(name, 0o600))
        _check_exported(target.manifest, specs)
        writer.close(_index_bytes(site, point, specs))


def _check_sizes(manifest: Manifest, sources: Mapping[str, Path]) -> None:
    """What costs nothing to see is seen before gigabytes have been packed."""
    for name, file in manifest.files.items():
        source = sources.get(f"files/{name}")
        if source is not None and source.is_file() and source.stat().st_size != file.size:
            raise _not_as_recorded(name)


def _check_exported(manifest: Manifest, specs: Mapping[str, MemberSpec]) -> None:
    for name, file in manifest.files.items():
        if specs[f"files/{name}"].sha256 != file.sha256:
            raise _not_as_recorded(name)


def _not_as_recorded(name: str) -> StateError:
    return StateError(
        f"{name} is not what the restore point recorded; nothing was written.",
        hint="Choose another restore point: `updater backup list`.",
    )


def _index_bytes(site: Site, point: RestorePoint, specs: Mapping[str, MemberSpec]) -> bytes:
    state = site.state()
    return dump_json(
        {
            "schema": "1.0",
            "app": state.app,
            "component": state.component,
            "version": point.version,
            "created": format_time(point.created),
            "database": point.database,
            "members": [
                {"path": name, "sha256": spec.sha256, "size": spec.size}
                | ({"mode": f"{spec.mode:04o}"} if spec.symlink is None else {"symlink": spec.symlink})
                for name, spec in specs.items()
            ],
        }
    )


def open_restore_point(path: Path, opened: ExitStack) -> Exported:
    """Open and check an exported restore point; its handle lives as long as ``opened``.

    Raises ConfigError when it cannot be opened, UnsafeArchiveError, SchemaError.
    """
    try:
        file = opened.enter_context(path.open("rb"))
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}", hint="Give the path of an exported zip."
        ) from error
    archive = opened.enter_context(ArchiveReader.open(file, index=_INDEX, name=str(path)))
    document = f"{_INDEX} of {path}"
    value = parse_json(archive.read_index(min(_HEAD + len(archive.members) * _ENTRY, MOST_MANIFEST)), document)
    reader = Reader(value, document)
    reader.schema()
    app = reader.text("app", check=check_name)
    version = reader.text("version", check=check_version)
    created = reader.time("created")
    specs: dict[str, MemberSpec] = {}
    for child in reader.children("members", required=True):
        name, spec = _read_member(child)
        if name in specs:
            child.problem("path", f"{name!r} stands twice")
        specs[name] = spec
    if _MANIFEST not in specs:
        reader.problem("members", f"there is no {_MANIFEST}")
    database = reader.child("database", required=False)
    reader.finish(hint="The zip was not written by `updater backup export`, or was changed since.")
    if database is not None:
        Backup.from_json(value["database"], f"the database of {document}")
    archive.expect(specs)
    installed = archive.read(_MANIFEST)
    manifest = Manifest.parse(installed, f"{_MANIFEST} of {path}")
    files = {
        name.removeprefix("files/"): ManifestFile(
            name.removeprefix("files/"), spec.sha256, spec.size, spec.mode, spec.symlink
        )
        for name, spec in specs.items()
        if name.startswith("files/")
    }
    return Exported(
        archive=archive,
        app=app,
        version=version,
        created=created,
        target=Target(replace(manifest, files=files), installed, {}),
        database=None if database is None else value["database"],
    )


def _read_member(reader: Reader) -> tuple[str, MemberSpec]:
    symlink = reader.optional_text("symlink")
    mode = reader.text("mode", default="0")
    if symlink is None and not (len(mode) == 4 and set(mode) <= set("01234567")):
        reader.problem("mode", 'must be four octal digits, such as "0644"')
        mode = "0644"
    spec = MemberSpec(
        size=reader.integer("size", maximum=2**32),
        sha256=reader.text("sha256", check=check_digest),
        mode=int(mode, 8) if symlink is None else 0,
        symlink=symlink,
    )
    return reader.text("path", check=_check_member), spec


def _check_member(path: str) -> None:
    """A path of the archive, and, below ``files/``, one that may stand in a site."""
    check_path(path)
    if path.startswith("files/"):
        check_path(path.removeprefix("files/"))
