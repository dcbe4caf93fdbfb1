"""From a tag to a release as the feed shall list it, and the files that the store shall have of it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from feedgen.build import BuiltRelease, build_release
from feedgen.errors import ConfigError, FeedRegressionError
from feedgen.publish.decisions import PublishOptions
from feedgen.publish.places import Places
from feedgen.publish.prebuilt import take_package
from feedgen.publish.store import StoredFile, sha256_of
from feedgen.source import Repository
from updater.schema import Notes, Package, PackageIndex, PublisherConfig, Release, Requires

__all__ = ["Prepared", "Run", "prepare"]


@dataclass(frozen=True)
class Run:
    """What is being published. ``config``: the settings at the tag, which say how it is built and described."""

    repo: Path
    places: Places
    config: PublisherConfig
    options: PublishOptions
    now: datetime
    scratch: Path
    say: Callable[[str], None]


@dataclass(frozen=True)
class Prepared:
    """A release as the feed shall list it. ``package``: its package on this machine; None when the store has it.

    ``files`` are to be stored beside it, by name; of these, the store may have others under the same name as long as no
    feed lists them (``replaceable``). ``waits``: the store has the package and shows it to everybody, but no feed lists
    the release yet. ``commit``: of the tag, when it is known. ``needs_stop``: the release that no site may jump over,
    because this one lacks some of its migrations. ``proven``: digests (SHA-256, hex) of deltas that this run applied.
    """

    release: Release
    package: Path | None
    files: Mapping[str, Path] = field(default_factory=dict)
    replaceable: tuple[str, ...] = ()
    waits: bool = False
    commit: str = ""
    needs_stop: str | None = None
    proven: frozenset[str] = frozenset()


def prepare(run: Run, listed: Release | None, before_building: Callable[[], None]) -> Prepared:
    """Find the published package of ``listed`` in the store, or build it; ``before_building`` is called then.

    Raises ``FeedRegressionError`` when a published release would get other bytes, ``BuildError``, ``ConfigError``.
    """
    places = run.places
    if listed is not None and run.options.container not in (None, listed.container):
        raise FeedRegressionError(
            f"{listed.version} is published already with {listed.container or 'no image'}: sites may run it",
            hint="Leave --container out, or give the changed image a new version and tag.",
        )
    stored = places.store.find(places.tag, places.package)
    if listed is not None and stored is not None and _is_stored(run, listed, stored):
        run.say(f"{places.package} is in the store already")
        return Prepared(places.located(listed), stored.path)
    before_building()
    built = _build(run)
    for remark in built.remarks:
        run.say(f"Note: {remark}")
    if listed is None:
        return _new(run, built, stored)
    if built.sha256 != listed.package.sha256:
        raise FeedRegressionError(
            f"{built.version} is already published with other contents: its package has the SHA-256"
            f" {listed.package.sha256}, and {places.tag} now gives {built.sha256}",
            hint="Sites may have installed it, so it cannot be exchanged. Give the changed tree a new version"
            " and tag. If the tag did not move, compare the build settings and the feedgen version.",
        )
    index = listed.package.index
    same_index = built.index is not None and index is not None and built.index.head_sha256 == index.head_sha256
    files = {places.index: built.index.path} if built.index is not None and same_index else {}
    return Prepared(places.located(listed), built.package_path, files, commit=built.commit)


def _new(run: Run, built: BuiltRelease, stored: StoredFile | None) -> Prepared:
    places = run.places
    release = replace(_new_release(built, run.config, places, run.now), container=run.options.container)
    files = {} if built.index is None else {places.index: built.index.path}
    waits = stored is not None and stored.public and stored.sha256 == built.sha256
    stop = built.previous_version if built.removed_migrations else None
    return Prepared(release, built.package_path, files, tuple(files), waits, built.commit, stop)


def _build(run: Run) -> BuiltRelease:
    places, repo = run.places, run.repo
    if run.options.package is None:
        run.say(f"Building {places.package} from {places.tag}")
        return build_release(repo, places.tag, run.scratch, run.config)
    run.say(f"Verifying {run.options.package}")
    repository = Repository(repo) if run.options.tagged else None
    return take_package(run.options.package, run.scratch, places.tag, places.version, run.config, repository)


def _is_stored(run: Run, listed: Release, stored: StoredFile) -> bool:
    """Whether the store serves the published bytes, built from the commit that the tag names now."""
    if stored.sha256 != listed.package.sha256 or not stored.public:
        return False
    places = run.places
    signature = None if stored.path else places.store.find(places.tag, places.signature)
    if stored.path is None and (signature is None or not signature.public):
        return False
    if run.options.package is not None:
        return sha256_of(run.options.package) == stored.sha256
    if stored.path is None or not run.options.tagged:
        return True
    try:
        with zipfile.ZipFile(stored.path) as package:
            made_from = json.loads(package.read("version.json")).get("commit")
    except (zipfile.BadZipFile, KeyError, ValueError):
        return False
    return bool(made_from == Repository(run.repo).commit_of_tag(places.tag).id)


def _new_release(built: BuiltRelease, config: PublisherConfig, places: Places, now: datetime) -> Release:
    """A release as the feed describes it when it is first published. Raises ``ConfigError`` for a bad notes_url."""
    notes_url = None
    if config.notes_url:
        notes_url = config.notes_url.replace("{version}", built.version)
        if "{" in notes_url:
            raise ConfigError("notes_url in feedgen.toml may hold {version} and nothing else in braces")
    index = None
    if built.index is not None:
        urls = places.urls(places.index)
        index = PackageIndex(urls, built.index.size, built.index.head_size, built.index.head_sha256)
    urls = places.urls(places.package)
    return Release(
        version=built.version,
        published=now.replace(microsecond=0),
        package=Package(urls, built.size, built.sha256, built.tail_offset, built.tail_size, index),
        manifest_sha256=built.manifest_sha256,
        manifest_size=len(built.manifest_bytes),
        notes=Notes(markdown=built.notes_markdown, url=notes_url),
        requires=Requires(config.python, config.packages, config.from_version, config.components),
        migrations=built.migrations,
        directory=config.directory,
    )
