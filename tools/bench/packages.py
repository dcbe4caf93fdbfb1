"""Real releases as packages, for measuring what is made from two of them."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from feedgen.build.zip_writer import Member, write_package
from tools.bench.pairs import Pair
from tools.bench.places import HOME
from updater.schema.manifest import MANIFEST_NAME, Manifest, ManifestFile
from updater.schema.version_file import VERSION_FILE_NAME, VersionFile

__all__ = ["package_of"]


def package_of(pair: Pair, version: str) -> Path:
    """The release packed as feedgen packs a tag, with ``version.json``; made when it is not there yet."""
    path = HOME / "packages" / f"{pair.project}-{version}.zip"
    if not path.exists():
        _pack(pair.wheel(version), pair.project, version, path)
    return path


def _pack(wheel: Path, app: str, version: str, path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
        date = datetime(*max(info.date_time for info in infos), tzinfo=UTC)
        tree = {info.filename: (archive.read(info), bool(info.external_attr >> 16 & 0o100)) for info in infos}
    identity = VersionFile(app=app, component="core", version=version, channel="stable", date=date)
    tree[VERSION_FILE_NAME] = (identity.to_bytes(), False)
    files: dict[str, ManifestFile] = {}

    def members() -> Iterator[Member]:
        for name in sorted(tree, key=str.encode):
            data, executable = tree[name]
            mode = 0o755 if executable else 0o644
            files[name] = ManifestFile(name, hashlib.sha256(data).hexdigest(), len(data), mode)
            yield Member(name, data, mode)
        manifest = Manifest(app=app, version=version, channel="stable", release_date=date, files=files)
        yield Member(MANIFEST_NAME, manifest.to_bytes())

    write_package(path, members(), date=date)
