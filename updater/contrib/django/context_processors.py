"""For ``TEMPLATES``: every page of the project can say that an update waits."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from updater.contrib.django.badge import waiting_updates

__all__ = ["updates"]


def updates(request: HttpRequest) -> dict[str, object]:  # noqa: ARG001 - the interface of a context processor
    """``updates_available``: how many wait. Worked out when a template asks, which also decides who may see it."""
    return {"updates_available": SimpleLazyObject(waiting_updates)}
