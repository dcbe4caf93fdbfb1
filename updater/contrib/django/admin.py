"""What the admin registers. The dashboard is the change list of `AvailableUpdate`, so that it has its place in the
index, the sidebar and every theme's menu."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from updater.contrib.django.conf import conf
from updater.contrib.django.models import AvailableUpdate, UpdateCheck, UpdateLog, UpdateNotification, UpdateSettings
from updater.contrib.django.pages import actions, going_back
from updater.contrib.django.pages.access import require
from updater.contrib.django.pages.dashboard import dashboard_context, dashboard_link, run_context, status_context
from updater.contrib.django.pages.history import CheckAdmin, LogAdmin, NoticeAdmin, ReadOnlyAdmin
from updater.contrib.django.pages.progress import progress
from updater.contrib.django.pages.settings import SettingsAdmin

__all__ = ["UpdatesAdmin"]


@admin.register(AvailableUpdate)
class UpdatesAdmin(ReadOnlyAdmin):
    """The dashboard and everything below it."""

    def get_urls(self) -> list[URLPattern]:
        """The pages; the progress of a run is the only one without login, and is opened by a signed token."""

        def page(route: str, view: Any, name: str) -> URLPattern:
            return path(route, self.admin_site.admin_view(view), name=f"updates_{name}")

        return [
            page("", require_safe(self.changelist_view), "availableupdate_changelist"),
            page("check/", actions.check, "check"),
            page("install/", actions.install, "install"),
            page("install-all/", actions.install_all, "install_all"),
            page("rehearse/", actions.rehearse, "rehearse"),
            page("skip/", actions.skip, "skip"),
            page("unskip/", actions.unskip, "unskip"),
            page("recover/", actions.recover, "recover"),
            page("clear/", actions.clear, "clear"),
            page("notices/<int:pk>/dismiss/", actions.dismiss, "dismiss"),
            page("rollback/<str:point_id>/", going_back.rollback, "rollback"),
            page("rollback/<str:point_id>/plan/", going_back.plan_rollback, "plan_rollback"),
            page("run/<str:run_id>/", require_safe(self.run_view), "run"),
            page("run/<str:run_id>/cancel/", actions.cancel, "cancel"),
            page("status/", require_safe(self.status_view), "status"),
            path("progress/<str:token>/", progress, name="updates_progress"),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The dashboard."""
        require(request, "view")
        context = {**self._context(request, _("Updates")), **dashboard_context(request), **(extra_context or {})}
        run = context.get("run")
        if run is not None:
            context |= run_context(run, conf())
        return TemplateResponse(request, "updates/dashboard.html", context)

    def run_view(self, request: HttpRequest, run_id: str) -> HttpResponse:
        """How one run goes, or went."""
        require(request, "view")
        try:
            run = conf().require_folder().record(run_id, timezone.now())
        except ValueError as error:
            raise Http404 from error
        if run is None:
            raise Http404
        if run.action == "check" and run.state == "done":
            return redirect(dashboard_link())
        context = {**self._context(request, _("Result") if run.finished else _("Progress")), **run_context(run, conf())}
        return TemplateResponse(request, "updates/run.html", context)

    def status_view(self, request: HttpRequest) -> HttpResponse:
        """The system's status: what `updater doctor` found at the last check."""
        require(request, "view")
        context = {**self._context(request, _("System status")), **status_context()}
        return TemplateResponse(request, "updates/status.html", context)

    def _context(self, request: HttpRequest, title: str) -> dict[str, Any]:
        return {**self.admin_site.each_context(request), "title": title, "opts": self.model._meta}


admin.site.register(UpdateLog, LogAdmin)
admin.site.register(UpdateCheck, CheckAdmin)
admin.site.register(UpdateNotification, NoticeAdmin)
admin.site.register(UpdateSettings, SettingsAdmin)
