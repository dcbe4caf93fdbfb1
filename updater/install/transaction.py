"""The immutable plan of one update, written before anything changes (standard library only)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, cast

from updater.errors import StateError
from updater.frozen import frozen
from updater.install.changes import Change, Changes
from updater.install.component_changes import ComponentChange, describe
from updater.install.environment import EnvironmentChange
from updater.install.journal import Journal
from updater.install.records import check_own_name, read_migrations, read_note, read_record
from updater.schema.document import Reader, dump_json, format_time
from updater.schema.layers import Settings
from updater.schema.manifest import Manifest
from updater.schema.paths import check_path
from updater.schema.site_config import SiteConfig
from updater.schema.text import CORE, check_version
from updater.site.files import make_private_directory, write_atomic
from updater.site.reading import MOST_MANIFEST, read_file
from updater.site.site import Layout, Site

__all__ = ["PLAN_NAME", "Purpose", "StagedTransaction", "Transaction", "make_transaction", "new_id", "newest_id"]

Purpose = Literal["install", "update", "rollback"]
PLAN_NAME = "transaction.json"
"""The head of a plan, written last and removed first: without it there is no plan."""

SETTINGS_NAME = "settings.json"
"""The owner's settings when a plan was made."""

_ID = "%Y%m%d-%H%M%S-%f"


def new_id(now: datetime, newest: str | None) -> str:
    """A transaction's name (``20260120-100000-123456``), always greater than ``newest``.

    The order of restore points is the order of their names, so a clock that was set back must not change it.
    """
    moment = now.astimezone(UTC).replace(tzinfo=None)
    if newest is not None:
        moment = max(moment, datetime.strptime(newest, _ID) + timedelta(microseconds=1))
    return moment.strftime(_ID)


@frozen
class Transaction:
    """One way from a site's present state to another release, and what belongs to it.

    ``restore`` names the restore point whose database a rollback brings back; ``slot`` the directory (below
    ``releases/``) that the slots layout builds, ``old_slot`` the one it leaves; ``migrations`` what the feed says of
    those that it brings, for the restore point to remember. ``components``: which of them change, when the site has
    any besides the core; the versions of the transaction are always the core's. ``environment``: how the app's packages
    change, when they do.
    """

    id: str
    purpose: Purpose
    layout: Layout
    created: datetime
    from_version: str | None
    to_version: str | None
    changes: tuple[Change, ...]
    commands: tuple[str, ...] = ()
    preserve: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    restore: str | None = None
    slot: str | None = None
    old_slot: str | None = None
    migrations: Mapping[str, Any] | None = None
    components: tuple[ComponentChange, ...] = ()
    environment: EnvironmentChange | None = None

    @property
    def component_changes(self) -> tuple[ComponentChange, ...]:
        """The components that it changes; of the core alone in plans that say nothing of them."""
        return self.components or (ComponentChange(CORE, self.from_version, self.to_version),)

    @property
    def what(self) -> str:
        """Where it leads, for people."""
        return describe(self.component_changes)


@frozen
class StagedTransaction:
    """A transaction with its directory: ``staging/<id>/``.

    ``files/`` holds the new files, ``manifest.json`` the new manifest (absent when the way leads back to "nothing
    installed"), ``settings.json`` the owner's settings as they were, so that a recovery does not depend on later edits.
    """

    site: Site
    transaction: Transaction

    @property
    def directory(self) -> Path:
        return self.site.staging / self.transaction.id

    @property
    def files(self) -> Path:
        return self.directory / "files"

    @property
    def former_folders(self) -> Path | None:
        """On the way back to a restore point of this site: directories (those of `files`) with what was set on them."""
        own = self.transaction.purpose == "rollback" and self.transaction.restore not in (None, "exported")
        return self.files if own else None

    @property
    def backup(self) -> Path:
        """The restore point that this transaction makes."""
        return self.site.backups / self.transaction.id

    @property
    def code(self) -> Path:
        """The copy of the updater that wrote the journal."""
        return self.site.bin / self.transaction.id

    def manifest_bytes(self) -> bytes | None:
        """The manifest to be installed."""
        path = self.directory / "manifest.json"
        return read_file(path, most=MOST_MANIFEST) if path.exists() else None

    def manifest(self) -> Manifest | None:
        """The manifest to be installed, parsed."""
        data = self.manifest_bytes()
        return None if data is None else Manifest.parse(data)

    def config(self) -> SiteConfig:
        """The settings under which the update began."""
        return SiteConfig.of(read_note(self.directory / SETTINGS_NAME, Settings.read))

    def digest(self) -> str:
        """SHA-256 over what `write` wrote: the journal keeps it, so that a bit that flips in a plan is noticed."""
        found = hashlib.sha256()
        for name in (PLAN_NAME, "manifest.json", SETTINGS_NAME):
            path = self.directory / name
            data = read_file(path, most=MOST_MANIFEST) if name != "manifest.json" or path.exists() else b""
            found.update(hashlib.sha256(data).digest())
        return found.hexdigest()

    def write(self, manifest: bytes | None, settings: Settings) -> None:
        """Make the plan durable; the staged files are flushed by the caller."""
        make_private_directory(self.directory)
        if manifest is not None:
            write_atomic(self.directory / "manifest.json", manifest)
        write_atomic(self.directory / SETTINGS_NAME, dump_json(settings.to_json(), indent=None, ascii=True))
        document = self.transaction.__dict__ | {
            "created": format_time(self.transaction.created),
            "changes": [change.to_json() for change in self.transaction.changes],
            "components": [change.to_json() for change in self.transaction.components],
            "environment": None if self.transaction.environment is None else self.transaction.environment.to_json(),
        }
        write_atomic(self.directory / PLAN_NAME, dump_json(document, indent=None, ascii=True))

    @classmethod
    def load(cls, site: Site, id: str, *, digest: object = None) -> StagedTransaction:  # noqa: A002 - the field's name
        """Read a plan back. ``digest`` is what the journal says of it, None when it says nothing. Raises StateError."""
        path = site.staging / id / PLAN_NAME
        try:
            transaction = read_record(path, _read_transaction)
            if transaction.id != id:
                raise ValueError(f"it is the plan of {transaction.id}")
            staged = cls(site, transaction)
            if digest is not None and staged.digest() != digest:
                raise ValueError("it is not what was written")
            return staged
        except (OSError, ValueError) as error:
            raise StateError(
                f"The plan of the interrupted update, {path}, cannot be read: {error}",
                hint="Everything is kept: compare the site with `updater verify`, and see docs/reliability.md.",
            ) from error


def _read_transaction(reader: Reader) -> Transaction:
    environment = reader.child("environment", required=False)
    return Transaction(
        id=reader.text("id", check=check_own_name),
        purpose=cast(Purpose, reader.choice("purpose", ("install", "update", "rollback"))),
        layout=cast(Layout, reader.choice("layout", ("in-place", "slots"))),
        created=reader.time("created"),
        from_version=reader.optional_text("from_version", check=check_version),
        to_version=reader.optional_text("to_version", check=check_version),
        changes=tuple(Change.read(child) for child in reader.children("changes", required=True)),
        commands=reader.texts("commands"),
        preserve=reader.texts("preserve"),
        edited=reader.texts("edited", check=check_path),
        kept=reader.texts("kept", check=check_path),
        restore=reader.optional_text("restore", check=check_own_name),
        slot=reader.optional_text("slot", check=check_own_name),
        old_slot=reader.optional_text("old_slot", check=check_own_name),
        migrations=read_migrations(reader.child("migrations", required=False)),
        components=tuple(ComponentChange.read(child) for child in reader.children("components")),
        environment=None if environment is None else EnvironmentChange.read(environment),
    )


def newest_id(site: Site) -> str | None:
    """The last id given out: of a restore point, or of the last transaction, which may have left none."""
    names = [entry.name for entry in site.backups.iterdir()] if site.backups.is_dir() else []
    names += [record.id for record in Journal(site.journal_path).records()]
    return max((name for name in names if re.fullmatch(r"\d{8}-\d{6}-\d{6}", name)), default=None)


def make_transaction(
    site: Site,
    purpose: Purpose,
    layout: Layout,
    changes: Changes,
    *,
    now: datetime,
    from_version: str | None,
    to_version: str | None,
    manifest: Manifest | None,
    restore: str | None = None,
    slot: str | None = None,
    old_slot: str | None = None,
    migrations: Mapping[str, Any] | None = None,
    commands: tuple[str, ...] = (),
    components: tuple[ComponentChange, ...] = (),
    environment: EnvironmentChange | None = None,
) -> Transaction:
    """Put a transaction together."""
    return Transaction(
        id=new_id(now, newest_id(site)),
        purpose=purpose,
        layout=layout,
        created=now,
        from_version=from_version,
        to_version=to_version,
        changes=changes.changes,
        commands=commands,
        preserve=manifest.preserve if manifest is not None else (),
        edited=changes.edited,
        kept=changes.kept,
        restore=restore,
        slot=slot,
        old_slot=old_slot,
        migrations=migrations,
        components=components,
        environment=environment,
    )
