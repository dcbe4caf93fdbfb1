"""Notices: mail, webhook, hooks; each told once, failures at once, nothing twice after a restored database."""

from __future__ import annotations

import json
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from django.core import mail
from django.test import override_settings
from django.utils import timezone

from updater.contrib.django.mirror import sync
from updater.contrib.django.models import UpdateLog, UpdateNotification, UpdateSettings
from updater.contrib.django.notices.deliver import deliver
from updater.contrib.django.notices.make import make_notices
from updater.contrib.django.notices.webhook import refusal, signature_of

HEARD: list[str] = []


def hook(notice) -> None:
    HEARD.append(notice.key)


def broken_hook(notice) -> None:
    raise RuntimeError("the phone is off")


def notice(kind: str = "available", version: str = "1.1.0", **more) -> UpdateNotification:
    values = {"key": f"{kind}:{version}", "component": "core", "created": timezone.now(), **more}
    return UpdateNotification.objects.create(kind=kind, version=version, **values)


@pytest.fixture
def row(shared_site, db) -> UpdateSettings:
    for path in shared_site.folder.runs.glob("sent.json"):
        path.unlink()
    HEARD.clear()
    row = UpdateSettings.load()
    row.email_notices, row.email_recipients = True, "ada@example.org\nbob@example.org"
    row.save()
    return row


def sent() -> list[tuple[str, str]]:
    return sorted((message.to[0], message.subject) for message in mail.outbox)


def test_everybody_is_told_once(row):
    notice()
    deliver()
    deliver()
    subject = "shop: update available 1.1.0"
    assert sent() == [("ada@example.org", subject), ("bob@example.org", subject)]
    assert "shop 1.1.0 is available." in mail.outbox[0].body
    assert UpdateNotification.objects.get().sent_to == ["ada@example.org", "bob@example.org"]


def test_a_restored_database_tells_nothing_again(row):
    notice()
    deliver()
    UpdateNotification.objects.all().delete()
    notice()
    deliver()
    assert len(mail.outbox) == 2
    assert UpdateNotification.objects.get().sent_to == ["ada@example.org", "bob@example.org"]


def test_a_digest_gathers_and_failures_do_not_wait(row):
    row.email_recipients, row.digest = "ada@example.org", UpdateSettings.Digest.WEEKLY
    row.save()
    notice(version="1.0.1")
    deliver()
    notice(version="1.1.0")
    deliver()
    assert len(mail.outbox) == 1
    notice("rolled-back", "1.1.0", text="the migration failed")
    deliver()
    assert [subject for _to, subject in sent()][1] == "shop: update available 1.0.1"
    assert mail.outbox[1].subject == "shop: 2 notices about updates"
    assert "the migration failed" in mail.outbox[1].body


def test_mail_that_cannot_be_sent_is_told_on_the_page_and_tried_again(row, monkeypatch):
    row.email_recipients = "ada@example.org"
    row.save()
    notice()
    send = mail.EmailMessage.send

    def fail(self, *args, **kwargs):
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr("django.core.mail.EmailMessage.send", fail)
    deliver()
    assert "Connection refused" in UpdateNotification.objects.get().error
    monkeypatch.setattr("django.core.mail.EmailMessage.send", send)
    deliver()
    assert len(mail.outbox) == 1
    assert UpdateNotification.objects.get().error == ""


@override_settings(ADMINS=["root@example.org"])
def test_without_recipients_the_admins_are_told(row):
    row.email_recipients = ""
    row.save()
    notice()
    deliver()
    assert [to for to, _subject in sent()] == ["root@example.org"]


@override_settings(LANGUAGE_CODE="de")
def test_mail_speaks_the_language_of_the_project(row):
    row.email_recipients = "ada@example.org"
    row.save()
    notice()
    deliver()
    assert "shop 1.1.0 ist verfügbar." in mail.outbox[0].body


@override_settings(UPDATER_NOTICE_HOOKS=[f"{__name__}.broken_hook", f"{__name__}.hook"])
def test_a_hook_that_fails_stops_no_other(row):
    row.email_notices = False
    row.save()
    notice()
    deliver()
    deliver()
    assert HEARD == ["available:1.1.0"]
    assert "the phone is off" in UpdateNotification.objects.get().error


class Receiver(BaseHTTPRequestHandler):
    status = 204

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.headers, body))  # type: ignore[attr-defined]
        self.send_response(self.status)
        self.send_header("Location", "http://127.0.0.1:1/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def receiver(row):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.got = []  # type: ignore[attr-defined]
    Thread(target=server.serve_forever, daemon=True).start()
    row.email_notices, row.webhook_url = False, f"http://127.0.0.1:{server.server_address[1]}/hook"
    row.webhook_secret = "a secret"
    row.save()
    yield server
    server.shutdown()
    server.server_close()


def test_a_webhook_is_signed(receiver):
    notice(critical=True)
    deliver()
    deliver()
    ((headers, body),) = receiver.got
    assert json.loads(body) | {"at": ""} == {
        "schema": "1.0",
        "id": "available:1.1.0",
        "event": "available",
        "app": "shop",
        "component": "core",
        "version": "1.1.0",
        "installed_version": "1.0.0",
        "critical": True,
        "text": "",
        "at": "",
    }
    assert headers["X-Tagship-Signature"] == signature_of("a secret", int(headers["X-Tagship-Timestamp"]), body)
    assert headers["X-Tagship-Signature"] != signature_of("another", int(headers["X-Tagship-Timestamp"]), body)


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_webhook_that_does_not_take_it_is_tried_again(receiver, monkeypatch, status):
    monkeypatch.setattr(Receiver, "status", status)
    notice()
    deliver()
    assert UpdateNotification.objects.get().error == f"webhook: The webhook answered {status}."
    monkeypatch.setattr(Receiver, "status", 200)
    deliver()
    assert len(receiver.got) == 2
    assert UpdateNotification.objects.get().error == ""


@pytest.mark.filterwarnings("ignore::DeprecationWarning:apprise")
@pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")
def test_apprise_takes_notices_to_other_services(receiver, row):
    pytest.importorskip("apprise")
    address = f"json://127.0.0.1:{receiver.server_address[1]}/inbox"
    row.webhook_url = ""
    row.save()
    hooks = ["updater.contrib.django.notices.apprise.send"]
    notice(critical=True)
    with override_settings(UPDATER_NOTICE_HOOKS=hooks, UPDATER_APPRISE_URLS=[address]):
        deliver()
    ((_, body),) = receiver.got
    assert "1.1.0" in json.loads(body)["title"]
    assert UpdateNotification.objects.get().error == ""


@pytest.mark.filterwarnings("ignore::DeprecationWarning:apprise")
@pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")
def test_a_service_behind_apprise_that_does_not_take_it_is_told(receiver, row, monkeypatch):
    pytest.importorskip("apprise")
    monkeypatch.setattr(Receiver, "status", 500)
    row.webhook_url = ""
    row.save()
    notice()
    addresses = [f"json://127.0.0.1:{receiver.server_address[1]}/inbox"]
    with override_settings(
        UPDATER_NOTICE_HOOKS=["updater.contrib.django.notices.apprise.send"], UPDATER_APPRISE_URLS=addresses
    ):
        deliver()
    assert "UPDATER_APPRISE_URLS" in UpdateNotification.objects.get().error


@pytest.mark.parametrize("url", ["http://example.org/", "https://user:word@example.org/", "ftp://example.org/"])
def test_addresses_that_are_not_safe_are_refused(url):
    assert refusal(url)


def test_what_happened_becomes_a_notice_once(shared_site, db):
    now = timezone.now()
    cases = {"done": "installed", "rolled-back": "rolled-back", "failed": "failed", "needs-human": "needs-human"}
    for result in (*cases, "blocked", "cancelled", ""):
        UpdateLog.objects.create(key=result or "-", at=now, event="update", result=result, component="core")
    UpdateLog.objects.create(key="old", at=now - timedelta(days=30), event="update", result="failed", component="core")
    UpdateLog.objects.create(key="rehearsal", at=now, event="rehearse", result="failed", component="core")
    assert sorted(found.kind for found in make_notices(now)) == sorted(cases.values())
    assert make_notices(now) == []


def test_a_first_install_is_no_news(shared_site, db):
    sync()
    assert UpdateLog.objects.filter(event="install").exists()
    assert not UpdateNotification.objects.exists()
