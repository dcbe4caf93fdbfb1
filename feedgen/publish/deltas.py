"""Making the deltas of a release: from packages that the store has, within a time budget, and never twice."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.version import Version

from feedgen.delta import create_delta
from feedgen.delta.check import rebuilt_manifest
from feedgen.errors import NoDeltaError, PublishError
from feedgen.publish.places import Places
from feedgen.publish.store import sha256_of
from updater.errors import UpdaterError
from updater.package import PackageReader
from updater.schema import Delta, Release
from updater.schema.publisher_config import DeltaSettings

__all__ = ["DeltaMaker", "MadeDeltas", "fetch_package", "leads_to"]

Say = Callable[[str], None]


@dataclass
class MadeDeltas:
    """Deltas as the feed lists them, and their files, by name, which are to be stored."""

    listed: list[Delta] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class DeltaMaker:
    """Makes deltas to one release. ``tag_of`` gives the tag of another version; files go to ``scratch``.

    ``clock`` gives seconds that pass.
    """

    places: Places
    settings: DeltaSettings
    tag_of: Callable[[str], str]
    scratch: Path
    say: Say
    clock: Callable[[], float] = time.monotonic

    def make(self, release: Release, package: Path, sources: Sequence[Release], *, add: bool = True) -> MadeDeltas:
        """Deltas from ``sources``, in their order, to ``release``, whose package is the file ``package``.

        One that the store has is taken when it leads to the release; others are made, unless ``add`` is false. What is
        left out, and why, is said: a site without a delta fetches what it lacks from the package.
        """
        made = MadeDeltas()
        until = self.clock() + self.settings.budget_seconds
        for place, source in enumerate(sources):
            left = until - self.clock()
            if left <= 0:
                names = ", ".join(other.version for other in sources[place:])
                self.say(f"Note: no time was left for deltas from {names} ([deltas] budget_seconds in feedgen.toml)")
                break
            self._one(release, package, source, made, left, add=add)
        return made

    def listed_in(self, release: Release, made: MadeDeltas) -> Release:
        """``release`` with the new deltas, those from the newest releases first."""
        deltas = sorted((*release.deltas, *made.listed), key=lambda delta: Version(delta.from_version), reverse=True)
        return replace(release, deltas=tuple(deltas))

    def _one(
        self, release: Release, package: Path, source: Release, made: MadeDeltas, left: float, *, add: bool
    ) -> None:
        name = self.places.delta(source.version)
        there = self.places.store.find(self.places.tag, name)
        if there is None and not add:
            return
        try:
            old = self._old_package(source)
            path = self.scratch / name
            if there is not None:
                self.places.store.fetch(self.places.tag, name, path, limit=there.size)
            if there is None or not leads_to(path, old, source, release):
                self._create(source, old, package, path, left)
            size = path.stat().st_size
        except (NoDeltaError, PublishError, UpdaterError) as problem:
            self.say(f"Note: there is no delta from {source.version}: {problem}")
            return
        if size * 100 > release.package.size * self.settings.largest_percent:
            share = size * 100 // release.package.size
            self.say(
                f"Note: the delta from {source.version} would have {share} % of the package's size; it is not kept"
            )
            return
        made.files[name] = path
        made.listed.append(Delta(source.version, self.places.urls(name), size, sha256_of(path)))

    def _create(self, source: Release, old: Path, package: Path, path: Path, left: float) -> None:
        version = self.places.version
        self.say(f"Making the delta from {source.version} to {version}")
        shown = 0

        def progress(done: int, total: int) -> None:
            nonlocal shown
            tenth = done * 10 // total if total else 10
            if tenth > shown and total > _WORTH_SAYING:
                self.say(f"  {tenth * 10} % of {total:,} changed bytes")
            shown = max(shown, tenth)

        created = create_delta(old, package, path, progress=progress, budget_seconds=left)
        self.say(f"  {created.size:,} bytes for {created.files} files")

    def _old_package(self, source: Release) -> Path:
        """The package of an earlier release, as it was signed."""
        path = self.scratch / f"{source.package.sha256}.zip"
        if not path.exists():
            fetch_package(self.places, source, self.tag_of(source.version), path)
        return path


def fetch_package(places: Places, release: Release, tag: str, path: Path) -> None:
    """Fetch another release's package out of the store. Raises ``PublishError`` unless it is the signed one."""
    other = Places(places.config, places.store, tag, release.version)
    stored = places.store.find(tag, other.package)
    if stored is None:
        raise PublishError(f"the store does not have {other.package}")
    exchanged = PublishError(f"{other.package} in the store is not the package that the feed lists")
    if stored.size != release.package.size:
        raise exchanged
    places.store.fetch(tag, other.package, path, limit=stored.size)
    if sha256_of(path) != release.package.sha256:
        path.unlink()
        raise exchanged


_WORTH_SAYING = 16 << 20
"""Bytes that are packed in some seconds."""


def leads_to(delta: Path, old: Path, source: Release, release: Release) -> bool:
    """Whether applying the file ``delta`` to the package ``old`` gives the manifest of ``release``, as on a site."""
    try:
        with old.open("rb") as package, delta.open("rb") as patch:
            before = PackageReader.open(
                package, manifest_sha256=source.manifest_sha256, manifest_size=source.manifest_size, name=old.name
            )
            manifest = rebuilt_manifest(patch, before, name=delta.name)
    except UpdaterError:
        return False
    return hashlib.sha256(manifest).hexdigest() == release.manifest_sha256
