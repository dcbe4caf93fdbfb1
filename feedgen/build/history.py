"""Since which release each file is as it is: the order of a package, and what its index says (docs/formats.md 3, 11).

Told from git's own object ids, one listing for each earlier release; no file is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from packaging.version import Version

from feedgen.build.selection import chosen
from feedgen.errors import SourceError
from feedgen.source.git import SUBMODULE, SYMLINK, BlobReader, Commit, Repository
from feedgen.source.tags import parse_tag
from updater.errors import ConfigError
from updater.schema.paths import check_path
from updater.schema.publisher_config import PUBLISHER_CONFIG_NAME, PublisherConfig
from updater.schema.version_file import VERSION_FILE_NAME

__all__ = [
    "MOST_EARLIER",
    "Earlier",
    "Layer",
    "earlier_releases",
    "earlier_tags",
    "in_layers",
    "layers_of",
    "layers_of_package",
]

MOST_EARLIER = 32
"""Releases that the history goes back."""

Ids = Mapping[str, str]
"""Path to what a file is: git's mode and object id. Equal for two releases means: same content, same mode."""


@dataclass(frozen=True)
class Layer:
    """The files that last changed in the release ``since``, in order of path.

    ``since`` is None for what is older than the recorded history. ``gone``: paths that the release before ``since``
    had, that it had no longer, and that the newest one has not either.
    """

    since: str | None
    paths: tuple[str, ...]
    gone: tuple[str, ...] = ()


@dataclass(frozen=True)
class Earlier:
    """An earlier release, and the files that it was made of as far as git knows them."""

    version: str
    ids: Ids


def in_layers(
    version: str, paths: Iterable[str], ids: Ids, earlier: Iterable[Earlier], *, cut: bool = False
) -> list[Layer]:
    """Layers of the release ``version``, which holds ``paths``, newest first: pure.

    ``ids`` are of those paths that came from git as they are; all others count as changed. ``earlier``: newest first.
    ``cut``: there were more. Empty layers are left out.
    """
    present, kept = set(paths), dict(ids)
    fresh = present - kept.keys()
    layers: list[Layer] = []
    since, ids_there = version, ids
    for release in earlier:
        changed = {path for path, found in kept.items() if release.ids.get(path) != found}
        gone = release.ids.keys() - ids_there.keys() - present
        layers.append(Layer(since, _ordered(fresh | changed), _ordered(filter(_acceptable, gone))))
        kept = {path: found for path, found in kept.items() if path not in changed}
        fresh = set()
        since, ids_there = release.version, release.ids
    layers.append(Layer(None if cut else since, _ordered(fresh | kept.keys())))
    return [layer for layer in layers if layer.paths or layer.gone]


def layers_of(
    repository: Repository, commit: Commit, version: str, config: PublisherConfig, *, paths: Iterable[str], ids: Ids
) -> list[Layer]:
    """See ``in_layers``, with the history that the repository has. Raises SourceError."""
    tags = earlier_tags(repository.tags_merged_into(commit.id), version, config.tag_prefix)
    with repository.blobs() as blobs:
        earlier = earlier_releases(repository, blobs, tags[:MOST_EARLIER], config)
        return in_layers(version, paths, ids, earlier, cut=len(tags) > MOST_EARLIER)


def layers_of_package(
    repository: Repository, commit: Commit, version: str, config: PublisherConfig, paths: Iterable[str]
) -> list[Layer]:
    """What ``layers_of`` gave when the package with these files was built from the commit, if it was."""
    present = set(paths) - {VERSION_FILE_NAME}
    made = config.outputs if config.command else ()
    ids = {
        path: found
        for path, found in repository.listing(commit.id).items()
        if path in present and not found.startswith(SUBMODULE) and not chosen(path, made, config.exclude)
    }
    return layers_of(repository, commit, version, config, paths={*present, VERSION_FILE_NAME}, ids=ids)


def earlier_tags(tags: Iterable[str], version: str, prefix: str) -> list[tuple[str, str]]:
    """Of ``tags``, those that name releases below ``version``, highest first: the version, and the tag.

    Of two tags that name one version, the greater by its bytes counts; tags that are no versions are passed over.
    """
    found: dict[str, str] = {}
    for tag in sorted(tags, key=lambda tag: tag.encode("utf-8", "surrogateescape")):
        try:
            found[parse_tag(tag, prefix)] = tag
        except SourceError:
            continue
    below = ((name, tag) for name, tag in found.items() if Version(name) < Version(version))
    return sorted(below, key=lambda item: Version(item[0]), reverse=True)


def earlier_releases(
    repository: Repository, blobs: BlobReader, tags: Iterable[tuple[str, str]], config: PublisherConfig
) -> Iterator[Earlier]:
    """The releases of ``tags``, each selected by the settings that it had, or by ``config`` when it had none."""
    settings: dict[str, PublisherConfig] = {}
    verdicts: dict[tuple[tuple[str, ...], tuple[str, ...]], dict[str, bool]] = {}
    for version, tag in tags:
        listing = repository.listing(f"refs/tags/{tag}")
        mode, _, object_id = listing.get(PUBLISHER_CONFIG_NAME, SUBMODULE).partition(" ")
        if object_id and object_id not in settings:
            settings[object_id] = _read_settings(blobs, object_id, config)
        then = config if mode in (SUBMODULE, SYMLINK) else settings[object_id]
        known = verdicts.setdefault((then.include, then.exclude), {})
        for path in listing.keys() - known.keys():
            known[path] = chosen(path, then.include, then.exclude)
        ids = {path: found for path, found in listing.items() if known[path] and not found.startswith(SUBMODULE)}
        yield Earlier(version, ids)


def _read_settings(blobs: BlobReader, object_id: str, otherwise: PublisherConfig) -> PublisherConfig:
    try:
        return PublisherConfig.parse(blobs.read(object_id).decode("utf-8", "replace"))
    except ConfigError:
        return otherwise


def _ordered(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(paths, key=str.encode))


def _acceptable(path: str) -> bool:
    try:
        check_path(path)
    except ValueError:
        return False
    return True
