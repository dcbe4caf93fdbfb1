"""feedgen.toml as it was at a tag: settings are part of what a tag means."""

from __future__ import annotations

from pathlib import Path

from feedgen.errors import ConfigError
from feedgen.source.git import SUBMODULE, SYMLINK, BlobReader, Repository, TreeEntry
from updater.errors import ConfigError as InvalidConfigError
from updater.schema.publisher_config import PUBLISHER_CONFIG_NAME, PublisherConfig

__all__ = ["config_at_tag", "read_config", "text_at"]


def config_at_tag(repo: Path, tag: str) -> PublisherConfig:
    """The settings that ``tag`` carries, or, for tags from before feedgen, those of the working tree.

    Raises ConfigError when there are none, updater.errors.ConfigError when they are wrong, and SourceError
    (ReleaseNotFoundError) when the tag cannot be read.
    """
    repository = Repository(repo)
    entries = repository.tree(repository.commit_of_tag(tag).id)
    with repository.blobs() as blobs:
        text = text_at(entries, PUBLISHER_CONFIG_NAME, blobs)
    if text is not None:
        return PublisherConfig.parse(text, f"{PUBLISHER_CONFIG_NAME} at {tag}")
    path = repo / PUBLISHER_CONFIG_NAME
    if not path.is_file():
        raise ConfigError(
            f"There is no {PUBLISHER_CONFIG_NAME} at {tag} or in {repo}.",
            hint="Write one (`feedgen init`), commit it, and tag again.",
        )
    return PublisherConfig.parse(path.read_text(encoding="utf-8"), str(path))


def read_config(entries: list[TreeEntry], blobs: BlobReader, otherwise: PublisherConfig) -> PublisherConfig:
    """The settings of another tag's tree; ``otherwise`` when it has none that can be read."""
    text = text_at(entries, PUBLISHER_CONFIG_NAME, blobs)
    try:
        return otherwise if text is None else PublisherConfig.parse(text)
    except InvalidConfigError:
        return otherwise


def text_at(entries: list[TreeEntry], path: str, blobs: BlobReader) -> str | None:
    """A text file of a tree (what is not UTF-8 in it is replaced), or None when there is no such file."""
    for entry in entries:
        if entry.path == path and entry.mode not in (SUBMODULE, SYMLINK):
            return blobs.read(entry.object_id).decode("utf-8", "replace")
    return None
