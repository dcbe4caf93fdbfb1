"""Django's system checks: what is wrong with the setup, while there is still somebody to read it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.utils.module_loading import import_string

from updater.contrib.django.conf import conf
from updater.contrib.django.looking import can_read
from updater.contrib.django.panel import PINNABLE
from updater.errors import UpdaterError
from updater.schema.site_config import SiteConfig
from updater.site import Site

__all__ = ["register_all"]


def register_all() -> None:
    """Called when the app is ready."""
    register(check_setup, "updates")
    register(check_deployment, Tags.security, deploy=True)


def check_setup(app_configs: Sequence[Any] | None, **_kwargs: Any) -> list[CheckMessage]:  # noqa: ARG001 - Django's interface
    """Whatever would keep the pages or the updates from working."""
    try:
        found = conf()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="updates.E001")]
    try:
        site = found.require_site()
    except ImproperlyConfigured as error:  # as in every checkout in which the app is developed
        return [Warning(str(error), id="updates.W004")]
    messages: list[CheckMessage] = []
    if not can_read(site):
        hint = "Let a timer run `manage.py check_updates` as the site's own user; the pages show what it leaves."
        messages.append(Warning(f"{site.directory} cannot be read by this user.", hint=hint, id="updates.W001"))
    else:
        messages += _check_config(site)
    for name in (*found.hooks, *([found.runner] if "." in found.runner else [])):
        try:
            import_string(name)
        except ImportError as error:
            messages.append(Error(f"{name} cannot be imported: {error}", id="updates.E002"))
    unknown = sorted(set(found.pinned) - set(PINNABLE))
    if unknown:
        messages.append(Error(f"UPDATER_PINNED names no setting: {', '.join(unknown)}.", id="updates.E003"))
    if not apps.is_installed("django.contrib.admin"):
        messages.append(Warning("django.contrib.admin is not installed: there are no pages.", id="updates.W002"))
    return messages


def check_deployment(app_configs: Sequence[Any] | None, **_kwargs: Any) -> list[CheckMessage]:  # noqa: ARG001 - Django's interface
    """Hints for a site with visitors (``manage.py check --deploy``)."""
    try:
        found = conf()
        site = found.require_site()
        config = site.config()
    except (ImproperlyConfigured, UpdaterError):
        return []  # told above
    messages: list[CheckMessage] = []
    if found.runner == "subprocess" and os.environ.get("INVOCATION_ID"):
        text = "The web server runs as a systemd service, whose stop or restart also ends an update that it started."
        hint = "Set UPDATER_RUNNER = 'systemd-path'; `manage.py update_schedule --systemd` prints the units."
        messages.append(Warning(text, hint=hint, id="updates.W010"))
    if not config.alert.command:
        text = "Nobody is told when an update fails and the app is broken."
        messages.append(Warning(text, hint="Set [alert] command in updater.toml.", id="updates.W011"))
    if not (config.restart.command or config.restart.touch or config.restart.signal):
        text = "The app is not restarted after an update, so it goes on running the old code."
        messages.append(Warning(text, hint="Set [restart] in updater.toml.", id="updates.W012"))
    if not (config.health.url or config.health.command):
        text = "Nothing tells whether the app works after an update."
        messages.append(Warning(text, hint="Set [health] in updater.toml.", id="updates.W013"))
    if _sqlite_without_wal():
        text = "SQLite is not in WAL mode: pages wait while an update works on the database."
        hint = "Run once: PRAGMA journal_mode=WAL"
        messages.append(Warning(text, hint=hint, id="updates.W014"))
    if not found.reauthenticate:
        text = "Whoever finds an administrator's session open can install updates."
        messages.append(Warning(text, hint="Set UPDATER_REAUTHENTICATE = True.", id="updates.W015"))
    return messages


def _check_config(site: Site) -> list[CheckMessage]:
    try:
        config: SiteConfig = site.config()
        site.state()
    except UpdaterError as error:
        return [Error(str(error), hint=error.hint, id="updates.E004")]
    if config.commands.runner:
        return []
    hint = 'Add it, for example: runner = ["python", "manage.py"]'
    return [Warning("updater.toml has no [commands] runner: the admin cannot check.", hint=hint, id="updates.W003")]


def _sqlite_without_wal() -> bool:
    database = settings.DATABASES.get("default", {})
    if "sqlite" not in str(database.get("ENGINE", "")) or not Path(str(database.get("NAME", ""))).is_file():
        return False
    with connections["default"].cursor() as cursor:
        return str(cursor.execute("PRAGMA journal_mode").fetchone()[0]).lower() != "wal"
