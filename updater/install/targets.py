"""How a release is put together again from restore points (standard library only).

What an in-place site looked like at a point comes from that point and all later ones: for each path the earliest of
them that saved it, or the live file when none did.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from updater.errors import StateError
from updater.frozen import frozen
from updater.install.observe import Observed, observe
from updater.install.restore_points import RestorePoint, SavedFile, damaged_restore_points, list_restore_points
from updater.schema.manifest import Manifest, ManifestFile
from updater.site.looking import exists
from updater.site.site import Site

__all__ = ["Target", "target_of"]


@frozen
class Target:
    """What a rollback leads to. ``manifest`` describes the tree as it was, the owner's edits included;
    ``installed`` is the release's own manifest, byte for byte. ``paths`` says where each file's content lies."""

    manifest: Manifest | None
    installed: bytes | None
    paths: Mapping[str, Path]


def target_of(site: Site, point: RestorePoint) -> Target:
    """Put together what the site looked like at ``point``. Raises StateError when something is missing."""
    installed = point.manifest_bytes()
    if installed is None:
        return Target(None, None, {})
    manifest = Manifest.parse(installed, f"manifest of restore point {point.id}")
    if point.layout == "slots":
        return _target_of_slot(site, point, manifest, installed)
    missing = [name for name in damaged_restore_points(site) if name > point.id]
    if missing:
        raise StateError(
            f"The way back to {point.id} leads through the restore point {missing[0]}, which is damaged.",
            hint="Choose a newer one: `updater backup list`.",
        )
    saved, absent = _history(site, point)
    files: dict[str, ManifestFile] = {}
    paths: dict[str, Path] = {}
    for path, listed in manifest.files.items():
        if path in saved:
            origin, file = saved[path]
            # the mode is the site's own, whoever wrote the content
            files[path] = file.to_manifest_file() if file.edited else replace(listed, mode=file.mode)
            if listed.symlink is not None and not file.edited:
                files[path] = listed
            paths[path] = origin.files / path
        elif path not in absent:
            files[path] = listed
    unsaved = {path: file for path, file in files.items() if path not in paths}
    for path, seen in observe(site.path, unsaved).items():
        if not seen.matches(unsaved[path]) and seen.kind in ("file", "symlink"):
            files[path] = _as_seen(path, seen)  # no update ever replaced it, so the difference is the owner's: it stays
    missing = sorted(path for path in unsaved if not exists(site.path / path))
    return Target(replace(manifest, files={p: f for p, f in files.items() if p not in missing}), installed, paths)


def _history(site: Site, point: RestorePoint) -> tuple[dict[str, tuple[RestorePoint, SavedFile]], set[str]]:
    """What ``point`` and the later ones saved, the earliest of each path, and which paths were absent at the point."""
    saved: dict[str, tuple[RestorePoint, SavedFile]] = {}
    absent: set[str] = set()
    for later in reversed(list_restore_points(site)):
        if later.id < point.id:
            continue
        for file in later.saved:
            if file.path not in saved and file.path not in absent:
                saved[file.path] = (later, file)
        absent.update(path for path in later.added if path not in saved)
    return saved, absent


def _target_of_slot(site: Site, point: RestorePoint, manifest: Manifest, installed: bytes) -> Target:
    slot = site.releases / str(point.slot)
    if not slot.is_dir():
        raise StateError(f"The slot {slot} of restore point {point.id} is gone.", hint="Choose another restore point.")
    seen = {path: found for path, found in observe(slot, manifest.files).items() if found.kind in ("file", "symlink")}
    files = {path: _as_seen(path, found) for path, found in seen.items()}
    return Target(replace(manifest, files=files), installed, {path: slot / path for path in files})


def _as_seen(path: str, seen: Observed) -> ManifestFile:
    mode = 0 if seen.symlink is not None else seen.mode
    return ManifestFile(path, seen.sha256, seen.size, mode, seen.symlink)
