"""The page before a rollback: what it leads to and what is lost, and the button."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from updater.contrib.django.conf import conf
from updater.contrib.django.looking import PointView, SiteView
from updater.contrib.django.mirror import current_view
from updater.contrib.django.pages.access import password_problem, require
from updater.contrib.django.pages.actions import run_action

__all__ = ["plan_rollback", "rollback"]


@require_http_methods(["GET", "HEAD", "POST"])
def rollback(request: HttpRequest, point_id: str) -> HttpResponse:
    """Show what going back to that restore point means; with POST, ask for it."""
    require(request, "rollback")
    view, point = _find(point_id)
    if request.method == "POST":
        problem = password_problem(request)
        if problem:
            messages.error(request, problem)
        elif point.database and not request.POST.get("consent"):
            messages.error(request, _("Please confirm that you know what is lost."))
        else:
            text = f"Asked to roll back to {point.version} ({point.id})."
            return run_action(request, "rollback", point.id, text)
        return redirect("admin:updates_rollback", point.id)
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": _("Go back to %(version)s") % {"version": point.version or _("nothing")},
        "view": view,
        "point": point,
        "reauthenticate": conf().reauthenticate,
    }
    return TemplateResponse(request, "updates/rollback.html", context)


@require_POST
def plan_rollback(request: HttpRequest, point_id: str) -> HttpResponse:
    """Let the engine work out what would be lost, table by table."""
    require(request, "rollback")
    _view, point = _find(point_id)
    return run_action(request, "plan-rollback", point.id, f"Asked what going back to {point.id} would lose.")


def _find(point_id: str) -> tuple[SiteView, PointView]:
    view = current_view()
    for point in view.points if view is not None else ():
        if point.id == point_id and view is not None:
            return view, point
    raise Http404
