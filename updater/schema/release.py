"""One release as the feed lists it, with everything in it (docs/formats.md section 2). Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from itertools import pairwise
from typing import Any

from updater.frozen import frozen
from updater.schema.document import Extra, Reader, format_time
from updater.schema.paths import check_path
from updater.schema.text import check_digest, check_id, check_name, check_url_reference, check_version

__all__ = [
    "MAX_COHORT",
    "Delta",
    "Migrations",
    "Notes",
    "Package",
    "PackageIndex",
    "Release",
    "Requires",
    "Rollout",
    "RolloutStep",
    "Yank",
    "read_component_ranges",
    "read_releases",
]

MAX_COHORT = 9999


@frozen
class Notes:
    """Release notes: markdown, a URL, and translations by language tag."""

    markdown: str = ""
    url: str | None = None
    translations: Mapping[str, str] = field(default_factory=dict)
    extra: Extra = field(default_factory=dict, hash=False)


@frozen
class Requires:
    """What a release needs: a PEP 440 specifier, requirement strings, the oldest version that may jump to it, and
    specifiers for the versions of other components, by name."""

    python: str | None = None
    packages: tuple[str, ...] = ()
    from_version: str | None = None
    components: Mapping[str, str] = field(default_factory=dict, hash=False)
    extra: Extra = field(default_factory=dict, hash=False)


@frozen
class RolloutStep:
    """From ``at`` on, ``percent`` (0 to 100) of the sites are reached."""

    at: datetime
    percent: int
    extra: Extra = field(default_factory=dict, hash=False)


@frozen
class Rollout:
    """The schedule on which automatic updates reach sites. ``salt`` mixes the cohorts anew for each release.

    ``critical_at_once``: sites for which the way is critical do not wait for it.
    """

    salt: str
    steps: tuple[RolloutStep, ...]
    critical_at_once: bool = False
    extra: Extra = field(default_factory=dict, hash=False)


@frozen
class Yank:
    """A withdrawal."""

    reason: str
    at: datetime | None = None
    extra: Extra = field(default_factory=dict, hash=False)


@frozen
class PackageIndex:
    """The small file that says where each member of the package lies (docs/formats.md section 11). Sizes in bytes.

    Its first ``head_size`` bytes have the digest ``head_sha256`` and name the digests of everything behind them.
    """

    urls: tuple[str, ...]
    size: int
    head_size: int
    head_sha256: str
    extra: Extra = field(default_factory=dict, hash=False)
    head_extra: Extra = field(default_factory=dict, hash=False)


@frozen
class Package:
    """The full zip. Sizes in bytes; its tail (manifest and central directory) is ``tail_size`` at ``tail_offset``."""

    urls: tuple[str, ...]
    size: int
    sha256: str
    tail_offset: int
    tail_size: int
    index: PackageIndex | None = None
    extra: Extra = field(default_factory=dict, hash=False)
    tail_extra: Extra = field(default_factory=dict, hash=False)


@frozen
class Delta:
    """A patch from one version to the release that lists it. ``size`` in bytes."""

    from_version: str
    urls: tuple[str, ...]
    size: int
    sha256: str
    extra: Extra = field(default_factory=dict, hash=False)


@frozen
class Migrations:
    """Database migrations new since the previous release; None means "not known".

    ``backward_compatible``: the code of earlier releases, which lacks them, works on a database that has them.
    """

    names: tuple[str, ...] = ()
    reversible: bool | None = None
    destructive: bool | None = None
    backward_compatible: bool | None = None
    extra: Extra = field(default_factory=dict, hash=False)


@frozen
class Release:
    """One version of a component, as the feed describes it. ``directory``: where below the app's files a component
    wants to be (None: the core, which is everywhere else)."""

    version: str
    published: datetime
    package: Package
    manifest_sha256: str
    manifest_size: int
    critical: bool = False
    security: tuple[str, ...] = ()
    notes: Notes = Notes()
    requires: Requires = Requires()
    stop: bool = False
    rollout: Rollout | None = None
    halted: bool = False
    yanked: Yank | None = None
    cohorts: tuple[tuple[int, int], ...] | None = None
    experiment: str | None = None
    deltas: tuple[Delta, ...] = ()
    migrations: Migrations | None = None
    container: str | None = None
    directory: str | None = None
    extra: Extra = field(default_factory=dict, hash=False)
    manifest_extra: Extra = field(default_factory=dict, hash=False)

    def to_json(self) -> dict[str, Any]:
        """The release as it stands in the feed; members that say nothing are left out."""
        document: dict[str, Any] = {
            "version": self.version,
            "published": format_time(self.published),
            "critical": self.critical,
            "security": list(self.security),
            "notes": _notes_json(self.notes),
            "requires": _requires_json(self.requires),
            "stop": self.stop,
            "rollout": _rollout_json(self.rollout),
            "halted": self.halted,
            "yanked": _yank_json(self.yanked),
            "cohorts": None if self.cohorts is None else [list(pair) for pair in self.cohorts],
            "experiment": self.experiment,
            "package": {
                "urls": list(self.package.urls),
                "size": self.package.size,
                "sha256": self.package.sha256,
                "tail": {
                    "offset": self.package.tail_offset,
                    "size": self.package.tail_size,
                    **self.package.tail_extra,
                },
                **_index_json(self.package.index),
                **self.package.extra,
            },
            "deltas": [
                {"from": d.from_version, "urls": list(d.urls), "size": d.size, "sha256": d.sha256, **d.extra}
                for d in self.deltas
            ],
            "manifest": {"size": self.manifest_size, "sha256": self.manifest_sha256, **self.manifest_extra},
            "migrations": _migrations_json(self.migrations),
            "container": self.container,
            "directory": self.directory,
        }
        always = ("version", "published", "critical", "package", "manifest")
        said = {key: value for key, value in document.items() if key in always or value not in (None, False, [], {})}
        return {**said, **self.extra}


def _notes_json(notes: Notes) -> dict[str, Any]:
    known = {"markdown": notes.markdown, "url": notes.url, "translations": dict(notes.translations)}
    return {**{key: value for key, value in known.items() if value}, **notes.extra}


def _requires_json(requires: Requires) -> dict[str, Any]:
    known = {
        "python": requires.python,
        "packages": list(requires.packages),
        "from": requires.from_version,
        "components": dict(requires.components),
    }
    return {**{key: value for key, value in known.items() if value}, **requires.extra}


def _rollout_json(rollout: Rollout | None) -> dict[str, Any] | None:
    if rollout is None:
        return None
    steps = [{"at": format_time(step.at), "percent": step.percent, **step.extra} for step in rollout.steps]
    at_once = {"critical_at_once": True} if rollout.critical_at_once else {}
    return {"salt": rollout.salt, "steps": steps, **at_once, **rollout.extra}


def _yank_json(yank: Yank | None) -> dict[str, Any] | None:
    if yank is None:
        return None
    at = {} if yank.at is None else {"at": format_time(yank.at)}
    return {"reason": yank.reason, **at, **yank.extra}


def _index_json(index: PackageIndex | None) -> dict[str, Any]:
    if index is None:
        return {}
    head = {"size": index.head_size, "sha256": index.head_sha256, **index.head_extra}
    return {"index": {"urls": list(index.urls), "size": index.size, "head": head, **index.extra}}


def _migrations_json(migrations: Migrations | None) -> dict[str, Any] | None:
    if migrations is None:
        return None
    known = migrations.backward_compatible
    return {
        "names": list(migrations.names),
        "reversible": migrations.reversible,
        "destructive": migrations.destructive,
        **({} if known is None else {"backward_compatible": known}),
        **migrations.extra,
    }


def read_releases(reader: Reader) -> tuple[Release, ...]:
    """The ``releases`` of a document; each version once."""
    releases = tuple(_read_release(child) for child in reader.children("releases", required=True))
    seen: set[str] = set()
    for index, release in enumerate(releases):
        if release.version in seen:
            reader.problem(f"releases[{index}].version", f"{release.version} is listed twice")
        seen.add(release.version)
    return releases


def _read_release(reader: Reader) -> Release:
    manifest = reader.child("manifest")
    return Release(
        version=reader.text("version", check=check_version),
        published=reader.time("published"),
        critical=reader.flag("critical", default=False),
        security=reader.texts("security"),
        notes=_read_notes(reader.section("notes")),
        requires=_read_requires(reader.section("requires")),
        stop=reader.flag("stop", default=False),
        rollout=_read_rollout(reader.child("rollout", required=False)),
        halted=reader.flag("halted", default=False),
        yanked=_read_yank(reader.child("yanked", required=False)),
        cohorts=reader.pairs("cohorts", maximum=MAX_COHORT),
        experiment=reader.optional_text("experiment", check=check_id),
        package=_read_package(reader.child("package")),
        deltas=tuple(_read_delta(child) for child in reader.children("deltas")),
        manifest_sha256=manifest.text("sha256", check=check_digest) if manifest else "",
        manifest_size=manifest.integer("size", minimum=2, maximum=2**28) if manifest else 0,
        migrations=_read_migrations(reader.child("migrations", required=False)),
        container=reader.optional_text("container"),
        directory=reader.optional_text("directory", check=check_path),
        extra=reader.extra(),
        manifest_extra=manifest.extra() if manifest else {},
    )


def _read_notes(reader: Reader) -> Notes:
    return Notes(
        markdown=reader.text("markdown", default="", empty=True),
        url=reader.optional_text("url", check=check_url_reference),
        translations=reader.text_map("translations"),
        extra=reader.extra(),
    )


def _read_requires(reader: Reader) -> Requires:
    return Requires(
        python=reader.optional_text("python"),
        packages=reader.texts("packages"),
        from_version=reader.optional_text("from", check=check_version),
        components=read_component_ranges(reader),
        extra=reader.extra(),
    )


def read_component_ranges(reader: Reader) -> dict[str, str]:
    """``components``: which versions of other components fit, by name. What is wrong becomes problems."""
    found = reader.text_map("components")
    for name, specifier in found.items():
        try:
            check_name(name)
        except ValueError as error:
            reader.problem(f"components.{name}", str(error))
        if not specifier:
            reader.problem(f"components.{name}", "is empty")
    return found


def _read_rollout(reader: Reader | None) -> Rollout | None:
    if reader is None:
        return None
    steps = tuple(
        RolloutStep(child.time("at"), child.integer("percent", maximum=100), child.extra())
        for child in reader.children("steps", required=True)
    )
    if any(later.at <= earlier.at for earlier, later in pairwise(steps)):
        reader.problem("steps", "times must rise")
    salt, at_once = reader.text("salt"), reader.flag("critical_at_once", default=False)
    return Rollout(salt, steps, at_once, reader.extra())


def _read_yank(reader: Reader | None) -> Yank | None:
    if reader is None:
        return None
    return Yank(
        reason=reader.text("reason", default="", empty=True),
        at=reader.optional_time("at"),
        extra=reader.extra(),
    )


def _read_package(reader: Reader | None) -> Package:
    if reader is None:
        return Package((), 0, "", 0, 0)
    size = reader.integer("size", minimum=22, maximum=2**32 - 2)
    tail = reader.child("tail")
    offset = tail.integer("offset", maximum=2**32) if tail else 0
    length = tail.integer("size", minimum=1, maximum=2**32) if tail else size
    if tail is not None and offset + length != size:
        tail.problem("size", f"offset and size must add up to the package's {size} bytes")
    return Package(
        urls=reader.texts("urls", check=check_url_reference, minimum=1),
        size=size,
        sha256=reader.text("sha256", check=check_digest),
        tail_offset=offset,
        tail_size=length,
        index=_read_index(reader.child("index", required=False)),
        extra=reader.extra(),
        tail_extra=tail.extra() if tail else {},
    )


def _read_index(reader: Reader | None) -> PackageIndex | None:
    if reader is None:
        return None
    size = reader.integer("size", minimum=1, maximum=2**28)
    head = reader.child("head")
    head_size = head.integer("size", minimum=1, maximum=2**28) if head else 0
    if head is not None and head_size > size:
        head.problem("size", f"must fit into the index's {size} bytes")
    return PackageIndex(
        urls=reader.texts("urls", check=check_url_reference, minimum=1),
        size=size,
        head_size=head_size,
        head_sha256=head.text("sha256", check=check_digest) if head else "",
        extra=reader.extra(),
        head_extra=head.extra() if head else {},
    )


def _read_delta(reader: Reader) -> Delta:
    return Delta(
        from_version=reader.text("from", check=check_version),
        urls=reader.texts("urls", check=check_url_reference, minimum=1),
        size=reader.integer("size", minimum=1, maximum=2**40),
        sha256=reader.text("sha256", check=check_digest),
        extra=reader.extra(),
    )


def _read_migrations(reader: Reader | None) -> Migrations | None:
    if reader is None:
        return None
    return Migrations(
        names=reader.texts("names"),
        reversible=reader.optional_flag("reversible"),
        destructive=reader.optional_flag("destructive"),
        backward_compatible=reader.optional_flag("backward_compatible"),
        extra=reader.extra(),
    )
