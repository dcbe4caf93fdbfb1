"""The releases of several components, obtained for one update that installs them all or none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from updater.acquire.acquisition import obtain
from updater.acquire.job import Job
from updater.acquire.obtaining import Obtained
from updater.errors import BlockedError, SchemaError
from updater.install.changes import Changes
from updater.install.staging import GivingSource, Source
from updater.schema.assembly import Part, Parts, assemble
from updater.schema.manifest import Manifest, ManifestFile
from updater.schema.text import CORE
from updater.tree_view import TreeView

if TYPE_CHECKING:
    from updater.results import PlannedPart

__all__ = ["changes_together", "obtain_together", "whole_manifest"]


@contextmanager
def obtain_together(wanted: Sequence[tuple[PlannedPart, Job | None]], view: TreeView) -> Iterator[Obtained]:
    """Everything that the update writes: one manifest, one source, and what it changes. ``view`` is of the whole site.

    Raises as `obtain` does, BlockedError when the releases do not go together in one tree.
    """
    with ExitStack() as opened:
        had: dict[str, Obtained] = {}
        for part, job in wanted:
            if part.prepared is not None and job is not None:
                had[part.component] = opened.enter_context(obtain(job, part.prepared))
        installed = view.parts
        parts = [part for part, _ in wanted]
        if _core_alone(parts, installed):
            yield had[CORE]  # all there is, byte for byte
            return
        manifest = whole_manifest(parts, {name: obtained.manifest for name, obtained in had.items()}, installed)
        places = {part.directory: had[part.component] for part in parts if part.component in had}
        yield Obtained(
            manifest,
            manifest.to_bytes(),
            changes_together(parts, manifest, view),
            _JoinedGiving({place: obtained.source for place, obtained in places.items()}),
            _Joined({place: obtained.copies for place, obtained in places.items()}),
            sum(obtained.to_write for obtained in had.values()),
        )


def whole_manifest(
    wanted: Sequence[PlannedPart], manifests: Mapping[str, Manifest], installed: Parts | None
) -> Manifest:
    """What the site will consist of. ``manifests`` are those of the components that change, or come. BlockedError."""
    core = manifests.get(CORE) or (installed.core if installed else None)
    if core is None:
        raise BlockedError("A component needs the app itself first.", hint="Install the app: `updater install`.")
    parts = dict(installed.components) if installed else {}
    for part in wanted:
        if part.prepared is None:
            parts.pop(part.component, None)
        elif part.component != CORE:
            parts[part.component] = Part(part.component, part.directory, manifests[part.component], part.requires)
    try:
        return assemble(core, parts.values())
    except SchemaError as error:
        raise BlockedError(
            "These releases cannot be in one tree.",
            reasons=tuple(f"{problem.path}: {problem.message}" for problem in error.problems),
            hint="Tell the maintainers, or give the component another `directory` in updater.toml.",
        ) from error


def changes_together(wanted: Sequence[PlannedPart], manifest: Manifest, view: TreeView) -> Changes:
    """What going to ``manifest``, which may be an outline, changes in the folders of the components that change."""
    installed, first = view.parts, wanted[0].prepared
    if first is not None and _core_alone(wanted, installed):
        return first.changes
    changing = {part.component for part in wanted}
    places = {part.directory: part.component for part in wanted if part.component != CORE}
    for part in installed.components.values() if installed else ():
        places[part.directory] = part.name

    def concerns(path: str) -> bool:
        inside = (name for place, name in places.items() if path.startswith(f"{place}/"))
        return next(inside, CORE) in changing

    return view.changes_to(manifest, concerns)


def _core_alone(wanted: Sequence[PlannedPart], installed: Parts | None) -> bool:
    """Whether the site is, and will be, the core and nothing else."""
    return [part.component for part in wanted] == [CORE] and not (installed and installed.components)


class _Joined:
    """The sources of several components, each for the files in its own folder."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = sources

    def _of(self, file: ManifestFile) -> tuple[Source, ManifestFile]:
        for directory, source in self._sources.items():
            if directory and file.path.startswith(f"{directory}/"):
                return source, replace(file, path=file.path[len(directory) + 1 :])
        return self._sources[""], file

    def copy(self, file: ManifestFile, out: BinaryIO) -> None:
        """See `updater.install.staging.Source`."""
        source, own = self._of(file)
        source.copy(own, out)


class _JoinedGiving(_Joined):
    """The same for an update."""

    def give(self, file: ManifestFile, target: str | Path) -> None:
        """See `updater.install.staging.GivingSource`."""
        source, own = self._of(file)
        if isinstance(source, GivingSource):
            source.give(own, target)
        else:
            with Path(target).open("xb") as out:
                source.copy(own, out)
