"""A hook for more than a hundred services: ``UPDATER_NOTICE_HOOKS = ["updater.contrib.django.notices.apprise.send"]``,
and their addresses in ``UPDATER_APPRISE_URLS``. Needs the extra ``notify``."""

from __future__ import annotations

from django.conf import settings
from django.utils import translation

from updater.contrib.django.models import UpdateNotification
from updater.errors import DownloadError

__all__ = ["send"]


def send(notice: UpdateNotification) -> None:
    """Send one notice to all addresses. Raises DownloadError when a service did not take it."""
    import apprise

    with translation.override(settings.LANGUAGE_CODE):
        title = str(notice)
    services = apprise.Apprise()
    services.add(list(getattr(settings, "UPDATER_APPRISE_URLS", ())))
    kind = apprise.NotifyType.INFO if notice.kind in ("available", "installed") else apprise.NotifyType.FAILURE
    if not services.notify(title=title, body=notice.text or title, notify_type=kind):
        raise DownloadError("A service of UPDATER_APPRISE_URLS did not take the notice.")
