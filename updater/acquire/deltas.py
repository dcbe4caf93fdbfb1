"""From deltas to files: one delta, or several that lead from release to release (docs/formats.md section 12)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from updater.acquire.sources import Hop
from updater.acquire.store import ContentStore, ContentWriter
from updater.delta import DeltaReader, Group
from updater.errors import FeedError, StateError, TargetMismatchError
from updater.frozen import frozen
from updater.schema.feed import Release
from updater.schema.manifest import Manifest, ManifestFile
from updater.site.files import hash_file
from updater.site.reading import open_regular

__all__ = ["Built", "DeltaRoute", "References"]


class References:
    """Finds old content by its digest. ``places``: where a file with this digest was seen. ``trusted`` says of which
    this run has computed it, and that the file is still the same; all others are hashed before they are used."""

    def __init__(self, places: Mapping[str, str], trusted: Callable[[str], bool], store: ContentStore) -> None:
        self._places = places
        self._trusted = trusted
        self._store = store
        self._proven: set[str] = set()

    def open(self, file: ManifestFile) -> BinaryIO:
        """The content of ``file``, verified. Raises TargetMismatchError when there is none, OSError."""
        place = self._places.get(file.sha256)
        if place is not None and (self._trusted(place) or place in self._proven or self._prove(place, file)):
            return open_regular(place)
        if self._store.find(file) is not None:
            return self._store.open(file.sha256)
        raise TargetMismatchError(f"{file.path!r} of the old release is not on this site as it was released")

    def _prove(self, place: str, file: ManifestFile) -> bool:
        try:
            if hash_file(place)[0] != file.sha256:
                return False
        except OSError:
            return False
        self._proven.add(place)
        return True


@frozen
class Built:
    """What was built: the outline of the release, the digests of its new content by path, and the files of groups that
    could not be decoded, with why."""

    outline: Manifest
    digests: Mapping[str, str]
    failed: Mapping[str, str]


class DeltaRoute:
    """Deltas on disk, verified, that lead from ``installed`` to a release. Close it: ``with DeltaRoute(...) as route``.

    Opening raises UnsafeArchiveError or UnsupportedSchemaError as `DeltaReader.open` does.
    """

    def __init__(self, hops: Sequence[Hop], paths: Sequence[Path], installed: Manifest) -> None:
        self._hops = tuple(hops)
        self._installed = installed
        with ExitStack() as opened:
            self._files = [opened.enter_context(open_regular(path)) for path in paths]
            self._first = DeltaReader.open(self._files[0], installed, name=_name(self._hops[0]))
            self.outline = self._follow()
            self._opened = opened.pop_all()

    def __enter__(self) -> DeltaRoute:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @property
    def references(self) -> tuple[ManifestFile, ...]:
        """The files of the installed release that the first delta builds on."""
        return tuple({file.path: file for group in self._first.groups for file in group.references}.values())

    def buildable(self, available: Callable[[ManifestFile], bool]) -> frozenset[str]:
        """The paths of new files that can be built with the references that are available. A chain needs all of them.
        What is packed in a way that this client does not know is found out by `build`."""
        groups = self._first.groups
        usable = [group for group in groups if all(available(file) for file in group.references)]
        if len(self._hops) > 1:
            return frozenset(file.path for file in self.outline.unknown if len(usable) == len(groups))
        if any(group not in usable for group in groups if not group.dependent):
            usable = [group for group in usable if not group.dependent]
        return frozenset(file.path for group in usable for file in group.targets)

    def build(
        self,
        references: References,
        store: ContentStore,
        wanted: Callable[[ManifestFile], bool],
        known: Mapping[str, str],
    ) -> Built:
        """Put the files that ``wanted`` chooses into the store; of earlier deltas in a chain, all. ``known``: digests
        by path of the release's files, as far as they are known beforehand.

        Raises TargetMismatchError when an earlier delta does not lead to its release, or could not be used whole.
        """
        reader = self._first
        for before, hop, file in zip(self._hops, self._hops[1:], self._files[1:], strict=False):
            built = _decode_all(reader, reader.groups, references, store, {})
            reader = DeltaReader.open(file, _intermediate(built, before.release), name=_name(hop))
        groups = [group for group in reader.groups if any(wanted(file) for file in group.targets)]
        return _decode_all(reader, groups, references, store, known)

    def _follow(self) -> Manifest:
        """The outline of the last release. What an earlier delta builds has a made-up digest on the way: a later one
        tells by it what is new."""
        outline = self._first.outline
        made_up: set[str] = set()
        for hop, file in zip(self._hops[1:], self._files[1:], strict=True):
            digests = {f.path: hashlib.sha256(f.path.encode()).hexdigest()[::-1] for f in outline.unknown}
            made_up.update(digests.values())
            between = outline.complete({path: (sha256, None) for path, sha256 in digests.items()})
            outline = DeltaReader.open(file, between, name=_name(hop)).outline
        files = {
            path: replace(file, sha256="") if file.sha256 in made_up else file for path, file in outline.files.items()
        }
        return replace(outline, files=files)


def _intermediate(built: Built, release: Release) -> Manifest:
    for path, why in built.failed.items():
        raise TargetMismatchError(f"{path!r} of {release.version}, on the way, cannot be built: {why}")
    manifest = built.outline.complete({path: (sha256, None) for path, sha256 in built.digests.items()})
    if hashlib.sha256(manifest.to_bytes()).hexdigest() != release.manifest_sha256:
        raise TargetMismatchError(f"the deltas do not lead to {release.version} as it was signed")
    return manifest


def _name(hop: Hop) -> str:
    return f"the delta from {hop.delta.from_version} to {hop.release.version}"


def _decode_all(
    reader: DeltaReader,
    groups: Iterable[Group],
    references: References,
    store: ContentStore,
    known: Mapping[str, str],
) -> Built:
    """One group after the other: a group holds up to 30 MiB, the client shall stay below 64 MiB, and most of the time
    goes into work that two threads cannot share (measured: two are a quarter faster and take half as much again)."""
    digests: dict[str, str] = {}
    failed: dict[str, str] = {}
    for group in sorted(groups, key=lambda group: group.dependent):
        found: dict[str, str] = {}
        try:
            if group.dependent and not failed.keys() <= known.keys():
                raise StateError("they are built from the digests of others, which are not here yet")
            reader.decode(group, references.open, partial(_create, store, found), {**known, **digests})
        except (FeedError, StateError) as error:
            failed.update(dict.fromkeys((file.path for file in group.targets), str(error)))
        else:
            digests.update(found)
    return Built(reader.outline, digests, failed)


@contextmanager
def _create(store: ContentStore, found: dict[str, str], file: ManifestFile) -> Iterator[ContentWriter]:
    with store.writer() as out:
        yield out
        found[file.path] = out.commit()
