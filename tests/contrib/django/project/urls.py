"""The admin, and a page of the project's own that says whether updates wait."""

from __future__ import annotations

from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template import RequestContext, Template
from django.urls import include, path


def own_page(request: HttpRequest) -> HttpResponse:
    template = Template("{% load updates %}{% updates_available as n %}{{ n }} {{ updates_available }}")
    return HttpResponse(template.render(RequestContext(request)))


urlpatterns = [path("admin/", admin.site.urls), path("own/", own_page)]
if apps.is_installed("grappelli"):
    urlpatterns.append(path("grappelli/", include("grappelli.urls")))
