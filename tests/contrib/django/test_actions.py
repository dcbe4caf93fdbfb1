"""What the buttons do beside starting a run: consent, passwords, skipping, clearing, and the words in the logs."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.contrib.admin.models import LogEntry
from django.test import override_settings

from updater.contrib.django.badge import waiting_updates
from updater.contrib.django.checked import perform_check
from updater.contrib.django.models import AvailableUpdate, UpdateLog
from updater.contrib.django.notes import notes_html
from updater.contrib.django.runs.record import RunRecord
from updater.contrib.django.runs.request import Request

DASHBOARD = "/admin/updates/availableupdate/"


@pytest.fixture
def asked(shared_site, requests):
    """What was asked for, in order; nothing is started. The site knows that 1.1.0 waits."""
    for path in (shared_site.folder.request_path, shared_site.folder.skipped_path):
        path.unlink(missing_ok=True)
    perform_check(shared_site.updater, shared_site.folder, datetime.now(UTC))
    return requests


def told(answer) -> str:
    return " ".join(str(message) for message in answer.context["messages"])


def test_the_request_names_version_and_actor(asked, admin):
    admin.post(f"{DASHBOARD}install/", {"version": "1.1.0"}, REMOTE_ADDR="192.0.2.7")
    (request,) = asked
    assert (request.action, request.target, request.actor, request.address) == ("update", "1.1.0", "ada", "192.0.2.7")
    assert LogEntry.objects.get().change_message == "Asked to install 1.1.0."


@pytest.mark.parametrize("version", ["1.0.1", "9.9.9", "", "--yes", "../x"])
def test_only_the_version_that_the_page_showed_is_installed(asked, admin, version):
    answer = admin.post(f"{DASHBOARD}install/", {"version": version}, follow=True)
    assert "has changed" in told(answer)
    assert asked == []


@override_settings(UPDATER_REAUTHENTICATE=True)
def test_a_password_is_asked_for_when_the_project_wants_it(asked, admin):
    assert 'type="password"' in admin.get(DASHBOARD).content.decode()
    for wrong in ({}, {"password": "guess"}):
        answer = admin.post(f"{DASHBOARD}install/", {"version": "1.1.0", **wrong}, follow=True)
        assert "not your password" in told(answer)
    assert asked == []
    admin.post(f"{DASHBOARD}install/", {"version": "1.1.0", "password": "secret"})
    assert len(asked) == 1


def test_skipping_takes_badge_and_offer_away_until_it_is_taken_back(asked, admin, shared_site):
    assert waiting_updates() == 1
    assert admin.get("/own/").content == b"1 1"
    admin.post(f"{DASHBOARD}skip/", {"version": "1.1.0"})
    assert waiting_updates() == 0
    assert shared_site.folder.skipped()["core"]["1.1.0"]["actor"] == "ada"
    page = admin.get(DASHBOARD).content.decode()
    assert "Skipped by ada." in page and "Do not skip" in page
    assert AvailableUpdate.objects.get().skipped
    admin.post(f"{DASHBOARD}unskip/", {"version": "1.1.0"})
    assert waiting_updates() == 1


def test_a_request_that_nobody_takes_can_be_taken_back(shared_site, admin, monkeypatch):
    monkeypatch.setattr("updater.contrib.django.runners._runner", lambda settings: lambda request, settings: None)
    shared_site.folder.withdraw()
    perform_check(shared_site.updater, shared_site.folder, datetime.now(UTC))
    answer = admin.post(f"{DASHBOARD}install/", {"version": "1.1.0"})
    assert shared_site.folder.waiting() is not None
    assert "Waiting for the updater to start" in admin.get(answer["Location"]).content.decode()
    second = admin.post(f"{DASHBOARD}check/", follow=True)
    assert "waits already" in told(second)
    admin.post(f"{DASHBOARD}clear/")
    assert shared_site.folder.waiting() is None
    assert admin.get(answer["Location"]).status_code == 404


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"state": "failed", "message": "The disk is full."}, ("Nothing was changed", "The disk is full.")),
        (
            {"state": "rolled_back", "message": "It broke.", "why": "line 1"},
            ("as it was before", "It broke.", "line 1"),
        ),
        ({"state": "blocked", "hint": "Wait."}, ("was not begun", "Wait.")),
        ({"state": "needs_human"}, ("A person has to look", "Finish or undo it now")),
        ({"state": "cancelled"}, ("was cancelled",)),
        ({"state": "running", "pid": 2**22 + 1}, ("was interrupted", "Finish or undo it now")),
    ],
)
def test_every_end_is_explained(shared_site, admin, values, words):
    old = datetime(2026, 1, 20, 10, tzinfo=UTC)
    record = RunRecord.of(Request.new("update", "1.1.0", actor="<b>eve</b>", now=old))
    shared_site.folder.prepare()
    shared_site.folder.write_record(RunRecord.from_json(record.to_json() | values))
    page = admin.get(f"{DASHBOARD}run/{record.id}/").content.decode()
    for word in words:
        assert word in page
    assert "<b>eve" not in page
    shared_site.folder.record_path(record.id).unlink()
    shared_site.folder.current_path.unlink()


def test_the_dashboard_is_shown_when_the_tables_cannot_be_written(asked, admin, monkeypatch):
    from django.db import DatabaseError

    def fail(*args, **kwargs):
        raise DatabaseError("locked")

    monkeypatch.setattr("updater.contrib.django.pages.dashboard.sync", fail)
    page = admin.get(DASHBOARD).content.decode()
    assert "1.1.0 is available" in page
    assert not UpdateLog.objects.exists()


@pytest.mark.parametrize(
    ("markdown", "never"),
    [
        ("<script>alert(1)</script>", "<script"),
        ("[x](javascript:alert(1))", "href"),
        ("![x](https://evil.example/pixel.png)", "<img"),
        ("<iframe src=https://evil.example>", "<iframe"),
        ("[x](/admin/logout/)", "/admin/logout"),
        ("# Heading", "<h1"),
    ],
)
def test_notes_cannot_do_anything(markdown, never):
    assert never not in notes_html(markdown)


def test_the_context_processor_costs_nothing_on_pages_that_do_not_ask(shared_site, client_without_site, monkeypatch):
    monkeypatch.setattr("updater.contrib.django.context_processors.waiting_updates", lambda: 1 / 0)
    assert client_without_site.get("/admin/login/").status_code == 200


@pytest.fixture
def client_without_site(db):
    from django.test import Client

    return Client()
