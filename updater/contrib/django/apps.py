"""The app's place in a Django project: label ``updates``, and a menu entry that counts what waits."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.utils.functional import lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

__all__ = ["UpdatesConfig"]


class UpdatesConfig(AppConfig):
    """Registers checks, and puts the number of waiting updates behind the name in every menu."""

    name = "updater.contrib.django"
    label = "updates"
    verbose_name = _("Updates")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Called by Django when all apps are loaded."""
        from updater.contrib.django import checks

        checks.register_all()
        meta: Any = self.get_model("AvailableUpdate")._meta
        meta.verbose_name_plural = lazy(_name_with_badge, str)()


def _name_with_badge() -> str:
    """The name, and the number in parentheses. Read from a file: a menu must not need the database."""
    from updater.contrib.django.badge import waiting_updates

    name, number = gettext("updates"), waiting_updates()
    return f"{name} ({number})" if number else name
