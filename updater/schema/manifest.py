"""``update_manifest.json``: what a release consists of (docs/formats.md section 4). Standard library only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from updater.frozen import frozen
from updater.schema.document import Extra, Reader, dump_json, format_time, parse_json
from updater.schema.paths import check_path, check_symlink, find_collisions
from updater.schema.text import CHANNELS, check_digest, check_name, check_version

__all__ = ["MANIFEST_NAME", "Manifest", "ManifestFile", "PythonRequirements"]

MANIFEST_NAME = "update_manifest.json"
_MODES = ("0644", "0755")
_DIGEST_LENGTH = 64
_REMEMBERED = 3
"""Manifests: of the installed release, the new one, and one more."""

_NO_FIELDS: Extra = {}
"""One for all: of tens of thousands of files hardly any has unknown fields."""


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """One file of a release. ``size`` in bytes; ``mode`` is the permission bits, 0 for a symlink.

    In an *outline*, a manifest that is known before its files are, ``sha256`` may be the first 8 hex digits alone, or
    empty, and ``symlink`` empty for a symlink whose target is not known. `Manifest.parse` never makes such a file.
    """

    path: str
    sha256: str
    size: int
    mode: int = 0o644
    symlink: str | None = None
    extra: Extra = field(default_factory=lambda: _NO_FIELDS, hash=False)

    def same_content(self, other: ManifestFile) -> bool:
        """Whether both would put the same bytes, type and mode at their path."""
        mine = (self.sha256, self.size, self.mode, self.symlink)
        return mine == (other.sha256, other.size, other.mode, other.symlink)

    @property
    def is_known(self) -> bool:
        """Whether its content is: false for what an outline does not say."""
        return len(self.sha256) == _DIGEST_LENGTH and self.symlink != ""

    def has_content(self, sha256: str, size: int) -> bool:
        """Whether content of this digest and size is its own, as far as is known: of nothing known it is not."""
        return bool(self.sha256) and size == self.size and sha256.startswith(self.sha256)

    def to_json(self) -> dict[str, Any]:
        known: dict[str, Any] = {
            "path": self.path,
            "action": "update",
            "sha256": self.sha256,
            "size": self.size,
        }
        if self.symlink is None:
            known["mode"] = f"{self.mode:04o}"
        else:
            known["symlink"] = self.symlink
        return {**known, **self.extra}


@frozen
class PythonRequirements:
    """The app's own packages: a file of the release that pins them by hash, and a folder of wheels (empty: none)."""

    requirements: str
    wheelhouse: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"requirements": self.requirements, **({"wheelhouse": self.wheelhouse} if self.wheelhouse else {})}


@frozen
class Manifest:
    """A release's files and what to do after they are in place. ``files`` maps path to file, sorted by path.

    ``deleted_extra`` holds the unknown fields of delete entries, by path.
    """

    app: str
    version: str
    channel: str
    release_date: datetime
    files: Mapping[str, ManifestFile]
    component: str = "core"
    release_notes: str = ""
    deleted: tuple[str, ...] = ()
    migrations: tuple[str, ...] = ()
    post_update_commands: tuple[str, ...] = ()
    preserve: tuple[str, ...] = ()
    python: PythonRequirements | None = None
    schema: str = "1.0"
    extra: Extra = field(default_factory=dict, hash=False)
    deleted_extra: Mapping[str, Extra] = field(default_factory=dict, hash=False)

    @property
    def installed_size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files.values())

    @property
    def unknown(self) -> tuple[ManifestFile, ...]:
        """The files whose content an outline does not say; empty for a whole manifest."""
        return tuple(file for file in self.files.values() if not file.is_known)

    def complete(self, contents: Mapping[str, tuple[str, str | None]]) -> Manifest:
        """An outline with what was not known: by path the digest, and the target of a symlink. Raises KeyError."""
        files = {
            path: file if file.is_known else replace(file, sha256=contents[path][0], symlink=contents[path][1])
            for path, file in self.files.items()
        }
        return replace(self, files=files)

    @classmethod
    def parse(cls, data: bytes, document: str = MANIFEST_NAME) -> Manifest:
        """Read and check a manifest. Raises SchemaError (UnsupportedSchemaError for a newer major).

        The last few are remembered: one update reads the same ones again and again, and nobody changes them.
        """
        key = hashlib.sha256(data).digest()
        if key in _parsed:
            return _parsed[key]
        manifest = cls._parse(data, document)
        _parsed[key] = manifest
        while len(_parsed) > _REMEMBERED:
            _parsed.pop(next(iter(_parsed)), None)
        return manifest

    @classmethod
    def _parse(cls, data: bytes, document: str) -> Manifest:
        reader = Reader(parse_json(data, document), document)
        schema = reader.schema()
        updates: list[ManifestFile] = []
        deleted: dict[str, Extra] = {}
        for entry in reader.children("files", required=True):
            if entry.choice("action", ("update", "delete")) == "delete":
                path = entry.text("path", check=check_path)
                if path in deleted:
                    entry.problem("path", f"{path!r} is deleted twice")
                deleted[path] = entry.extra()
            else:
                updates.append(_read_file(entry))
        manifest = cls(
            schema=schema,
            app=reader.text("app", check=check_name),
            component=reader.text("component", default="core", check=check_name),
            version=reader.text("version", check=check_version),
            channel=reader.choice("channel", CHANNELS),
            release_date=reader.time("release_date"),
            release_notes=reader.text("release_notes", default="", empty=True),
            files={file.path: file for file in sorted(updates, key=lambda file: file.path.encode())},
            deleted=tuple(sorted(deleted, key=str.encode)),
            migrations=reader.texts("migrations"),
            post_update_commands=reader.texts("post_update_commands"),
            preserve=reader.texts("preserve"),
            python=_read_python(reader.child("python", required=False)),
            extra=reader.extra(),
            deleted_extra={path: extra for path, extra in deleted.items() if extra},
        )
        for collision in find_collisions(file.path for file in updates):
            reader.problem("files", collision)
        for path in deleted:
            if path in manifest.files:
                reader.problem("files", f"{path!r} is both updated and deleted")
        reader.finish()
        return manifest

    def to_bytes(self) -> bytes:
        """The document, in the order that docs/formats.md shows."""
        entries = [file.to_json() for file in self.files.values()]
        entries += [{"path": path, "action": "delete", **self.deleted_extra.get(path, {})} for path in self.deleted]
        entries.sort(key=lambda entry: entry["path"].encode())
        return dump_json(
            {
                "schema": self.schema,
                "app": self.app,
                "component": self.component,
                "version": self.version,
                "channel": self.channel,
                "release_date": format_time(self.release_date),
                "release_notes": self.release_notes,
                "files": entries,
                "migrations": list(self.migrations),
                "post_update_commands": list(self.post_update_commands),
                "preserve": list(self.preserve),
                **({} if self.python is None else {"python": self.python.to_json()}),
                **self.extra,
            },
            indent=None,
        )


def _read_python(reader: Reader | None) -> PythonRequirements | None:
    if reader is None:
        return None
    return PythonRequirements(
        reader.text("requirements", check=check_path),
        reader.text("wheelhouse", default="", check=check_path),
    )


_parsed: dict[bytes, Manifest] = {}
"""By the digest of their bytes."""


def _read_file(entry: Reader) -> ManifestFile:
    path = entry.text("path", check=check_path)
    symlink = entry.optional_text("symlink")
    if symlink is not None:
        try:
            check_symlink(path, symlink)
        except ValueError as error:
            entry.problem("symlink", str(error))
    mode = entry.choice("mode", _MODES, default="0644")
    if symlink is not None and entry.optional_text("mode") is not None:
        entry.problem("mode", "a symlink has none")
    return ManifestFile(
        path=path,
        sha256=entry.text("sha256", check=check_digest),
        size=entry.integer("size", maximum=2**40),
        mode=0 if symlink is not None else 0o755 if mode == "0755" else 0o644,
        symlink=symlink,
        extra=entry.extra() or _NO_FIELDS,
    )
