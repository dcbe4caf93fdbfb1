"""A site with components: one manifest of all its files, put together from the core's and each component's own.

Backup, journal, switch and the way back know nothing of components: to them a site has one manifest. What is installed
of which component is written into it, so it goes forth and back with the files. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace
from typing import Any

from updater.errors import Problem, SchemaError
from updater.frozen import frozen
from updater.schema.document import Reader, dump_json, parse_json
from updater.schema.manifest import Manifest, ManifestFile
from updater.schema.paths import check_path, find_collisions
from updater.schema.release import read_component_ranges
from updater.schema.text import CORE, check_name

__all__ = ["Part", "Parts", "assemble", "glob_below", "take_apart"]

_KEY = "installed_components"


@frozen
class Part:
    """One component as it is installed. The paths of its ``manifest`` begin at ``directory``, which begins at the
    app's files; ``requires`` are the versions of others that its release fits, by component."""

    name: str
    directory: str
    manifest: Manifest
    requires: Mapping[str, str] = field(default_factory=dict)

    @property
    def version(self) -> str:
        return self.manifest.version

    def place(self, path: str) -> str:
        """One of its paths, as the whole site has it."""
        return f"{self.directory}/{path}"


@frozen
class Parts:
    """A site's core, and its components by name."""

    core: Manifest
    components: Mapping[str, Part] = field(default_factory=dict)

    def versions(self) -> dict[str, str]:
        """What is installed: component to version, the core first."""
        return {CORE: self.core.version, **{name: part.version for name, part in self.components.items()}}

    def manifest_of(self, component: str) -> Manifest | None:
        """The manifest of the core or a component, None when it is not installed."""
        if component == CORE:
            return self.core
        part = self.components.get(component)
        return None if part is None else part.manifest


def assemble(core: Manifest, parts: Iterable[Part]) -> Manifest:
    """The manifest of a whole site; of the core alone when there is nothing else.

    Raises SchemaError when two of them want the same place: a file of the core in a component's folder, above all.
    """
    parts = sorted(parts, key=lambda part: part.name)
    if not parts:
        return core
    files = [*core.files.values(), *(file for part in parts for file in _placed(part))]
    problems = [Problem(part.name, what) for part in parts if (what := _in_the_way(part, core.files))]
    problems += [Problem(part.name, what) for part in parts if (what := _bad_place(part))]
    problems += [Problem("files", collision) for collision in find_collisions(file.path for file in files)]
    if problems:
        raise SchemaError("The components do not go together", problems)
    manifests = [core, *(part.manifest for part in parts)]
    deleted = [*core.deleted, *(part.place(path) for part in parts for path in part.manifest.deleted)]
    preserve = [*core.preserve, *(glob_below(p.directory, glob) for p in parts for glob in p.manifest.preserve)]
    return replace(
        core,
        files={file.path: file for file in sorted(files, key=lambda file: file.path.encode())},
        deleted=tuple(sorted(deleted, key=str.encode)),
        migrations=_each_once(name for manifest in manifests for name in manifest.migrations),
        post_update_commands=_each_once(line for manifest in manifests for line in manifest.post_update_commands),
        preserve=tuple(preserve),
        extra={**core.extra, _KEY: [{"name": CORE, "manifest": _own(core)}, *(_part_json(part) for part in parts)]},
    )


def _placed(part: Part) -> Iterator[ManifestFile]:
    return (replace(file, path=part.place(file.path)) for file in part.manifest.files.values())


def _each_once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


def _in_the_way(part: Part, core: Mapping[str, ManifestFile]) -> str:
    inside = next((path for path in core if path == part.directory or path.startswith(part.directory + "/")), None)
    return "" if inside is None else f"the core has {inside!r}, which lies in the folder of {part.name}"


def _bad_place(part: Part) -> str:
    """Each path is good by itself; below the folder it may be too long, or one that belongs to the site."""
    try:
        for path in part.manifest.files:
            check_path(part.place(path))
    except ValueError as error:
        return str(error)
    return ""


def glob_below(directory: str, glob: str) -> str:
    """A component's glob for the whole tree: one without a slash matches at any depth, below its folder alone."""
    literal = directory.replace("*", "?")
    anchored = "/" in glob.rstrip("/")
    return f"{literal}/{glob.lstrip('/')}" if anchored else f"{literal}/**/{glob}"


def _own(manifest: Manifest) -> dict[str, Any]:
    """All of a manifest but its files, which the whole one lists: there, it is mixed with that of others."""
    return parse_json(replace(manifest, files={}).to_bytes(), "manifest")


def _part_json(part: Part) -> dict[str, Any]:
    return {
        "name": part.name,
        "directory": part.directory,
        "requires": dict(part.requires),
        "manifest": _own(part.manifest),
    }


def take_apart(whole: Manifest) -> Parts:
    """The core and the components that `assemble` put together. Raises SchemaError for a damaged record."""
    if _KEY not in whole.extra:
        return Parts(whole)
    reader = Reader(whole.extra, "the record of installed components")
    found: dict[str, tuple[str, dict[str, str], Mapping[str, Any]]] = {}
    for child in reader.children(_KEY):
        name = child.text("name", check=check_name)
        directory = "" if name == CORE else child.text("directory", check=check_path)
        requires = {} if (ranges := child.child("requires", required=False)) is None else _ranges(ranges)
        manifest = child.child("manifest")
        found[name] = directory, requires, {} if manifest is None else manifest.extra()
    if CORE not in found:
        reader.problem(_KEY, "does not tell of the core")
    reader.finish()
    places = {directory: name for name, (directory, _, _) in found.items() if name != CORE}
    files: dict[str, list[ManifestFile]] = {name: [] for name in found}
    for path, file in whole.files.items():
        directory = next((place for place in places if path.startswith(place + "/")), "")
        name = places.get(directory, CORE)
        files[name].append(file if name == CORE else replace(file, path=path[len(directory) + 1 :]))
    manifests = {name: _manifest(own, files[name]) for name, (_, _, own) in found.items()}
    return Parts(
        manifests.pop(CORE),
        {name: Part(name, found[name][0], manifest, found[name][1]) for name, manifest in manifests.items()},
    )


def _ranges(reader: Reader) -> dict[str, str]:
    return read_component_ranges(Reader({"components": reader.extra()}, reader.document, problems=reader.problems))


def _manifest(own: Mapping[str, Any], files: list[ManifestFile]) -> Manifest:
    manifest = Manifest.parse(dump_json(own), "the record of an installed component")
    return replace(manifest, files={file.path: file for file in files})
