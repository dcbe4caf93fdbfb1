"""What goes into a release: files, deletions, migrations and notes, from the trees of its tag and the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from feedgen.build.command import run_build_command
from feedgen.build.history import Layer, layers_of
from feedgen.build.prior import previous_tag
from feedgen.build.selection import TreeFile, check_tree, chosen, from_git
from feedgen.build.settings import read_config, text_at
from feedgen.errors import BuildError
from feedgen.source.changelog import release_notes
from feedgen.source.django_migrations import find_migrations, migration_facts, new_migrations, removed_migrations
from feedgen.source.git import SUBMODULE, SYMLINK, BlobReader, Commit, Repository, TreeEntry
from feedgen.source.tags import parse_tag
from updater.schema.feed import Migrations
from updater.schema.paths import check_path, collision_key
from updater.schema.publisher_config import PublisherConfig
from updater.schema.text import channel_of
from updater.schema.version_file import VERSION_FILE_NAME, VersionFile

__all__ = ["Contents", "collect_contents"]


@dataclass(frozen=True)
class Contents:
    """Everything of a release but its bytes. ``files`` is in the order of the package, version.json included.

    ``layers`` say since which release each file is as it is, newest first, in the same order.
    """

    files: Mapping[str, TreeFile]
    layers: tuple[Layer, ...]
    deleted: tuple[str, ...]
    migrations: Migrations | None
    notes_markdown: str
    previous_version: str | None
    removed_migrations: tuple[str, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class _Previous:
    version: str | None = None
    files: Mapping[str, Callable[[], bytes]] = field(default_factory=dict)


def collect_contents(
    repository: Repository,
    commit: Commit,
    version: str,
    config: PublisherConfig,
    stack: ExitStack,
    *,
    command_timeout: float,
) -> Contents:
    """Select and judge everything. Files can be read until ``stack`` is closed. Raises BuildError and SourceError."""
    blobs = stack.enter_context(repository.blobs())
    entries = repository.tree(commit.id)
    selected = [e for e in entries if chosen(e.path, config.include, config.exclude)]
    selection = from_git(selected, blobs.read)
    remarks = []
    files = dict(selection.files)
    made = {VERSION_FILE_NAME}
    if config.command and not selection.problems:
        tree = from_git((e for e in entries if e.mode != SUBMODULE), blobs.read).files
        running = run_build_command(
            config.command,
            tree,
            config.outputs,
            exclude=config.exclude,
            commit=commit,
            version=version,
            timeout=command_timeout,
        )
        outputs = stack.enter_context(running)
        files |= outputs
        made |= outputs.keys()
    if not files and not selection.problems:
        raise BuildError(
            "Nothing is left to package.", hint="Check include and exclude under [build] in feedgen.toml, and the tag."
        )
    if VERSION_FILE_NAME in files:
        remarks.append(f"The repository's own {VERSION_FILE_NAME} is replaced by the generated one.")
    files[VERSION_FILE_NAME] = _version_file(config, version, commit)
    checked = check_tree(files, [entry.path for entry in entries], config.preserve)
    _refuse([*selection.problems, *checked.problems])
    remarks += [f"{note}." for note in checked.notes]

    previous = _find_previous(repository, commit, version, config, blobs)
    if previous.version is None:
        remarks.append("No earlier release was found among the tags merged into this one: this is taken for the first.")
    notes = _notes(entries, version, config, blobs, remarks)
    ids = {entry.path: f"{entry.mode} {entry.object_id}" for entry in selected if entry.path not in made}
    layers = layers_of(repository, commit, version, config, paths=files, ids=ids)
    removed = _removed(files, previous.files)
    if removed:
        more = f" and {len(removed) - 3} more" if len(removed) > 3 else ""
        what = f"{', '.join(removed[:3])}{more} of {previous.version}"
        remarks.append(f"{what} are gone: sites that have not run them must go through {previous.version} first.")
    return Contents(
        files={path: files[path] for layer in layers for path in layer.paths},
        layers=tuple(layers),
        deleted=_deleted(previous.files, files),
        migrations=_migrations({path: files[path] for path in sorted(files, key=str.encode)}, previous.files),
        notes_markdown=notes,
        previous_version=previous.version,
        removed_migrations=removed,
        remarks=tuple(remarks),
    )


def _refuse(problems: Iterable[str]) -> None:
    found = sorted(set(problems))
    if found:
        count = f"{len(found)} path{'s' if len(found) != 1 else ''}"
        raise BuildError(
            f"{count} cannot be packaged:",
            problems=found,
            hint="Rename them, or exclude them under [build] in feedgen.toml; docs/formats.md 1.2 has the rules.",
        )


def _version_file(config: PublisherConfig, version: str, commit: Commit) -> TreeFile:
    identity = VersionFile(
        app=config.app,
        component=config.component,
        version=version,
        channel=channel_of(version),
        commit=commit.id,
        date=commit.date,
    )
    return TreeFile(VERSION_FILE_NAME, identity.to_bytes)


def _find_previous(
    repository: Repository, commit: Commit, version: str, config: PublisherConfig, blobs: BlobReader
) -> _Previous:
    """The earlier release's files, selected by the settings it had; outputs of its build command are not known."""
    tag = previous_tag(repository.tags_merged_into(commit.id), version, config.tag_prefix)
    if tag is None:
        return _Previous()
    entries = repository.tree(repository.commit_of_tag(tag).id)
    then = read_config(entries, blobs, config)
    files = {
        entry.path: _reader(blobs, entry)
        for entry in entries
        if entry.mode != SUBMODULE and chosen(entry.path, then.include, then.exclude)
    }
    return _Previous(parse_tag(tag, config.tag_prefix), files)


def _reader(blobs: BlobReader, entry: TreeEntry) -> Callable[[], bytes]:
    return lambda: blobs.read(entry.object_id)


def _deleted(previous: Iterable[str], files: Iterable[str]) -> tuple[str, ...]:
    """Paths that are gone. A path that only changed case is left out: deleting it would delete the new one on some."""
    present = {collision_key(path) for path in files}
    return tuple(sorted((p for p in previous if _acceptable(p) and collision_key(p) not in present), key=str.encode))


def _acceptable(path: str) -> bool:
    try:
        check_path(path)
    except ValueError:
        return False
    return True


def _migrations(files: Mapping[str, TreeFile], previous: Mapping[str, Callable[[], bytes]]) -> Migrations | None:
    now = _readable(files)
    if not find_migrations(now):
        return None
    return migration_facts(new_migrations(now, previous), now)


def _removed(files: Mapping[str, TreeFile], previous: Mapping[str, Callable[[], bytes]]) -> tuple[str, ...]:
    return tuple(map(str, removed_migrations(_readable(files), previous)))


def _readable(files: Mapping[str, TreeFile]) -> dict[str, Callable[[], bytes]]:
    return {path: file.read for path, file in files.items() if file.symlink is None}


def _notes(
    entries: list[TreeEntry], version: str, config: PublisherConfig, blobs: BlobReader, remarks: list[str]
) -> str:
    if not config.changelog:
        return ""
    text = text_at(entries, config.changelog, blobs)
    if text is None:
        kind = (
            "is a symlink" if any(e.path == config.changelog and e.mode == SYMLINK for e in entries) else "is missing"
        )
        remarks.append(f"{config.changelog} {kind} at the tag: the release has no notes.")
        return ""
    notes = release_notes(text, version)
    if notes is None:
        remarks.append(f"{config.changelog} has no section for {version}: the release has no notes.")
    return notes or ""
