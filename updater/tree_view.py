"""A site's files as they are, for planning and for staging: nothing is read twice as long as it is the same."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from updater.install.changes import Changes, compute_changes
from updater.install.observe import Observed, observe
from updater.schema.assembly import Parts
from updater.schema.manifest import Manifest
from updater.schema.text import CORE
from updater.site import Site, SiteState

__all__ = ["TreeView"]


class TreeView:
    """Looks at one site in one state. What was seen is remembered, and looked at again each time it is asked for.

    `of` gives a view of one component, whose paths begin at its folder.
    """

    def __init__(self, site: Site, state: SiteState) -> None:
        first_slot = state.layout == "slots" and state.version is None
        self.site = site
        self.tree: Path = site.releases / ".none" if first_slot else site.tree(state.layout)
        self.downloads = site.downloads
        self._shared = site.shared if state.layout == "slots" else None
        self._seen: dict[str, Observed] = {}
        self._installed: tuple[tuple[int, ...], Manifest, Parts] | None = None
        self._of: dict[tuple[str, str], TreeView] = {}

    @property
    def installed(self) -> Manifest | None:
        """The manifest of everything that is installed, None before the first install. Raises StateError, OSError."""
        found = self._read()
        return None if found is None else found[0]

    @property
    def parts(self) -> Parts | None:
        """The same, taken apart into the core and the components."""
        found = self._read()
        return None if found is None else found[1]

    def _read(self) -> tuple[Manifest, Parts] | None:
        try:
            status = self.site.manifest_path.stat()
        except FileNotFoundError:
            return None
        identity = (status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)
        if self._installed is None or self._installed[0] != identity:
            manifest = self.site.manifest()
            if manifest is None:
                return None
            self._installed = identity, manifest, self.site.take_apart(manifest)
        return self._installed[1:]

    def of(self, component: str, directory: str) -> TreeView:
        """One component of the site, whether it is installed or not; the core's ``directory`` is empty."""
        key = component, directory
        if key not in self._of:
            self._of[key] = _PartView(self, component, directory)
        return self._of[key]

    @property
    def seen(self) -> Mapping[str, Observed]:
        """What was seen so far, by path."""
        return self._seen

    def is_as_seen(self, place: str) -> bool:
        """Whether ``place`` is a file of the tree that was read, and is still the same. Raises OSError."""
        top = f"{self.tree}/"
        seen = self._seen.get(place[len(top) :]) if place.startswith(top) else None
        return seen is not None and seen.kind == "file" and seen.unchanged(os.lstat(place))

    def observe(self, paths: Iterable[str]) -> dict[str, Observed]:
        """What lies at ``paths`` now. Raises OSError."""
        paths = tuple(paths)
        return self._remember(paths, observe(self.tree, paths, shared=self._shared, known=self._seen))

    def _remember(self, paths: Iterable[str], found: dict[str, Observed]) -> dict[str, Observed]:
        for path in paths:
            self._seen.pop(path, None)
        self._seen.update(found)
        return found

    def changes_to(self, new: Manifest, concerns: Callable[[str], bool] | None = None) -> Changes:
        """What going to ``new`` changes, given what lies on this site's disk now. ``concerns`` tells of a path whether
        the update is about it: what is wrong elsewhere is left as it is."""
        old = self.installed
        if concerns is not None:
            old, new = None if old is None else _only(old, concerns), _only(new, concerns)
        seen = self.observe(sorted(set(new.files) | set(old.files if old else ())))
        return compute_changes(old, new, seen, self.site.config().edited)


class _PartView(TreeView):
    """What belongs to one component. It is looked at from the top of the tree: a folder on the way may be a symlink."""

    def __init__(self, whole: TreeView, component: str, directory: str) -> None:
        self.site = whole.site
        self.tree = whole.tree / directory
        self.downloads = whole.site.downloads if component == CORE else whole.site.component(component) / "downloads"
        self._whole = whole
        self._component = component
        self._prefix = f"{directory}/" if directory else ""
        self._seen = {}

    @property
    def installed(self) -> Manifest | None:
        parts = self._whole.parts
        return None if parts is None else parts.manifest_of(self._component)

    def observe(self, paths: Iterable[str]) -> dict[str, Observed]:
        paths = tuple(paths)
        whole = self._whole.observe(self._prefix + path for path in paths)
        return self._remember(paths, {path.removeprefix(self._prefix): seen for path, seen in whole.items()})


def _only(manifest: Manifest, concerns: Callable[[str], bool]) -> Manifest:
    return replace(manifest, files={path: file for path, file in manifest.files.items() if concerns(path)})
