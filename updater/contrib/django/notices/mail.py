"""Notices as e-mail, through the project's own mail settings: all that are new in one message an address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from updater.contrib.django.models import UpdateNotification, UpdateSettings

__all__ = ["recipients_of", "send_mail", "send_test_mail"]


def recipients_of(row: UpdateSettings) -> list[str]:
    """The addresses of the settings panel; without any, those of ``ADMINS``."""
    return row.recipients() or [
        entry if isinstance(entry, str) else str(entry[1]) for entry in getattr(settings, "ADMINS", ())
    ]


def send_mail(address: str, notices: Sequence[UpdateNotification], app: str, version: str | None) -> None:
    """Send one message. Raises OSError (``smtplib``'s errors are OSErrors) when it could not be sent."""
    with translation.override(settings.LANGUAGE_CODE):
        context: dict[str, Any] = {
            "app": app,
            "version": version,
            "notices": notices,
            "admin_url": getattr(settings, "UPDATER_ADMIN_URL", ""),
        }
        _send(address, _subject(app, notices), render_to_string("updates/mail.txt", context))


def send_test_mail(address: str, app: str) -> None:
    """A message that says no more than that mail works. Raises as `send_mail`."""
    with translation.override(settings.LANGUAGE_CODE):
        subject = _("%(app)s: a test of the update notices") % {"app": app}
        _send(address, subject, _("If you read this, notices about updates will reach you.") + "\n")


def _send(address: str, subject: str, body: str) -> None:
    EmailMessage(" ".join(subject.split()), body, to=[address]).send()


def _subject(app: str, notices: Sequence[UpdateNotification]) -> str:
    first = notices[0]
    if len(notices) > 1:
        count = ngettext("%(count)d notice about updates", "%(count)d notices about updates", len(notices))
        return f"{app}: {count % {'count': len(notices)}}"
    return f"{app}: {first.get_kind_display()} {first.what}".rstrip()
