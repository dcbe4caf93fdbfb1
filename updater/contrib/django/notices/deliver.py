"""Bringing notices to people: mail, webhook, hooks. A way that fails is tried again next time and stops no other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.module_loading import import_string

from updater.contrib.django.conf import conf
from updater.contrib.django.looking import SiteView
from updater.contrib.django.mirror import current_view
from updater.contrib.django.models import UpdateNotification, UpdateSettings
from updater.contrib.django.notices.ledger import Ledger
from updater.contrib.django.notices.mail import recipients_of, send_mail
from updater.contrib.django.notices.make import RECENT, URGENT
from updater.contrib.django.notices.webhook import body_of, post
from updater.contrib.django.panel import effective
from updater.errors import UpdaterError

__all__ = ["deliver"]

_log = logging.getLogger("updater.notices")
_PERIODS = {
    UpdateSettings.Digest.AT_ONCE: timedelta(0),
    UpdateSettings.Digest.DAILY: timedelta(days=1),
    UpdateSettings.Digest.WEEKLY: timedelta(days=7),
}


def deliver() -> None:
    """Send what has not been sent. For processes of the site's own user: web workers never send."""
    settings, now = conf(), timezone.now()
    row, ledger, view = effective(UpdateSettings.load()), Ledger(settings.require_folder()), current_view()
    notices = list(UpdateNotification.objects.filter(created__gte=now - RECENT).order_by("created", "pk"))
    if view is None or not notices:
        return
    errors_before = {notice.key: notice.error for notice in notices}
    for notice in notices:
        notice.error = ""
    if row.email_notices:
        _mail(row, notices, ledger, view, now)
    if row.webhook_url:
        _each("webhook", notices, ledger, lambda notice: _post(row, notice, view))
    for hook in settings.hooks:
        _each(hook, notices, ledger, lambda notice, hook=hook: import_string(hook)(notice))  # type: ignore[misc]
    _write_down(notices, ledger, errors_before)


def _mail(
    row: UpdateSettings, notices: Sequence[UpdateNotification], ledger: Ledger, view: SiteView, now: datetime
) -> None:
    mailed = False
    for address in recipients_of(row):
        new = [notice for notice in notices if not ledger.has(notice.key, address)]
        urgent = any(notice.kind in URGENT for notice in new)
        if not new or not (urgent or _may_mail(row, ledger, now)):
            continue
        try:
            send_mail(address, new, view.app, view.version)
        except OSError as error:
            _failed(new, "e-mail", error)
            continue
        ledger.add((notice.key for notice in new), address)
        mailed = True
    if mailed:
        ledger.mailed(now)  # after the last address: one that comes later must not fall into the pause


def _may_mail(row: UpdateSettings, ledger: Ledger, now: datetime) -> bool:
    last = ledger.last_mail
    period = _PERIODS[UpdateSettings.Digest(row.digest)]
    return last is None or last > now or now - last >= period


def _each(
    name: str, notices: Sequence[UpdateNotification], ledger: Ledger, send: Callable[[UpdateNotification], None]
) -> None:
    for notice in notices:
        if ledger.has(notice.key, name):
            continue
        try:
            send(notice)
        except Exception as error:  # noqa: BLE001 - a hook is somebody else's code
            _failed([notice], name, error)
            return
        ledger.add([notice.key], name)


def _post(row: UpdateSettings, notice: UpdateNotification, view: SiteView) -> None:
    post(row.webhook_url, row.webhook_secret, body_of(notice, view.app, view.version))


def _failed(notices: Sequence[UpdateNotification], name: str, error: Exception) -> None:
    text = str(error) if isinstance(error, UpdaterError) else f"{type(error).__name__}: {error}"
    _log.warning("The notices about updates could not be sent (%s): %s", name, text)
    for notice in notices:
        notice.error = f"{name}: {text}"[:2000]


def _write_down(notices: Sequence[UpdateNotification], ledger: Ledger, errors_before: Mapping[str, str]) -> None:
    changed = []
    for notice in notices:
        names = ledger.names(notice.key)
        if names != notice.sent_to or notice.error != errors_before[notice.key]:
            notice.sent_to = names
            changed.append(notice)
    UpdateNotification.objects.bulk_update(changed, ["sent_to", "error"])
