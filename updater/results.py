"""What the library answers with: values that the CLI, an admin page or a script can show (standard library only)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from updater.database import TableRows
from updater.frozen import frozen
from updater.install.changes import Changes
from updater.install.component_changes import ComponentChange, describe, name_of
from updater.install.migrations import UpdateMigrations
from updater.install.restore_points import RestorePoint
from updater.install.rollback_guards import refuse_misfit
from updater.process import PlannedCommand
from updater.schema.feed import Release
from updater.schema.manifest import Manifest
from updater.schema.text import CORE

if TYPE_CHECKING:
    from updater.acquire import Prepared, SourceOption
    from updater.notices import Notice
    from updater.requirements import PackageCheck
    from updater.trust import Freshness

__all__ = ["CheckResult", "Plan", "PlannedPart", "RollbackPlan", "Verification"]


@frozen
class CheckResult:
    """Whether an update of one component, the core by default, waits. ``release`` is what an update would install now;
    ``reasons`` say why, or why not.

    ``passed`` are the releases after the installed one up to ``release``, oldest first: their notes belong together.
    ``not_unattended``: why ``updater update --auto`` would not install ``release`` now; empty when it would.
    ``notices``: what the maintainer has to say about the installed version. ``components``: the same for each plugin
    and theme of the site.
    """

    installed: str | None
    channel: str
    release: Release | None
    newest: Release | None
    freshness: Freshness
    reasons: tuple[str, ...]
    download_url: str | None = None
    critical: bool = False
    packages: tuple[PackageCheck, ...] = ()
    passed: tuple[Release, ...] = ()
    not_unattended: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()
    component: str = CORE
    components: tuple[CheckResult, ...] = ()

    @property
    def update_available(self) -> bool:
        return self.release is not None

    @property
    def to_version(self) -> str | None:
        """The version that waits."""
        return None if self.release is None else self.release.version

    @property
    def waiting(self) -> tuple[CheckResult, ...]:
        """Of this and all other components, those for which an update waits."""
        return tuple(found for found in (self, *self.components) if found.update_available)

    def to_json(self) -> dict[str, Any]:
        """The answer of the project's original update API, with what a signed feed adds."""
        release = self.release
        requires = release.requires if release else None
        return {
            "schema": "1.0",
            "component": self.component,
            "update_available": release is not None,
            "installed_version": self.installed,
            "latest_version": release.version if release else self.installed,
            "newest_version": self.newest.version if self.newest else self.installed,
            "channel": self.channel,
            "download_url": self.download_url,
            "file_size": release.package.size if release else None,
            "checksum": f"sha256:{release.package.sha256}" if release else None,
            "critical": self.critical,
            "security": list(release.security) if release else [],
            "release_notes": release.notes.markdown if release else "",
            "release_notes_url": release.notes.url if release else None,
            "compatibility": {
                "min_version": requires.from_version if requires else None,
                "python_version": requires.python if requires else None,
                "requires": list(requires.packages) if requires else [],
                "packages": [row.to_json() for row in self.packages],
            },
            "feed": {
                "state": self.freshness.state,
                "last_good": self.freshness.last_good.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "reason": self.freshness.reason,
            },
            "reasons": list(self.reasons),
            "notices": [notice.to_json() for notice in self.notices],
            "automatic": {
                "install": release is not None and not self.not_unattended,
                "reasons": [*self.not_unattended],
            },
            **({"components": [found.to_json() for found in self.components]} if self.components else {}),
        }


@frozen
class PlannedPart:
    """What a plan does with one component. ``release`` is None for one that is removed; ``prepared`` says where its
    files come from; ``further``: the versions that follow, each by an update of its own, because none may be jumped
    over; ``passed``: the releases that are gone past, oldest first, its own included."""

    component: str
    directory: str
    from_version: str | None
    release: Release | None
    prepared: Prepared | None = None
    packages: tuple[PackageCheck, ...] = ()
    further: tuple[str, ...] = ()
    passed: tuple[Release, ...] = ()

    @property
    def to_version(self) -> str | None:
        return None if self.release is None else self.release.version

    @property
    def requires(self) -> Mapping[str, str]:
        """The versions of other components that its release fits."""
        return {} if self.release is None else self.release.requires.components

    @property
    def change(self) -> ComponentChange:
        return ComponentChange(self.component, self.from_version, self.to_version)

    def to_json(self) -> dict[str, Any]:
        left = 0 if self.prepared is None else self.prepared.left
        return {**self.change.to_json(), "download_size": left, "further": list(self.further)}


@frozen
class Plan:
    """What an update would do. Nothing on the site has been changed.

    ``parts``: the components that it changes, the core first, of which there is at least one. ``from_version`` and
    ``to_version`` are the core's, equal when it stays as it is. ``manifest`` is that of the whole site, and may be an
    outline: of files that are not here yet, it need not know the content. ``downgrade``: the release is older than
    what is installed, and the database stays. ``requirements``: the files that the app's packages are installed
    from anew; empty when they stay as they are.
    """

    parts: tuple[PlannedPart, ...]
    from_version: str | None
    to_version: str
    manifest: Manifest
    changes: Changes
    commands: tuple[PlannedCommand, ...]
    freshness: Freshness
    reasons: tuple[str, ...]
    app_will_stop: bool
    database: str
    migrations: UpdateMigrations
    warnings: tuple[str, ...] = ()
    downgrade: bool = False
    requirements: str = ""

    @property
    def main(self) -> PlannedPart:
        """The core, or what is updated instead of it."""
        return self.parts[0]

    @property
    def release(self) -> Release | None:
        """That of the main part; None when it is removed."""
        return self.main.release

    @property
    def what(self) -> str:
        """Where it leads, for people: ``1.4.0``, or ``theme-dark 2.0.0``."""
        return describe(part.change for part in self.parts)

    @property
    def component_changes(self) -> tuple[ComponentChange, ...]:
        """What a transaction is told of its components; nothing when it changes the core alone."""
        return () if [part.component for part in self.parts] == [CORE] else tuple(part.change for part in self.parts)

    @property
    def packages(self) -> tuple[PackageCheck, ...]:
        return tuple(row for part in self.parts for row in part.packages)

    @property
    def further(self) -> tuple[str, ...]:
        """The versions that follow, each by an update of its own."""
        return tuple(name_of(part.component, version) for part in self.parts for version in part.further)

    @property
    def download_size(self) -> int:
        """Bytes that are still to be fetched."""
        return sum(part.prepared.left for part in self.parts if part.prepared is not None)

    @property
    def sources(self) -> tuple[SourceOption, ...]:
        """Every way that was considered to get the main part's release, the chosen one first; none when it goes."""
        return () if self.main.prepared is None else self.main.prepared.options

    def to_json(self) -> dict[str, Any]:
        changes = self.changes
        return {
            "schema": "1.0",
            "component": self.main.component,
            "from": self.main.from_version,
            "to": self.main.to_version,
            "components": [part.to_json() for part in self.parts],
            "source": self.sources[0].name if self.sources else None,
            "sources": [option.to_json() for option in self.sources],
            "download_size": self.download_size,
            "files": {
                "added": changes.count("add"),
                "replaced": changes.count("replace"),
                "deleted": changes.count("delete"),
                "bytes": changes.bytes_to_write,
            },
            "edited": list(changes.edited),
            "missing": list(changes.missing),
            "kept": list(changes.kept),
            "preserved": list(changes.preserved),
            "conflicts": list(changes.conflicts),
            "migrations": list(self.migrations.names),
            "migrations_reversible": self.migrations.reversible,
            "migrations_destructive": self.migrations.destructive,
            "migrations_destructive_in": list(self.migrations.destructive_in),
            "migrations_irreversible_in": list(self.migrations.irreversible_in),
            "migrations_backward_compatible": self.migrations.backward_compatible,
            "commands": [
                {"command": command.command, "runs": not command.refusal, "reason": command.refusal}
                for command in self.commands
            ],
            "database": self.database,
            "feed": {"state": self.freshness.state, "reason": self.freshness.reason},
            "reasons": list(self.reasons),
            "warnings": list(self.warnings),
            "packages": [row.to_json() for row in self.packages],
            "further": list(self.further),
            "downgrade": self.downgrade,
            **({"requirements": self.requirements} if self.requirements else {}),
        }


@frozen
class RollbackPlan:
    """What a rollback would do. ``loses_since``: database writes after that moment are lost; None: none are.

    ``rows`` are the tables that have another number of rows now than then; None when that could not be told, and
    ``rows_unknown`` says why. Rows that were changed in place never show. ``refusals``: why it will not be carried out.
    """

    from_version: str | None
    to_version: str
    created: datetime
    changes: Changes
    point: RestorePoint | None
    loses_since: datetime | None
    database: str
    rows: tuple[TableRows, ...] | None = None
    rows_unknown: str = ""
    refusals: tuple[str, ...] = ()
    hint: str = ""
    components: tuple[ComponentChange, ...] = ()

    @property
    def what(self) -> str:
        """Where it leads, for people."""
        return describe(self.components) if self.components else self.to_version

    def refuse(self) -> None:
        """Raise BlockedError when it must not be carried out, as the rollback itself would."""
        refuse_misfit(self.what, self.refusals, self.hint, keeps_database=self.loses_since is None)
        self.changes.refuse_conflicts(f"Going back to {self.what}")

    def to_json(self) -> dict[str, Any]:
        changes = self.changes
        return {
            "schema": "1.0",
            "from": self.from_version,
            "to": self.to_version,
            **({"components": [change.to_json() for change in self.components]} if self.components else {}),
            "restore_point": self.point.id if self.point else None,
            "created": self.created.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "files": {
                "added": changes.count("add"),
                "replaced": changes.count("replace"),
                "deleted": changes.count("delete"),
            },
            "database": self.database,
            "database_restored": self.loses_since is not None,
            "loses_writes_since": self.loses_since.strftime("%Y-%m-%dT%H:%M:%SZ") if self.loses_since else None,
            "rows": None if self.rows is None else [row.__dict__ for row in self.rows],
            "rows_unknown": self.rows_unknown,
            "refusals": list(self.refusals),
        }


@frozen
class Verification:
    """How the site's files compare with the installed manifest. Paths, sorted."""

    version: str
    checked: int
    missing: tuple[str, ...]
    changed: tuple[str, ...]
    preserved: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.missing and not self.changed

    def to_json(self) -> Mapping[str, Any]:
        return {
            "schema": "1.0",
            "ok": self.ok,
            **{k: v if not isinstance(v, tuple) else list(v) for k, v in self.__dict__.items()},
        }
