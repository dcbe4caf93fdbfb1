"""Template tags: ``{% updates_available %}`` for an app's own pages, and what the admin's templates need."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from updater.contrib.django.badge import waiting_updates

__all__ = ["register"]

register = template.Library()


@register.simple_tag
def updates_available() -> int:
    """How many updates wait that nobody skipped; read from a file, so that it may stand on every page."""
    return waiting_updates()


@register.simple_tag(takes_context=True)
def updates_nonce(context: Any) -> SafeString:
    """A ``nonce`` attribute where the project has a nonce (Django 6's or django-csp's), else nothing."""
    request = context.get("request")
    nonce = context.get("csp_nonce") or getattr(request, "csp_nonce", None)
    return format_html(' nonce="{}"', nonce) if nonce else SafeString("")


@register.filter
def member(mapping: Any, key: str) -> Any:
    """A member of a mapping by a name that a template cannot write."""
    return mapping.get(key) if hasattr(mapping, "get") else None
