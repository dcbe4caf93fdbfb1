"""Who may do what: Django's own permissions, superusers everything. Staff without any of them see nothing."""

from __future__ import annotations

from typing import Any, Literal

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils.translation import gettext as _

from updater.contrib.django.conf import conf

__all__ = ["Right", "may", "password_problem", "require"]

Right = Literal["view", "install", "rollback", "settings"]

_PERMISSIONS: dict[Right, str] = {
    "view": "updates.view_availableupdate",
    "install": "updates.install_update",
    "rollback": "updates.rollback_update",
    "settings": "updates.change_settings",
}


def may(request: HttpRequest, right: Right) -> bool:
    """Whether this user may. Whoever may do something may also look."""
    user: Any = request.user
    if not user.is_active or not user.is_staff:
        return False
    wanted = _PERMISSIONS.values() if right == "view" else (_PERMISSIONS[right],)
    return any(user.has_perm(permission) for permission in wanted)


def require(request: HttpRequest, *rights: Right) -> None:
    """Raise PermissionDenied unless this user has one of the rights, and the project lets the web change anything."""
    if not any(may(request, right) for right in rights):
        raise PermissionDenied
    if not conf().allow_web_install and "view" not in rights and "settings" not in rights:
        raise PermissionDenied("UPDATER_ALLOW_WEB_INSTALL is off.")


def password_problem(request: HttpRequest) -> str:
    """Why the password that belongs to an action is not good; empty when it is, or none is asked for
    (``UPDATER_REAUTHENTICATE``)."""
    if not conf().reauthenticate:
        return ""
    user: Any = request.user
    if not user.has_usable_password():
        return _("Your account has no password, so you cannot confirm this here.")
    if not user.check_password(request.POST.get("password", "")):
        return _("That is not your password. Nothing was done.")
    return ""
