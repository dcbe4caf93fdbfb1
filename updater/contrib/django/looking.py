"""What pages say of a site, read from its files without changing anything. Needs no Django.

Where the web's user may not read the state directory, whoever may leaves this as a document in the run folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

from updater.contrib.django.runs.folder import RunFolder
from updater.errors import UpdaterError
from updater.frozen import frozen
from updater.install.recovery import pending
from updater.install.restore_points import RestorePoint, list_restore_points
from updater.members import members_of
from updater.schema.document import format_time, parse_time
from updater.site import Site, read_history, read_status
from updater.site.reading import read_json
from updater.transport.urls import shown
from updater.trust.names import FeedLocation

__all__ = ["HISTORY_KEPT", "ComponentView", "PointView", "SiteView", "can_read", "components_of", "look", "read_view"]

HISTORY_KEPT = 1000
"""Newest lines of the history that are looked at."""


@frozen
class PointView:
    """A restore point: the way back to ``version``. ``database`` is the kind of the dump ("" without one), its size
    in bytes."""

    id: str
    created: datetime
    version: str | None
    replaced_by: str | None
    database: str
    database_size: int
    files: int


@frozen
class ComponentView:
    """A plugin or theme. ``version`` is None when it is not installed; not ``followed``: nobody knows its feed."""

    name: str
    version: str | None
    directory: str
    enabled: bool = True
    followed: bool = True


@frozen
class SiteView:
    """A site at one moment. ``settings`` is what the owner's updater.toml says, as far as pages show it; ``problem``
    why something could not be read; ``interrupted``: an update waits for being finished or undone."""

    at: datetime
    path: str
    app: str = ""
    component: str = ""
    version: str | None = None
    layout: str = ""
    channel: str = ""
    problem: str = ""
    interrupted: bool = False
    settings: Mapping[str, Any] | None = None
    status: Mapping[str, Any] | None = None
    points: tuple[PointView, ...] = ()
    history: tuple[Mapping[str, Any], ...] = ()
    components: tuple[ComponentView, ...] = ()

    @property
    def installed(self) -> dict[str, str | None]:
        """What is installed, by component: the app itself and everything beside it."""
        return {self.component: self.version, **{one.name: one.version for one in self.components}}

    @property
    def point(self) -> PointView | None:
        """The newest restore point."""
        return self.points[0] if self.points else None

    @property
    def busy(self) -> bool:
        """Whether the engine is at work, whoever started it."""
        return bool(self.status) and self.status is not None and self.status.get("state") == "running"

    def to_json(self) -> dict[str, Any]:
        """The document."""
        points = [{**asdict(point), "created": format_time(point.created)} for point in self.points]
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        more = {"history": list(self.history), "components": [one.__dict__ for one in self.components]}
        return {"schema": "1.0", **known, "at": format_time(self.at), "points": points, **more}


def can_read(site: Site) -> bool:
    """Whether this user may look into the state directory."""
    return os.access(site.directory, os.R_OK | os.X_OK)


def look(site: Site, now: datetime) -> SiteView:
    """Read everything. What cannot be read is told in ``problem``; nothing is raised, recovered or locked."""
    view: dict[str, Any] = {"at": now, "path": str(site.path)}
    problems = []
    try:
        state = site.state()
        view |= {"app": state.app, "component": state.component, "version": state.version, "layout": state.layout}
        config = site.config()
        view |= {"channel": FeedLocation.parse(config.feed_url).channel, "settings": _settings(site)}
        view["components"] = components_of(site)
    except (UpdaterError, ValueError) as error:
        problems.append(str(error))
    try:
        view["interrupted"] = pending(site) is not None
    except (UpdaterError, OSError) as error:
        view["interrupted"] = True
        problems.append(str(error))
    try:
        view["points"] = tuple(_point(point) for point in list_restore_points(site))
        view["history"] = tuple(read_history(site.history_path)[-HISTORY_KEPT:])
    except (UpdaterError, OSError) as error:
        problems.append(str(error))
    view["status"] = read_status(site.status_path)
    running = view["status"].get("state") == "running"
    return SiteView(**view | {"problem": " ".join(problems), "interrupted": view["interrupted"] and not running})


def read_view(folder: RunFolder) -> SiteView | None:
    """What somebody who may read the state directory saw last; None when nobody left it, or it is damaged."""
    try:
        found = read_json(folder.view_path)
        points = tuple(
            PointView(**{**point, "created": parse_time(point["created"])}) for point in found.pop("points", ())
        )
        components = tuple(ComponentView(**one) for one in found.pop("components", ()))
        names = {field.name for field in fields(SiteView)} - {"at", "points", "history", "components"}
        known = {name: found[name] for name in names if name in found}
        history = tuple(entry for entry in found.get("history", ()) if isinstance(entry, dict))
        return SiteView(**known, at=parse_time(found["at"]), points=points, history=history, components=components)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def components_of(site: Site) -> tuple[ComponentView, ...]:
    """The plugins and themes of a site. One that never had any is not read to learn that. Raises UpdaterError."""
    config = site.config()
    if not config.components and not site.components.is_dir():
        return ()
    _, *others = members_of(site.state(), config, site.parts())
    return tuple(
        ComponentView(one.name, one.installed, one.directory, one.enabled, one.feed_url is not None) for one in others
    )


def age(moment: datetime, now: datetime) -> float:
    """Seconds since ``moment``; never negative."""
    return max(0.0, (now.astimezone(UTC) - moment).total_seconds())


def _point(point: RestorePoint) -> PointView:
    database = point.database or {}
    return PointView(
        id=point.id,
        created=point.created,
        version=point.version,
        replaced_by=point.replaced_by,
        database=str(database.get("kind") or ""),
        database_size=sum(int(file.get("size", 0)) for file in database.get("files", ())),
        files=len(point.saved),
    )


def _settings(site: Site) -> dict[str, Any]:
    """What pages show of updater.toml: no command, and nothing that could hold a password."""
    config = site.config()
    return {
        "feed_url": shown(config.feed_url),
        "edited": config.edited,
        "max_backups": config.backup.max_backups,
        "max_age_days": config.backup.max_age_days,
        "database": config.database.kind,
        "restarts": bool(config.restart.command or config.restart.touch or config.restart.signal),
        "stops": bool(config.restart.stop),
        "health_url": bool(config.health.url),
        "health_command": bool(config.health.command),
        "alert": bool(config.alert.command),
        "maintenance": bool(config.maintenance.file),
        "runner": bool(config.commands.runner),
    }
