"""The formats both sides agree on, as frozen dataclasses (docs/formats.md). Standard library only."""

from updater.schema.document import dump_json, format_time, parse_json, parse_time
from updater.schema.feed import (
    ArchiveLink,
    ArchivePage,
    Delta,
    Feed,
    Migrations,
    Notes,
    Package,
    PackageIndex,
    Release,
    Requires,
    Rollout,
    RolloutStep,
    Yank,
)
from updater.schema.globs import matches_any
from updater.schema.manifest import MANIFEST_NAME, Manifest, ManifestFile
from updater.schema.paths import check_path, check_symlink, collision_key, find_collisions
from updater.schema.publisher_config import PUBLISHER_CONFIG_NAME, PublisherConfig
from updater.schema.site_config import CONFIG_NAME, SiteConfig
from updater.schema.text import CHANNELS, channel_of
from updater.schema.version_file import VERSION_FILE_NAME, VersionFile

__all__ = [
    "CHANNELS",
    "CONFIG_NAME",
    "MANIFEST_NAME",
    "PUBLISHER_CONFIG_NAME",
    "VERSION_FILE_NAME",
    "ArchiveLink",
    "ArchivePage",
    "Delta",
    "Feed",
    "Manifest",
    "ManifestFile",
    "Migrations",
    "Notes",
    "Package",
    "PackageIndex",
    "PublisherConfig",
    "Release",
    "Requires",
    "Rollout",
    "RolloutStep",
    "SiteConfig",
    "VersionFile",
    "Yank",
    "channel_of",
    "check_path",
    "check_symlink",
    "collision_key",
    "dump_json",
    "find_collisions",
    "format_time",
    "matches_any",
    "parse_json",
    "parse_time",
]
