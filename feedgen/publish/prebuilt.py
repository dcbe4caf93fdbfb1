"""A package that was built elsewhere: checked as a client would, and against the release it is published as."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
import zlib
from pathlib import Path

from feedgen.build import BuiltRelease, package_name
from feedgen.build.builder import beside
from feedgen.build.history import Layer, layers_of_package
from feedgen.build.index_file import in_package_order
from feedgen.errors import BuildError
from feedgen.source import Repository
from updater.errors import UpdaterError
from updater.package import PackageReader
from updater.schema import (
    MANIFEST_NAME,
    VERSION_FILE_NAME,
    Manifest,
    Migrations,
    PublisherConfig,
    VersionFile,
    channel_of,
)

__all__ = ["take_package"]

_ADVICE = "Build it with 'feedgen build', or with a builder that follows docs/formats.md, sections 3 to 5."
_LARGEST_MANIFEST = 2**28


def take_package(  # noqa: PLR0917 - everything that the package must agree with
    path: Path, folder: Path, tag: str, version: str, config: PublisherConfig, repository: Repository | None = None
) -> BuiltRelease:
    """Copy the package at ``path`` into ``folder`` under its proper name, verify every byte, and describe it.

    ``repository`` has the tag, when there is one: a package that names another commit is refused, and one that has the
    order which the tag gives it gets an index that knows what changed when. Raises ``BuildError`` when it is not a
    package or not that of the release, ``SourceError`` and ``OSError``.
    """
    commit = repository.commit_of_tag(tag) if repository else None
    copy = folder / package_name(config.app, config.component, version)
    shutil.copyfile(path, copy)
    try:
        manifest_bytes = _manifest_bytes(copy)
        with copy.open("rb") as file:
            digest = hashlib.sha256(manifest_bytes).hexdigest()
            reader = PackageReader.open(file, manifest_sha256=digest, manifest_size=len(manifest_bytes), name=path.name)
            reader.verify()
            tail_offset = reader.members[MANIFEST_NAME].offset
        with zipfile.ZipFile(copy) as package:
            identity = VersionFile.parse(package.read(VERSION_FILE_NAME))
    except (UpdaterError, zipfile.BadZipFile, zlib.error, KeyError, EOFError) as error:
        raise BuildError(f"{path} is not a package that a site would install: {error}", hint=_ADVICE) from error
    manifest = reader.manifest
    _check_identity(path, manifest, identity, version, config)
    if commit is not None and identity.commit not in (None, commit.id):
        raise BuildError(
            f"{path} was built from the commit {identity.commit}, but {tag} is {commit.id}",
            hint="Build the package again from the tag, or move the tag if nothing was published under it yet.",
        )
    layers: list[Layer] = []
    if repository is not None and commit is not None:
        layers = layers_of_package(repository, commit, version, config, manifest.files)
    members = reader.members
    index, remarks = beside(copy, manifest, manifest_bytes, members, in_package_order(members, layers))
    with copy.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    size = copy.stat().st_size
    return BuiltRelease(
        tag=tag,
        version=version,
        channel=channel_of(version),
        commit=identity.commit or "",
        date=identity.date,
        package_path=copy,
        size=size,
        sha256=sha256,
        manifest=manifest,
        manifest_bytes=manifest_bytes,
        tail_offset=tail_offset,
        tail_size=size - tail_offset,
        notes_markdown=manifest.release_notes,
        migrations=Migrations(manifest.migrations) if manifest.migrations else None,
        previous_version=None,
        index=index,
        remarks=remarks,
    )


def _manifest_bytes(path: Path) -> bytes:
    with zipfile.ZipFile(path) as package:
        if package.getinfo(MANIFEST_NAME).file_size > _LARGEST_MANIFEST:
            raise zipfile.BadZipFile("its manifest is too large")
        return package.read(MANIFEST_NAME)


def _check_identity(
    path: Path, manifest: Manifest, identity: VersionFile, version: str, config: PublisherConfig
) -> None:
    wanted = (config.app, config.component, version)
    problems = [
        f"{name} says {' '.join(said)}"
        for name, said in (
            (MANIFEST_NAME, (manifest.app, manifest.component, manifest.version)),
            (VERSION_FILE_NAME, (identity.app, identity.component, identity.version)),
        )
        if said != wanted
    ]
    if problems:
        raise BuildError(f"{path} is not the package of {' '.join(wanted)}:", problems=problems, hint=_ADVICE)
