"""A site's files as they are, for planning and for staging: nothing is read twice as long as it is the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from updater.install.changes import Changes, compute_changes
from updater.install.observe import Observed, observe
from updater.schema.manifest import Manifest
from updater.site import Site, SiteState

__all__ = ["TreeView"]


class TreeView:
    """Looks at one site in one state. What was seen is remembered, and looked at again each time it is asked for."""

    def __init__(self, site: Site, state: SiteState) -> None:
        first_slot = state.layout == "slots" and state.version is None
        self.site = site
        self.tree: Path = site.releases / ".none" if first_slot else site.tree(state.layout)
        self._shared = site.shared if state.layout == "slots" else None
        self._seen: dict[str, Observed] = {}
        self._installed: tuple[tuple[int, ...], Manifest] | None = None

    @property
    def installed(self) -> Manifest | None:
        """The manifest of the installed release, None before the first install. Raises StateError, OSError."""
        try:
            status = self.site.manifest_path.stat()
        except FileNotFoundError:
            return None
        identity = (status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)
        if self._installed is None or self._installed[0] != identity:
            manifest = self.site.manifest()
            if manifest is None:
                return None
            self._installed = identity, manifest
        return self._installed[1]

    @property
    def seen(self) -> Mapping[str, Observed]:
        """What was seen so far, by path."""
        return self._seen

    def is_as_seen(self, place: Path) -> bool:
        """Whether ``place`` is a file of the tree that was read, and is still the same. Raises OSError."""
        if not place.is_relative_to(self.tree):
            return False
        seen = self._seen.get(place.relative_to(self.tree).as_posix())
        return seen is not None and seen.kind == "file" and seen.unchanged(place.lstat())

    def observe(self, paths: Iterable[str]) -> dict[str, Observed]:
        """What lies at ``paths`` now. Raises OSError."""
        paths = tuple(paths)
        found = observe(self.tree, paths, shared=self._shared, known=self._seen)
        for path in paths:
            self._seen.pop(path, None)
        self._seen.update(found)
        return found

    def changes_to(self, new: Manifest) -> Changes:
        """What going to ``new`` changes, given what lies on this site's disk now."""
        old = self.installed
        seen = self.observe(sorted(set(new.files) | set(old.files if old else ())))
        return compute_changes(old, new, seen, self.site.config().edited)
