"""Building one release: what git tracks at a tag, in a package, with a manifest that describes it."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from feedgen.build.command import COMMAND_TIMEOUT
from feedgen.build.contents import Contents, collect_contents
from feedgen.build.history import Layer
from feedgen.build.index_file import BuiltIndex, build_index
from feedgen.build.requirements import check_requirements
from feedgen.build.selection import TreeFile
from feedgen.build.zip_writer import Member, PackageLayout, write_package
from feedgen.errors import BuildError
from feedgen.source.git import Repository
from feedgen.source.tags import parse_tag
from updater.errors import FeedError
from updater.package import PackageReader
from updater.package.structure import Member as PackedMember
from updater.schema.feed import Migrations
from updater.schema.manifest import MANIFEST_NAME, Manifest, ManifestFile, PythonRequirements
from updater.schema.publisher_config import PublisherConfig
from updater.schema.text import channel_of

__all__ = ["BuiltRelease", "beside", "build_release", "index_name", "package_name"]


@dataclass(frozen=True)
class BuiltRelease:
    """A package on disk and what a feed says of it. Sizes and offsets in bytes; ``date`` is the commit's, in UTC.

    ``migrations`` is None when the tree has no Django migrations at all. ``index`` is the file
    beside the package, None when there cannot be one. ``previous_version`` is the release that
    deletions and new migrations were counted from; ``removed_migrations`` are those that only it has.
    ``remarks`` are sentences for the maintainer; none is an error.
    """

    tag: str
    version: str
    channel: str
    commit: str
    date: datetime
    package_path: Path
    size: int
    sha256: str
    manifest: Manifest
    manifest_bytes: bytes
    tail_offset: int
    tail_size: int
    notes_markdown: str
    migrations: Migrations | None
    previous_version: str | None
    removed_migrations: tuple[str, ...] = ()
    index: BuiltIndex | None = None
    remarks: tuple[str, ...] = ()

    @property
    def manifest_sha256(self) -> str:
        """The digest that the feed carries."""
        return hashlib.sha256(self.manifest_bytes).hexdigest()


_INDEX = ".index"


def package_name(app: str, component: str, version: str) -> str:
    """``shop-1.1.0.zip`` for the core, ``shop-theme-1.1.0.zip`` for another component."""
    return f"{app}-{version}.zip" if component == "core" else f"{app}-{component}-{version}.zip"


def index_name(app: str, component: str, version: str) -> str:
    """``shop-1.1.0.index`` for the core, ``shop-theme-1.1.0.index`` for another component."""
    return f"{package_name(app, component, version).removesuffix('.zip')}{_INDEX}"


def build_release(
    repo: Path, tag: str, output: Path, config: PublisherConfig, *, command_timeout: float = COMMAND_TIMEOUT
) -> BuiltRelease:
    """Build the package of ``tag`` into the folder ``output``, replacing one of the same name at once.

    Reads the repository's objects only: the working tree, its line endings and local edits do not matter, and nothing
    in the repository is changed. ``command_timeout`` in seconds. Raises SourceError (ReleaseNotFoundError) for the
    repository or tag, and BuildError, listing every problem of the tree, for what cannot be packaged.
    """
    version = parse_tag(tag, config.tag_prefix)
    _check_commands(config)
    repository = Repository(repo)
    commit = repository.commit_of_tag(tag)
    path = output / package_name(config.app, config.component, version)
    with ExitStack() as stack:
        contents = collect_contents(repository, commit, version, config, stack, command_timeout=command_timeout)
        writer = _Writer(config, version, commit.date, contents)
        layout = write_package(path, writer.members(), date=commit.date)
    members = _check_as_client(path, layout, writer.manifest_bytes)
    index, remarks = beside(path, writer.manifest, writer.manifest_bytes, members, contents.layers)
    return BuiltRelease(
        tag=tag,
        version=version,
        channel=writer.manifest.channel,
        commit=commit.id,
        date=commit.date,
        package_path=path,
        size=layout.size,
        sha256=layout.sha256,
        manifest=writer.manifest,
        manifest_bytes=writer.manifest_bytes,
        tail_offset=layout.tail_offset,
        tail_size=layout.tail_size,
        notes_markdown=contents.notes_markdown,
        migrations=contents.migrations,
        previous_version=contents.previous_version,
        removed_migrations=contents.removed_migrations,
        index=index,
        remarks=(*contents.remarks, *remarks),
    )


def beside(
    package: Path,
    manifest: Manifest,
    manifest_bytes: bytes,
    members: Mapping[str, PackedMember],
    layers: Sequence[Layer],
) -> tuple[BuiltIndex | None, tuple[str, ...]]:
    """Write the index of ``package`` beside it; without one, a remark says why there is none."""
    path = package.with_name(f"{package.name.removesuffix('.zip')}{_INDEX}")
    path.unlink(missing_ok=True)
    try:
        return build_index(path, manifest, manifest_bytes, members, layers), ()
    except ValueError as error:
        return None, (f"The package gets no index, so sites cannot fetch it in part: {error}.",)


class _Writer:
    """Yields members for the zip and, once it has seen them all, the manifest that lists them."""

    manifest: Manifest
    manifest_bytes: bytes

    def __init__(self, config: PublisherConfig, version: str, date: datetime, contents: Contents) -> None:
        self._config, self._version, self._date, self._contents = config, version, date, contents

    def members(self) -> Iterator[Member]:
        listed: dict[str, ManifestFile] = {}
        for path, file in self._contents.files.items():
            data = file.read()
            listed[path] = _describe(file, data)
            if path == self._config.requirements:
                check_requirements(path, data)
            yield Member(path, data, mode=file.mode or 0o644, symlink=file.symlink is not None)
        self.manifest = self._make_manifest(listed)
        self.manifest_bytes = self.manifest.to_bytes()
        yield Member(MANIFEST_NAME, self.manifest_bytes)

    def _make_manifest(self, files: Mapping[str, ManifestFile]) -> Manifest:
        migrations = self._contents.migrations
        return Manifest(
            app=self._config.app,
            component=self._config.component,
            version=self._version,
            channel=channel_of(self._version),
            release_date=self._date,
            release_notes=self._contents.notes_markdown,
            files={path: files[path] for path in sorted(files, key=str.encode)},
            deleted=self._contents.deleted,
            migrations=migrations.names if migrations else (),
            post_update_commands=self._config.post_update_commands,
            preserve=self._config.preserve,
            python=self._python(files),
        )

    def _python(self, files: Mapping[str, ManifestFile]) -> PythonRequirements | None:
        """What says which packages the app needs. Raises BuildError when the package does not hold it."""
        requirements, wheelhouse = self._config.requirements, self._config.wheelhouse
        if requirements is None:
            return None
        missing = [] if requirements in files else [f"{requirements} ([release] requirements)"]
        if wheelhouse and not any(path.startswith(f"{wheelhouse}/") for path in files):
            missing.append(f"{wheelhouse}/ ([release] wheelhouse)")
        if missing:
            raise BuildError(
                "feedgen.toml names what the package does not hold:",
                problems=missing,
                hint="Commit it, or have [build] command make it and list it in outputs.",
            )
        return PythonRequirements(requirements, wheelhouse)


def _describe(file: TreeFile, data: bytes) -> ManifestFile:
    return ManifestFile(file.path, hashlib.sha256(data).hexdigest(), len(data), file.mode, file.symlink)


def _check_commands(config: PublisherConfig) -> None:
    problems = []
    for command in config.post_update_commands:
        try:
            words = shlex.split(command)
        except ValueError as error:
            problems.append(f"{command!r}: {error}")
        else:
            if not words:
                problems.append(f"{command!r} is empty")
    if problems:
        raise BuildError("post_update_commands holds what cannot be run:", problems=problems, hint="Check the quotes.")


def _check_as_client(path: Path, layout: PackageLayout, manifest: bytes) -> Mapping[str, PackedMember]:
    """The members as the client reads them: a package that it would refuse must not leave this function."""
    digest = hashlib.sha256(manifest).hexdigest()
    try:
        with path.open("rb") as file:
            reader = PackageReader.open(file, manifest_sha256=digest, manifest_size=len(manifest), name=path.name)
    except FeedError as error:
        path.unlink()
        raise BuildError(f"The package would be refused by the client: {error}") from error
    if path.stat().st_size != layout.size:
        raise BuildError(f"{path} changed while it was written.", hint="Does another build write to the same folder?")
    return reader.members
