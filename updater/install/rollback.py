"""The way back that the owner asked for: to a restore point of this site, or to an exported one.

Standard library only. A rollback is a transaction like any other: it makes a restore point first, and can be undone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from updater.database import open_database
from updater.errors import BlockedError
from updater.events import Event, Phase, Reporter
from updater.frozen import frozen
from updater.install.archives import ArchiveSource, open_restore_point
from updater.install.begin import stage
from updater.install.changes import Changes, compute_changes
from updater.install.component_changes import ComponentChange, changes_between
from updater.install.engine import Engine
from updater.install.environment import plan_environment
from updater.install.observe import observe
from updater.install.outcome import Outcome
from updater.install.restore_points import RestorePoint, find_restore_point, list_restore_points
from updater.install.rollback_guards import newer_database, refuse_misfit, unusable_dump
from updater.install.slots import free_slot
from updater.install.staging import PathSource, Source, stage_database
from updater.install.targets import Target, target_of
from updater.install.transaction import StagedTransaction, make_transaction
from updater.schema.manifest import Manifest
from updater.site.site import Site

__all__ = ["PreparedRollback", "prepare_rollback", "run_rollback"]

_DUMP_HINT = (
    "`updater backup verify` says what is damaged; choose another restore point, or bring the database back yourself "
    "and say so with --database-restored."
)


@frozen
class PreparedRollback:
    """A rollback, decided but not begun. ``database`` is the record of the dump to restore, None when the database
    stays. ``refusals`` are the reasons why it must not be carried out; ``hint`` what to do about them."""

    from_version: str | None
    to_version: str
    created: datetime
    point: RestorePoint | None
    target: Target
    changes: Changes
    source: Source
    database: Mapping[str, Any] | None
    refusals: tuple[str, ...] = ()
    hint: str = ""
    components: tuple[ComponentChange, ...] = ()

    def refuse(self) -> None:
        """Raise BlockedError when code and database would not fit, or the site's files are in the way."""
        refuse_misfit(self.to_version, self.refusals, self.hint, keeps_database=self.database is None)
        self.changes.refuse_conflicts(f"Going back to {self.to_version}")

    @property
    def loses_since(self) -> datetime | None:
        """Database writes after that moment are lost; None when the database stays."""
        return None if self.database is None else self.created


def prepare_rollback(
    site: Site,
    choice: str | None,
    opened: ExitStack,
    *,
    keep_database: bool = False,
    database_restored: bool = False,
) -> PreparedRollback:
    """Find the restore point (``choice``: an id, a version, the path of an exported zip, None for the newest) and
    compare. An exported zip stays open, in ``opened``, until the rollback is done.

    ``keep_database``: code only. ``database_restored``: so is this, and the owner vouches for a database that fits.
    Raises BlockedError, StateError, UnsafeArchiveError.
    """
    state = site.state()
    path = Path(choice) if choice is not None else None
    point: RestorePoint | None = None
    source: Source
    if path is not None and (path.suffix == ".zip" or path.is_file()):
        exported = open_restore_point(path, opened)
        target, version, created, database = exported.target, exported.version, exported.created, exported.database
        if exported.app != state.app:
            raise BlockedError(f"{path} is a restore point of the app {exported.app!r}, this site runs {state.app!r}.")
        source = ArchiveSource(exported.archive)
    else:
        point = find_restore_point(site, choice)
        if point.version is None:
            raise BlockedError(
                f"{point.id} is of the moment before the first install: there is nothing to go back to.",
                hint="To remove the app, delete the site's directory.",
            )
        target, version, created, database = target_of(site, point), point.version, point.created, point.database
        source = PathSource(target.paths)
    if target.manifest is None:
        raise BlockedError("The restore point has no manifest, so it cannot be compared with this site.")
    installed = site.manifest()
    tree = site.tree(state.layout)
    paths = set(target.manifest.files) | set(installed.files if installed else ())
    shared = site.shared if state.layout == "slots" else None
    seen = observe(tree, sorted(paths), shared=shared)
    changes = compute_changes(installed, target.manifest, seen, site.config().edited)
    prepared = PreparedRollback(state.version, version, created, point, target, changes, source, database)
    prepared = replace(prepared, components=_components(site, installed, target.manifest))
    if database_restored:
        return replace(prepared, database=None)
    if keep_database or database is None:
        return _without_database(site, prepared, installed)
    refusals = unusable_dump(point, database.get("kind"), site.config().database.kind)
    return replace(prepared, refusals=refusals, hint=_DUMP_HINT)


def _without_database(site: Site, prepared: PreparedRollback, installed: Manifest | None) -> PreparedRollback:
    """The same for code alone, with the reasons why that must not be."""
    assert prepared.target.manifest is not None  # noqa: S101 - narrows the type; checked before
    refusals = newer_database(installed, prepared.target.manifest, prepared.point, list_restore_points(site))
    if prepared.database is not None:
        hint = "Go back with the database of the restore point: leave --keep-database away."
    else:
        hint = (
            "The restore point holds no database: bring back your own backup of that time, then say so with "
            "--database-restored. ([database] in updater.toml lets updates make backups.)"
        )
    return replace(prepared, database=None, refusals=refusals, hint=hint)


def run_rollback(
    site: Site,
    prepared: PreparedRollback,
    *,
    report: Reporter,
    now: Callable[[], datetime],
    environ: Mapping[str, str],
    keep_database: bool = False,
) -> Outcome:
    """Carry it out; the caller holds the site's lock. ``keep_database``: the code alone goes back, when the migrations
    since then are declared safe for it, whatever was prepared. Raises as `Engine.run`, and BlockedError as
    `PreparedRollback.refuse`."""
    if keep_database and prepared.database is not None:
        prepared = _without_database(site, prepared, site.manifest())
    prepared.refuse()
    state = site.state()
    slots = state.layout == "slots"
    report(Event(Phase.PLAN, "done", f"Going back from {prepared.from_version} to {prepared.to_version}."))
    transaction = make_transaction(
        site,
        "rollback",
        state.layout,
        prepared.changes,
        now=now(),
        from_version=prepared.from_version,
        to_version=prepared.to_version,
        manifest=prepared.target.manifest,
        restore=prepared.point.id if prepared.point else "exported",
        slot=free_slot(site, prepared.to_version) if slots else None,
        old_slot=site.tree(state.layout).name if slots else None,
        components=prepared.components,
        environment=plan_environment(site, prepared.target.manifest, environ),
    )
    needed = prepared.changes.bytes_to_write + _database_size(site, prepared, environ)
    staged = stage(site, transaction, prepared.source, prepared.target.installed, needed=needed, report=report)
    if prepared.database is not None:
        _stage_database(staged, prepared)
    return Engine(staged, report=report, now=now, environ=environ).run()


def _components(site: Site, installed: Manifest | None, target: Manifest) -> tuple[ComponentChange, ...]:
    """Which components go back, when there are any besides the core."""
    old, new = (None if manifest is None else site.take_apart(manifest) for manifest in (installed, target))
    several = any(parts is not None and parts.components for parts in (old, new))
    return changes_between(old, new) if several else ()


def _database_size(site: Site, prepared: PreparedRollback, environ: Mapping[str, str]) -> int:
    """Bytes for the dump that is taken first, and for the one that comes back."""
    state = site.state()
    present = open_database(site.config().database, site.tree(state.layout), environ).estimate() or 0
    dump = prepared.database["files"] if prepared.database is not None else ()
    return present + sum(int(file["size"]) for file in dump)


def _stage_database(staged: StagedTransaction, prepared: PreparedRollback) -> None:
    """Put the dump beside the plan: cleaning up old restore points cannot take it away."""
    assert prepared.database is not None  # noqa: S101 - narrows the type
    if isinstance(prepared.source, ArchiveSource):
        prepared.source.extract_database(staged.directory / "database")
    elif prepared.point is not None:
        stage_database(prepared.point.database_directory, staged.directory / "database")
    (staged.directory / "database.json").write_text(json.dumps(prepared.database), encoding="utf-8")
