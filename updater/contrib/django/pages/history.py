"""Tables to look at: the log, the checks, the notices. Nobody adds, changes or deletes a row by hand."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from updater.contrib.django.pages.access import may

__all__ = ["CheckAdmin", "LogAdmin", "NoticeAdmin", "ReadOnlyAdmin"]


class ReadOnlyAdmin(admin.ModelAdmin):
    """For rows that mirror files."""

    actions = None

    def has_module_permission(self, request: HttpRequest) -> bool:
        """See `ModelAdmin`."""
        return may(request, "view")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """See `ModelAdmin`."""
        return may(request, "view")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """See `ModelAdmin`."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """See `ModelAdmin`."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """See `ModelAdmin`."""
        return False


class LogAdmin(ReadOnlyAdmin):
    """The history of updates."""

    list_display = ("at", "event", "from_version", "to_version", "result", "actor")
    list_filter = ("event", "result")
    search_fields = ("from_version", "to_version", "actor", "reason")
    date_hierarchy = "at"


class CheckAdmin(ReadOnlyAdmin):
    """The history of checks."""

    list_display = ("at", "component", "installed", "available", "feed_state")
    list_filter = ("feed_state",)


class NoticeAdmin(ReadOnlyAdmin):
    """The notices, and what became of them."""

    list_display = ("created", "kind", "version", "critical", "sent", "error", "dismissed_by")
    list_filter = ("kind",)

    @admin.display(description="✉")
    def sent(self, notice: Any) -> int:
        """To how many it went."""
        return len(notice.sent_to)
